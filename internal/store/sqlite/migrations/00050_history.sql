-- +goose Up

-- What the numbers of transactions belong to. One row, or none: PostgreSQL empties the table when it recovers from a crash, or a
-- standby takes over, since it then gives numbers out a second time.
create table history (
  one integer primary key check (one = 1),
  id text not null                        -- random
);
