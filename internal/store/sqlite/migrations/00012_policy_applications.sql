-- +goose Up

-- A decision counts if it was made under this version of the policy or a later one: a version that changes nothing for a
-- connection leaves its people decided. decided_before is what decided_from was until the last version that changed all.
alter table connections add column decided_from bigint not null default 1;
alter table connections add column decided_before bigint not null default 0;
update connections set decided_from = (select version from policy), decided_before = (select version from policy) - 1
  where exists (select 1 from policy);

-- The version whose PutPolicy knew decided_from. Where it is another, an older program has put one in since.
alter table policy add column scoped bigint not null default 0;
update policy set scoped = version;

-- What serve's file last said when it was taken, so that an old file undoes nothing at a restart.
alter table policy add column input text not null default '';

-- Every version of the policy that was put in, and by whom. The one in force at this migration has no author.
create table policy_applications (
  version bigint not null primary key,
  hash text not null,
  base bigint not null,                   -- the version before it
  author text not null,
  applied_at bigint not null,
  file text not null,
  plan text not null,                     -- the hash of the plan that was reviewed; '': none
  reason text not null,
  reverts bigint not null,                -- the version whose source it is; 0: none
  summary text not null,                  -- JSON: what the plan counted
  approvals text not null,                -- JSON: who approved what of it by name
  source text not null,                   -- JSON of the policy
  body text not null                      -- the file's text, its secrets masked
) without rowid;
create index policy_applications_plan on policy_applications (plan) where plan <> '';
insert into policy_applications (version, hash, base, author, applied_at, file, plan, reason, reverts, summary, approvals, source, body)
  select version, hash, version - 1, '', applied_at, '', '', '', 0, '{}', '{}', source, '' from policy;
