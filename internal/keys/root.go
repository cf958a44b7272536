package keys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Root is what wraps the data key: the key in a file, or one that a command reaches.
type Root struct {
	File    string        // where the root key is, unless there is a Command
	Command []string      // a program, by its absolute path, and its arguments
	Timeout time.Duration // for one run of Command; zero: 10 seconds
}

// String says which root it is, for messages. Arguments are not shown.
func (r Root) String() string {
	if len(r.Command) > 0 {
		return "the command " + r.Command[0]
	}
	return "the root key file " + r.File
}

func (r Root) kind() string {
	if len(r.Command) > 0 {
		return credential.RootCommand
	}
	return credential.RootFile
}

// wrap puts a data key into an envelope, and looks whether it comes out again: what
// cannot be opened is never written.
func (r Root) wrap(ctx context.Context, d credential.DataKey, now time.Time) (e credential.Envelope, err error) {
	e = credential.Envelope{Root: r.kind(), Since: now.UTC().Truncate(time.Second)}
	if e.DataKey, err = d.ID(); err != nil {
		return e, err
	}
	if e.Root == credential.RootCommand {
		e.Wrapped, err = r.runWrap(ctx, d, e.Context())
	} else {
		e.RootKey, e.Wrapped, err = wrapByFile(r.File, d, e.Context())
	}
	if err != nil {
		return e, err
	}
	_, err = r.unwrap(ctx, e)
	return e, err
}

func wrapByFile(path string, d credential.DataKey, context string) (name, wrapped string, err error) {
	key, err := readRoot(path)
	if err != nil {
		return "", "", err
	}
	if name, err = key.ID(); err != nil {
		return "", "", err
	}
	wrapped, err = key.Wrap(d, context)
	return name, wrapped, err
}

// unwrap gives the data key, or says which root it is that would open the envelope.
func (r Root) unwrap(ctx context.Context, e credential.Envelope) (credential.DataKey, error) {
	if e.Root != r.kind() {
		return credential.DataKey{}, wrongRoot(r, e, "")
	}
	var d credential.DataKey
	var err error
	if e.Root == credential.RootCommand {
		d, err = r.runUnwrap(ctx, e.Wrapped, e.Context())
	} else {
		d, err = r.unwrapByFile(e)
	}
	if err != nil {
		return credential.DataKey{}, err
	}
	if d, err = e.Open(d); err != nil {
		return d, fault.Wrap(fault.Invalid, "keys.unwrap", fmt.Errorf("%s gave another key than was wrapped: %w", r, err))
	}
	return d, nil
}

func (r Root) unwrapByFile(e credential.Envelope) (credential.DataKey, error) {
	key, err := readRoot(r.File)
	if errors.Is(err, fs.ErrNotExist) {
		return credential.DataKey{}, fault.New(fault.Invalid, "keys.unwrap", "%s is missing, but the database holds keys under the root key %s: put the file back from your backup; no other opens them", r, e.RootKey)
	}
	if err != nil {
		return credential.DataKey{}, err
	}
	name, err := key.ID()
	if err != nil {
		return credential.DataKey{}, err
	}
	if name != e.RootKey {
		return credential.DataKey{}, wrongRoot(r, e, name)
	}
	return key.Unwrap(e.Wrapped, e.Context())
}

// wrongRoot says what was found, what is needed, and what leads from one to the other.
func wrongRoot(r Root, e credential.Envelope, found string) error {
	held, is := "a command (keys.root.command)", r.String()
	if e.Root == credential.RootFile {
		held = "the root key " + e.RootKey + " of a file"
	}
	if found != "" {
		is += ", which holds " + found
	}
	return fault.New(fault.Invalid, "keys.unwrap", "the keys in the database are under %s, since %s, and the configuration names %s: put back the root they are under, or change it by drawbridge key rewrap", held, e.Since.Format(time.DateOnly), is)
}

// maxRootFile bounds what is read: a root key takes 53 bytes.
const maxRootFile = 1 << 10

// readRoot reads the root key. The error is fs.ErrNotExist if there is no file.
func readRoot(path string) (credential.RootKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return credential.RootKey{}, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	info, err := f.Stat()
	if err != nil {
		return credential.RootKey{}, err
	}
	if !info.Mode().IsRegular() {
		return credential.RootKey{}, fmt.Errorf("the root key file %s is not a regular file", path)
	}
	// Windows has no such bits; there the folder's access list guards the file.
	if open := info.Mode().Perm() & 0o077; open != 0 && runtime.GOOS != "windows" {
		return credential.RootKey{}, fmt.Errorf("the root key file %s may be read by others (mode %04o): run chmod 600 on it", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxRootFile))
	if err != nil {
		return credential.RootKey{}, err
	}
	root, err := credential.ParseRootKey(text)
	if err != nil {
		return credential.RootKey{}, fmt.Errorf("the root key file %s: %w", path, err)
	}
	return root, nil
}

// createRoot makes a new root key and its file. The file appears whole or not at
// all, and is on the disk before anything is sealed under it.
func createRoot(path string) (credential.RootKey, error) {
	text := credential.NewRootKey().Reveal()
	root, err := credential.ParseRootKey([]byte(text))
	if err != nil {
		return credential.RootKey{}, err
	}
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return credential.RootKey{}, err
	}
	if err := writeDurably(next, text); err != nil {
		return credential.RootKey{}, err
	}
	if err := os.Rename(next, path); err != nil {
		return credential.RootKey{}, err
	}
	return root, syncFolder(filepath.Dir(path))
}

func writeDurably(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil // a folder cannot be synced there
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
