-- +goose Up

-- The application that a session belongs to which outlives the browser (offline_access); empty for a browser's session.
alter table sessions add column offline text not null default '';
