package main

import (
	"context"
	"path/filepath"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/api"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/postgres"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
)

// openStore opens the directory: PostgreSQL where the configuration names one, else the file of
// the data folder.
func openStore(ctx context.Context, cfg *config.Config) (*store.Store, error) {
	d := cfg.Database
	if d.URL.Empty() {
		return sqlite.OpenWith(ctx, databaseFile(cfg), sqlite.Options{LeaveSchema: !d.Migrate})
	}
	lanes := d.Pool / 3
	return postgres.Open(ctx, d.URL.Reveal(), postgres.Options{Lanes: lanes, Readers: d.Pool - lanes, LeaveSchema: !d.Migrate})
}

// databaseFile is the directory of one node.
func databaseFile(cfg *config.Config) string { return filepath.Join(cfg.Server.Data, "drawbridge.db") }

// onPostgres puts a PostgreSQL into a configuration, if an address is given.
func onPostgres(cfg *config.Config, address string) error {
	if address == "" {
		return nil
	}
	cfg.Database = config.Database{URL: secret.New(address), Pool: config.UsualPool, Migrate: true}
	return postgres.Sound(address)
}

// examineDatabase tells what of a PostgreSQL is not as it should be, though it is good enough to
// start on.
func (a *app) examineDatabase(ctx context.Context, say finding) {
	if a.cfg.Database.URL.Empty() {
		return
	}
	found, err := postgres.Findings(ctx, a.cfg.Database.URL.Reveal())
	if err != nil {
		say(api.LevelFail, "look at the server and the log", "the database does not say how it is set up: %s", fault.KindOf(err))
		return
	}
	for _, f := range found {
		say(api.LevelWarn, "have whoever runs the database look at it", "the database: %s", f.Text)
	}
}
