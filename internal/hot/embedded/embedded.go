// Package embedded is the hot engine of a single node. Authorization requests and
// codes live in memory, bounded in number and bytes: who was about to sign in when
// the process ended begins again. Refresh families are rows of their own SQLite
// file, so a restart, or kill -9, signs nobody out.
//
// The file is synced at checkpoints only. A power cut may take the last rotations;
// a token that such a family has never heard of then carries its own proof
// (hot.Rotation.Verified).
package embedded

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/sqlitedb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Limits bound what is held in memory. A zero field means its default.
type Limits struct {
	Requests     int // authorization requests under way: 50,000
	RequestBytes int // what they hold: 32 MiB
	Pushed       int // requests sent ahead: 20,000
	PushedBytes  int // what they hold: 16 MiB
	Codes        int // codes, used ones included: 100,000
	CodeBytes    int // what they hold: 32 MiB
	Families     int // refresh families kept beside the file: 65,536
}

func (l Limits) orDefaults() Limits {
	or := func(n *int, standard int) {
		if *n <= 0 {
			*n = standard
		}
	}
	or(&l.Requests, 50_000)
	or(&l.RequestBytes, 32<<20)
	or(&l.Pushed, 20_000)
	or(&l.PushedBytes, 16<<20)
	or(&l.Codes, 100_000)
	or(&l.CodeBytes, 32<<20)
	or(&l.Families, 1<<16)
	return l
}

// Engine implements hot.Engine on one machine. Make it with Open, close it once.
type Engine struct {
	*requests
	*pushed
	*codes
	*families
}

var _ hot.Engine = (*Engine)(nil)

// Open opens or makes the file of refresh families. fault.Unavailable if another
// process has it, fault.Unsupported if a newer version wrote it.
func Open(ctx context.Context, path string, l Limits) (*Engine, error) {
	l = l.orDefaults()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("embedded.Open: %w", err)
	}
	db, err := sqlitedb.Open(ctx, sqlitedb.Options{Path: path, Synchronous: sqlitedb.Normal, Migrations: files})
	if err != nil {
		return nil, err
	}
	c := newCodes(l.Codes, l.CodeBytes)
	return &Engine{requests: newRequests(l.Requests, l.RequestBytes), pushed: newPushed(l.Pushed, l.PushedBytes), codes: c, families: newFamilies(db, l.Families, c)}, nil
}

// Close finishes what has begun and lets go of the file.
func (e *Engine) Close() error { return e.db.Close() }
