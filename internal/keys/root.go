package keys

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/drawbridge-id/drawbridge/internal/credential"
)

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
