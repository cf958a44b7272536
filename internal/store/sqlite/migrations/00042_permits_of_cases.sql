-- +goose Up

-- All that was ever given for a case: a review of it looks at what its end has ended, too.
create index permits_of_case on permits (case_id, id) where case_id <> '';
