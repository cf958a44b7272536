-- +goose Up

-- The addresses of a person beyond the one in people.email, folded, so that emails.value is found by an index. Most people have none here.
-- A row outlives its person: keys are never used again.
create table more_emails (
  conn bigint not null,
  email_key text not null,
  person bigint not null,
  primary key (conn, email_key, person)
) without rowid;
create index more_emails_person on more_emails (person);

-- The person's version when the addresses were written down. Where it is another, whoever wrote the person did not know the table.
alter table people add column emails_at bigint not null default 0;
create index people_emails_unknown on people (conn, key) where emails_at <> version;
