-- +goose Up

-- Reviews of which the cards are to be placed anew, since a scope lies under another now, and how far that has come. What
-- review_places counts is right from the transaction of the move on.
create table review_moves (
  review text not null primary key,
  mark text not null           -- JSON: the place behind which items are looked at next; '': from the first
) without rowid;
