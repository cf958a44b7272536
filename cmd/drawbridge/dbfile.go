package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/dump"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/internal/store/sqlite"
)

func (c *cli) dbExport() *cobra.Command {
	return c.ofDatabase("export FILE", "Write all that is in the database to a file, to move it",
		"export writes all that is in the database to a new file, which db import puts into another one of either engine. Stop the\nbridge first, every node of it: what happens afterwards would be lost. The file is lines of JSON with a SHA-256 at its end. It holds\neverything about everybody; keys and others' secrets in it are sealed, and need the root key.",
		func(ctx context.Context, cfg *config.Config, file string) (err error) {
			cfg.Database.Migrate = false
			e, err := openWhole(ctx, cfg)
			if err != nil {
				return ofDatabase(err)
			}
			defer func() { err = errors.Join(err, e.Close()) }()
			if err := nobodyRuns(ctx, e); err != nil {
				return err
			}
			return c.writeOut(ctx, e, file, dump.Move)
		})
}

// nobodyRuns refuses while nodes are at work: of two living copies one would not hear what the
// other revokes.
func nobodyRuns(ctx context.Context, e store.Engine) error {
	names, err := store.Running(ctx, e)
	if err != nil {
		return ofDatabase(err)
	}
	if len(names) > 0 {
		return failed(exitGuard, "nodes run on this database: %s. Stop them first, since what they do after an export is lost; db backup writes a copy while they go on", legible(strings.Join(names, ", ")))
	}
	return nil
}

// openWhole opens a database that is there.
func openWhole(ctx context.Context, cfg *config.Config) (store.Engine, error) {
	if cfg.Database.URL.Empty() {
		if _, err := os.Stat(databaseFile(cfg)); err != nil {
			return nil, fault.New(fault.NotFound, "db", "there is no database at %s", databaseFile(cfg))
		}
	}
	return openEngine(ctx, cfg)
}

func (c *cli) dbBackup() *cobra.Command {
	return c.ofDatabase("backup FILE", "Write all that is in the database to a file, while the bridge goes on",
		"backup writes what is in the database at one instant to a new file, which db restore brings back; the bridge goes on. Of the data\nfolder it is an SQLite database, of PostgreSQL lines of JSON as db export writes them. The root key is not in it: keep that apart.",
		c.backup)
}

func (c *cli) backup(ctx context.Context, cfg *config.Config, file string) (err error) {
	if cfg.Database.URL.Empty() {
		if err := sqlite.Copy(ctx, databaseFile(cfg), file); err != nil {
			return ofDatabase(err)
		}
		return c.tellWritten(file, dump.Trailer{})
	}
	e, err := openBeside(ctx, cfg)
	if err != nil {
		return ofDatabase(err)
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	return c.writeOut(ctx, e, file, dump.Backup)
}

// writeOut writes a database to a new file, or leaves none.
func (c *cli) writeOut(ctx context.Context, e store.Engine, name string, why dump.Purpose) (err error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return failed(exitGuard, "%s is there already: name a new file", name)
	}
	if err != nil {
		return failed(exitUsage, "the file cannot be made: %w", err)
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = errors.Join(err, os.Remove(name))
		}
	}()
	progress, end := c.ticker("written")
	done, err := dump.Export(ctx, e, file, why, time.Now(), progress)
	end()
	if err != nil {
		return ofDatabase(err)
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return c.tellWritten(name, done)
}

func (c *cli) tellWritten(file string, done dump.Trailer) error {
	switch {
	case c.json && done.SHA256 == "":
		return c.print(map[string]any{"file": file})
	case c.json:
		return c.print(map[string]any{"file": file, "rows": done.Rows, "sha256": done.SHA256})
	case done.SHA256 == "":
		fmt.Fprintf(c.out, "%s holds the database. Keep the root key apart from it.\n", legible(file))
	default:
		fmt.Fprintf(c.out, "%s holds %d rows; SHA-256 %s. Keep the root key apart from it.\n", legible(file), done.Rows, done.SHA256)
	}
	return nil
}

func (c *cli) dbImport() *cobra.Command {
	return c.ofDatabase("import FILE", "Put what db export wrote into an empty database",
		"import puts what db export wrote into a database in which nothing is: all of it or nothing. Nobody is signed out. Keys and\nothers' secrets in it are sealed: the root key (keys.root) goes along.",
		func(ctx context.Context, cfg *config.Config, file string) error {
			return c.bringBack(ctx, cfg, file, false)
		})
}

func (c *cli) dbRestore() *cobra.Command {
	return c.ofDatabase("restore FILE", "Bring a backup back into an empty database, and end all that was given",
		"restore brings what db backup or db export wrote back, into a database in which nothing is. Nothing that anybody was given\nbefore is accepted any more, whenever it was given: everybody signs in again, and SCIM clients get new access tokens. Who was disabled\nafter the backup is not disabled in it: have every customer restart provisioning before people can reach the bridge.",
		func(ctx context.Context, cfg *config.Config, file string) error {
			return c.bringBack(ctx, cfg, file, true)
		})
}

// brought is what import and restore say.
type brought struct {
	File  string    `json:"file"`
	Of    time.Time `json:"of,omitzero"` // the instant that it holds
	Rows  int64     `json:"rows,omitempty"`
	Epoch int64     `json:"host_epoch,omitempty"` // after a restore
}

// bringBack fills a database from a file. That of the data folder is filled beside, and put in
// its place when it is whole.
func (c *cli) bringBack(ctx context.Context, cfg *config.Config, file string, restored bool) (err error) {
	cfg.Database.Migrate = true
	target := databaseFile(cfg)
	place := target + ".new"
	if cfg.Database.URL.Empty() {
		if info, err := os.Stat(target); err == nil && info.Size() > 0 {
			return failed(exitGuard, "there is a database at %s: move it aside, with -wal and -shm, or name another data folder", target)
		}
		if err := os.MkdirAll(cfg.Server.Data, 0o700); err != nil {
			return err
		}
		if err := clearAway(place); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, clearAway(place)) }()
	}
	done, err := c.fill(ctx, cfg, place, file, restored)
	if err != nil {
		return ofDatabase(err)
	}
	if cfg.Database.URL.Empty() {
		if err := os.Rename(place, target); err != nil {
			return err
		}
	}
	return c.tellBrought(done, restored)
}

// clearAway removes a database file that was begun, with what SQLite puts beside it.
func clearAway(path string) error {
	var errs []error
	for _, end := range []string{"", "-wal", "-shm", ".lock"} {
		if err := os.Remove(path + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (c *cli) fill(ctx context.Context, cfg *config.Config, place, file string, restored bool) (done brought, err error) {
	whole, err := isSQLite(file)
	switch {
	case err != nil:
		return done, fault.New(fault.Invalid, "db", "the file cannot be read: %v", err)
	case whole && !restored:
		return done, fault.New(fault.Invalid, "db", "%s is a backup of a bridge that went on: drawbridge db restore brings it back", file)
	case whole && !cfg.Database.URL.Empty():
		return done, fault.New(fault.Invalid, "db", "%s is an SQLite database: restore it into a data folder, then db export and db import", file)
	case whole:
		if err := sqlite.Copy(ctx, file, place); err != nil {
			return done, err
		}
	}
	e, err := openAt(ctx, cfg, place)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	done.File = file
	now := time.Now()
	last := func(q store.Querier) (err error) {
		if restored {
			done.Epoch, err = store.RaiseHost(q, now)
		}
		return err
	}
	if whole {
		if err = dump.Sound(ctx, e); err == nil {
			err = e.Update(ctx, "", last, nil)
		}
	} else {
		err = c.pourIn(ctx, e, &done, restored, last)
	}
	if err == nil && restored {
		err = noteRestore(ctx, e, done, now)
	}
	return done, err
}

func (c *cli) pourIn(ctx context.Context, e store.Engine, done *brought, restored bool, last func(store.Querier) error) error {
	allow := func(h dump.Header) error {
		if h.For != dump.Move && !restored {
			return fault.New(fault.Invalid, "db", "%s is a backup of a bridge that went on: drawbridge db restore brings it back", done.File)
		}
		return nil
	}
	progress, end := c.ticker("put in")
	defer end()
	h, t, err := dump.Import(ctx, e, func() (io.ReadCloser, error) { return os.Open(done.File) }, allow, last, progress)
	done.Of, done.Rows = h.At, t.Rows
	return err
}

// openAt is openEngine, but the file of the data folder is another.
func openAt(ctx context.Context, cfg *config.Config, place string) (store.Engine, error) {
	if cfg.Database.URL.Empty() {
		return sqlite.OpenEngine(ctx, place)
	}
	return openEngine(ctx, cfg)
}

// noteRestore writes into the host's audit trail what a restore ended.
func noteRestore(ctx context.Context, e store.Engine, done brought, now time.Time) error {
	s, err := store.New(ctx, e)
	if err != nil {
		return err
	}
	return s.Update(ctx, func(tx *store.Tx) error {
		return tx.Append(event.Event{Type: event.EverythingEnded, Actor: event.ByAdministrator, At: now, Data: map[string]string{"reason": "restored", "file": filepath.Base(done.File)}})
	})
}

// isSQLite reports whether a file is an SQLite database.
func isSQLite(name string) (bool, error) {
	file, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	begin, err := bufio.NewReader(file).Peek(16)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return bytes.Equal(begin, []byte("SQLite format 3\x00")), nil
}

func (c *cli) tellBrought(done brought, restored bool) error {
	if c.json {
		return c.print(done)
	}
	if done.Rows > 0 {
		fmt.Fprintf(c.out, "%d rows of %s are in the database.\n", done.Rows, done.Of.Local().Format(minute))
	} else {
		fmt.Fprintf(c.out, "The database of %s is back.\n", legible(done.File))
	}
	if !restored {
		fmt.Fprintln(c.out, "Nobody is signed out. Put the root key in its place before the bridge starts, and look with drawbridge db check.")
		return nil
	}
	fmt.Fprintf(c.out, "Everybody signs in again: nothing that was given before is accepted (the host's epoch is %d now).\n"+
		"Who was disabled after the backup is not disabled in it: have every customer restart provisioning before people can reach the bridge.\n"+
		"Tokens and secrets of SCIM clients that were revoked after it open again: revoke them anew.\n", done.Epoch)
	return nil
}
