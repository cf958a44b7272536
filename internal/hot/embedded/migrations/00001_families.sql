-- +goose Up
-- One row a live refresh family. Instants are nanoseconds since 1970, 0 for none.
CREATE TABLE families (
	id          TEXT    NOT NULL PRIMARY KEY,
	n           INTEGER NOT NULL CHECK (n >= 1),
	rotated     INTEGER NOT NULL,
	expires     INTEGER NOT NULL,
	salt        TEXT    NOT NULL CHECK (salt <> ''),
	connection  TEXT    NOT NULL,
	client      TEXT    NOT NULL,
	person      TEXT    NOT NULL,
	session     TEXT    NOT NULL,
	host_epoch  INTEGER NOT NULL,
	connection_epoch INTEGER NOT NULL,
	client_epoch     INTEGER NOT NULL,
	person_epoch     INTEGER NOT NULL,
	session_version  INTEGER NOT NULL,
	bound_until INTEGER NOT NULL,
	active      TEXT    NOT NULL,
	scopes      TEXT    NOT NULL, -- OAuth scopes, separated by spaces
	auth_time   INTEGER NOT NULL,
	nonce       TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX families_by_session ON families (session);
CREATE INDEX families_by_end ON families (expires);

-- +goose Down
DROP TABLE families;
