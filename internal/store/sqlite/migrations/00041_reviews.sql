-- +goose Up

-- Reviews of access. Instants are Unix milliseconds; 0 is none. Ids begin with their instant, so that they sort by it.
create table reviews (
  id text not null primary key,
  schedule text not null,      -- the name of the schedule that began it; '': none did
  state text not null,         -- 'gathering', 'open', 'ended'
  cause text not null,         -- JSON: why it began, and what it is about
  began_at bigint not null,
  deadline bigint not null,
  ended_at bigint not null,
  next_at bigint not null,     -- when it is due: a reminder, or its end; 0: it has ended
  mark text not null,          -- how far it has been gathered, or settled
  items bigint not null,
  undecided bigint not null,
  kept bigint not null,
  removed bigint not null,
  lowered bigint not null,
  gone bigint not null,
  lapsed bigint not null
) without rowid;
create index reviews_gathering on reviews (id) where state = 'gathering';
create index reviews_due on reviews (next_at, id) where state = 'open';
create index reviews_schedule on reviews (schedule, id) where state <> 'ended';

-- What is under review: one row for each assignment, as it was when it was gathered.
create table review_items (
  review text not null references reviews (id),
  conn text not null,
  person text not null,
  grant_kind text not null,
  scope text not null,
  id text not null,            -- short, and unique within its review
  placed text not null,        -- the scopes that covered it when it was gathered, separated by spaces
  rank bigint not null,        -- riskiest first: see review.Rank
  shown text not null,         -- JSON: what was held, and why
  decision text not null,      -- '': nobody has decided; 'keep', 'remove', 'lower', 'gone', 'unanswered'
  decided text not null,       -- JSON: by whom, when, why
  primary key (review, conn, person, grant_kind, scope)
) without rowid;
create unique index review_items_id on review_items (review, id);
create index review_items_undecided on review_items (review, conn, person) where decision = '';
create index review_items_person on review_items (conn, person, review);

-- Cards: what one person has under review at or below a scope. Every item counts at each scope that covered it.
create table review_cards (
  review text not null,
  scope text not null,
  rank bigint not null,        -- of the riskiest item
  conn text not null,
  person text not null,
  items bigint not null,
  undecided bigint not null,
  primary key (review, scope, conn, person)
) without rowid;
create index review_cards_rank on review_cards (review, scope, rank, conn, person);

-- Which reviews have something at or below a scope.
create table review_places (
  scope text not null,
  review text not null,
  items bigint not null,
  undecided bigint not null,
  primary key (scope, review)
) without rowid;

-- From when each schedule counts to its next review.
create table review_schedules (
  name text not null primary key,
  since bigint not null,
  review text not null         -- the one it began last; '': none
) without rowid;
