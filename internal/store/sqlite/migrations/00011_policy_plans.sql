-- +goose Up

-- What somebody has been shown of a policy before it is applied. A plan is found by its hash once it is ready; its source, the
-- text of its file and the losses that it showed may be large, and are kept in parts.
create table policy_plans (
  key integer primary key autoincrement,
  hash text not null,
  base bigint not null,                   -- the version of the policy that it was compared with
  policy_hash text not null,
  file text not null,
  author text not null,
  audit_id bigint not null,               -- the newest audit row when its reading began
  created_at bigint not null,
  summary text not null,
  ready boolean not null
);
create index policy_plans_hash on policy_plans (hash, key);

create table policy_plan_parts (
  plan bigint not null references policy_plans (key),
  part text not null,
  seq bigint not null,
  body blob not null,
  primary key (plan, part, seq)
) without rowid;
