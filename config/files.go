package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What is read of a configuration, at most.
const (
	maxFile  = 8 << 20 // of one file: thousands of fleets fit well
	maxFiles = 256     // in a directory
	maxAll   = 32 << 20
)

// File is one file of a configuration, as it was read.
type File struct {
	Name string
	Data []byte
}

// Files are all that a configuration was read from: its own files, and those that it
// names for schemas, keys, secrets and the scope tree. Sum tells whether any of it
// has changed since.
type Files struct {
	Path  string   // the file or the directory that was asked for
	Names []string // all that was read, sorted; some of them may not have been there
	Sum   string   // of their names and contents
}

// Look reads the files again, with those that a directory has now, and gives what
// Sum would be. It parses nothing.
func (fs Files) Look() (sum string, err error) {
	own, err := readAll(fs.Path)
	if err != nil {
		return "", err
	}
	seen := map[string][]byte{}
	for _, f := range own {
		seen[f.Name] = f.Data
	}
	for _, name := range fs.Names {
		if _, read := seen[name]; read || inside(fs.Path, name) {
			continue
		}
		data, err := ReadFile(name)
		if err != nil {
			data = nil // as when it was read first and was not there
		}
		seen[name] = data
	}
	return sumOf(seen), nil
}

// inside reports whether name is a file that the directory itself is read for.
func inside(directory, name string) bool {
	return filepath.Dir(name) == filepath.Clean(directory) && isOwn(filepath.Base(name))
}

func isOwn(base string) bool {
	return strings.HasSuffix(base, ".yaml") && !strings.HasPrefix(base, ".")
}

func sumOf(files map[string][]byte) string {
	h := sha256.New()
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		one := sha256.Sum256(files[name])
		fmt.Fprintf(h, "%d %s %v %x\n", len(name), name, files[name] == nil, one)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// recorder remembers what was read.
type recorder struct {
	read func(string) ([]byte, error)
	seen map[string][]byte
}

func (r recorder) file(name string) ([]byte, error) {
	data, err := r.read(name)
	if err != nil {
		r.seen[name] = nil
		return nil, err
	}
	r.seen[name] = append([]byte{}, data...)
	return data, nil
}

func (r recorder) files(path string) Files {
	names := make([]string, 0, len(r.seen))
	for name := range r.seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return Files{Path: path, Names: names, Sum: sumOf(r.seen)}
}

// Own reads the configuration's own files: the one, or those of the directory.
func Own(path string) ([]File, error) {
	files, err := readAll(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return files, nil
}

// readAll reads the one file, or every *.yaml of the directory in the order of their
// names. Names that begin with a dot are not read.
func readAll(path string) ([]File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		data, err := ReadFile(path)
		return []File{{Name: path, Data: data}}, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []File
	size := 0
	for _, e := range entries { // sorted by name
		name := filepath.Join(path, e.Name())
		if !isOwn(e.Name()) {
			continue
		}
		if len(files) == maxFiles {
			return nil, fmt.Errorf("%s holds more than %d files", path, maxFiles)
		}
		data, err := ReadFile(name)
		if err != nil {
			return nil, err
		}
		if size += len(data); size > maxAll {
			return nil, fmt.Errorf("the files of %s are larger than %d MiB together", path, maxAll>>20)
		}
		files = append(files, File{Name: name, Data: data})
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no file whose name ends in .yaml", path)
	}
	return files, nil
}

// ReadFile reads a regular file of at most 8 MiB.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file: %w", path, errors.Join(err, os.ErrInvalid))
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is larger than %d MiB", path, maxFile>>20)
	}
	return data, err
}
