-- +goose Up

-- Nobody asks for all that is recorded of one person, and every event paid for an index
-- of it, in a place of its own. What must be found by the person is what can be erased,
-- and few rows hold any.
drop index audit_person;
create index audit_personal on audit (conn, person) where personal is not null;
