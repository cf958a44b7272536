-- +goose Up

-- What everything at rest is sealed under: the data key, wrapped by a root that is not in
-- this database. None in a database that was made before: its root key file is the data key, and the
-- next start wraps it.
create table data_key (
  one integer primary key check (one = 1),
  envelope blob not null
);
