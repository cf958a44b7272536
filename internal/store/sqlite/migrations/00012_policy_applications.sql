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
