package keys

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	_ "github.com/drawbridge-id/drawbridge/internal/rsakey/rsakeytest" // no new keys for each test
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// table is a small real Rows.
type table struct {
	keys     []store.SigningKey
	envelope []byte
	told     []event.Event
	fail     error
	lost     bool // it does what it is asked, and the answer never comes
}

func (r *table) Envelope(context.Context) ([]byte, error) { return r.envelope, r.fail }

func (r *table) KeepEnvelope(_ context.Context, was, next []byte, told event.Event) error {
	if r.fail != nil {
		return r.fail
	}
	if !bytes.Equal(r.envelope, was) {
		return fault.New(fault.Stale, "table", "another one is there")
	}
	r.envelope, r.told = next, append(r.told, told)
	if r.lost {
		return fault.New(fault.Unavailable, "table", "down")
	}
	return nil
}

// signing is what was told of signing keys.
func (r *table) signing() (of []event.Event) {
	for _, e := range r.told {
		if e.Type != event.DataKeyCreated {
			of = append(of, e)
		}
	}
	return of
}

func (r *table) SigningKeys(context.Context) ([]store.SigningKey, error) {
	return slices.Clone(r.keys), r.fail
}

func (r *table) ChangeSigningKeys(_ context.Context, decide func([]store.SigningKey) (Change, error)) error {
	if r.fail != nil {
		return r.fail
	}
	c, err := decide(slices.Clone(r.keys))
	if err != nil {
		return err
	}
	r.keys, r.told = c.apply(r.keys), append(r.told, c.Told...)
	return nil
}

func noon() time.Time { return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }

func rootFile(t *testing.T) string { return filepath.Join(t.TempDir(), "root.key") }

func open(t *testing.T, file string, rows Rows) *Ring {
	t.Helper()
	r, err := Open(t.Context(), Config{Root: Root{File: file}, Rows: rows, Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFirstStartMakesWhatIsMissing(t *testing.T) {
	file, rows := rootFile(t), &table{}
	r := open(t, file, rows)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("root key file: %v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(file + ".*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	var set struct {
		Keys []struct{ Kid, Alg, Kty string }
	}
	if err := json.Unmarshal(r.JWKS(), &set); err != nil || len(set.Keys) != 2 || len(rows.keys) != 2 {
		t.Fatalf("key set %s, %v", r.JWKS(), err)
	}
	for _, e := range rows.signing() {
		made := slices.ContainsFunc(rows.keys, func(k store.SigningKey) bool {
			return k.ID == e.Data["key"] && k.Algorithm == e.Data["algorithm"]
		})
		if e.Type != event.SigningKeyCreated || !made || !e.At.Equal(noon()) {
			t.Errorf("told %+v", e)
		}
	}
	if told := rows.signing(); len(told) != 2 || told[0].Data["key"] == told[1].Data["key"] {
		t.Errorf("told %+v", told)
	}
}

func TestALaterStartFindsTheSameKeys(t *testing.T) {
	file, rows := rootFile(t), &table{}
	first := open(t, file, rows)
	second := open(t, file, rows)
	if !bytes.Equal(first.JWKS(), second.JWKS()) || len(rows.keys) != 2 || len(rows.signing()) != 2 {
		t.Error("a restart made other keys")
	}
	refresh, err := credential.ParseRefresh(first.RefreshKey().Seal("fam_1", 1, "salt").Reveal())
	if err != nil || !second.RefreshKey().Verify(refresh, "salt") {
		t.Error("a refresh token of before is refused")
	}
}

func TestAMissingAlgorithmIsAdded(t *testing.T) {
	file, rows := rootFile(t), &table{}
	open(t, file, rows)
	for i := range rows.keys {
		if rows.keys[i].Algorithm == credential.ES256 {
			rows.keys[i].State = "retired"
		}
	}
	r := open(t, file, rows)
	if k, ok := first(ofAlgorithm(rows.keys, credential.ES256), credential.KeyActive); len(rows.keys) != 3 || !ok {
		t.Fatalf("%d keys, one that signs: %+v", len(rows.keys), k)
	}
	for _, k := range rows.keys {
		if _, ok := r.Keyring().Public(k.ID); !ok {
			t.Errorf("%s key %s is not published", k.State, k.ID)
		}
	}
}

func TestReloadFindsNewKeysAndSurvivesBadOnes(t *testing.T) {
	file, rows := rootFile(t), &table{}
	r := open(t, file, rows)
	before := r.Keyring()
	rows.keys[0].Sealed = []byte("damaged")
	if err := r.Reload(t.Context()); !fault.Is(err, fault.Invalid) || r.Keyring() != before {
		t.Errorf("a damaged row replaced the ring: %v", err)
	}
	rows.fail = fault.New(fault.Unavailable, "table", "down")
	if err := r.Reload(t.Context()); !fault.Is(err, fault.Unavailable) || r.Keyring() != before {
		t.Errorf("a database that is down replaced the ring: %v", err)
	}
	rows.fail, rows.keys = nil, rows.keys[1:]
	if err := r.Reload(t.Context()); err != nil || r.Keyring() == before {
		t.Errorf("not reloaded: %v", err)
	}
}

func TestBadRootFilesAreRefusedAndLeftAlone(t *testing.T) {
	good := credential.NewRootKey().Reveal()
	encode := func(raw string) string {
		return "drb_root_" + base64.RawURLEncoding.EncodeToString([]byte(raw)) + "\n"
	}
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		says string
	}{
		"group reads":  {good, 0o640, "chmod 600"},
		"others read":  {good, 0o604, "chmod 600"},
		"others write": {good, 0o602, "chmod 600"},
		"empty":        {"", 0o600, "does not begin"},
		"too short":    {encode("0123456789abcdef"), 0o600, "has 16 bytes, not 32"},
		"too long":     {encode(strings.Repeat("0123456789abcdef", 3)), 0o600, "has 48 bytes, not 32"},
		"zeros":        {encode(strings.Repeat("\x00", 32)), 0o600, "one byte repeated"},
		"one byte":     {encode(strings.Repeat("k", 32)), 0o600, "one byte repeated"},
		"huge":         {strings.Repeat(good, 1000), 0o600, "base64url"},
	} {
		file, rows := rootFile(t), &table{}
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), Config{Root: Root{File: file}, Rows: rows, Now: noon})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
		if text, err := os.ReadFile(file); err != nil || string(text) != c.text || len(rows.keys) != 0 {
			t.Errorf("%s: something was changed: %v", name, err)
		}
	}
	if _, err := Open(t.Context(), Config{Root: Root{File: t.TempDir()}, Rows: &table{}, Now: noon}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Open(t.Context(), Config{Root: Root{File: filepath.Join(t.TempDir(), "no", "folder")}, Rows: &table{}, Now: noon}); !fault.Is(err, fault.Invalid) {
		t.Errorf("no folder: %v", err)
	}
}

// A lost root key is not silently replaced: that would leave keys nobody can open.
func TestALostRootKeyIsNotReplaced(t *testing.T) {
	file, rows := rootFile(t), &table{}
	open(t, file, rows)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Root: Root{File: file}, Rows: rows, Now: noon}); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.DetailOf(err), "backup") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a new root key was made: %v", err)
	}
	open(t, file, &table{}) // another deployment's
	if _, err := Open(t.Context(), Config{Root: Root{File: file}, Rows: rows, Now: noon}); !fault.Is(err, fault.Invalid) {
		t.Errorf("another root key opens the rows: %v", err)
	}
}

// A first start that died before the file was whole does not stop the next.
func TestAnInterruptedFirstStartIsForgotten(t *testing.T) {
	file := rootFile(t)
	if err := os.WriteFile(file+".new", []byte("drb_ro"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, file, &table{})
}

// I-23: no rows, no ring.
func TestI23_NoStoreNoKeys(t *testing.T) {
	file := rootFile(t)
	if r, err := Open(t.Context(), Config{Root: Root{File: file}, Rows: &table{fail: fault.New(fault.Unavailable, "table", "down")}, Now: noon}); r != nil || !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a root key was made without asking the store: %v", err)
	}
}

func TestARingDoesNotPrintItsKeys(t *testing.T) {
	file := rootFile(t)
	r := open(t, file, &table{})
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimPrefix(strings.TrimSpace(string(text)), "drb_root_")
	raw, err := base64.RawURLEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	refresh := fmt.Sprintf("%v %+v %#v %x %x %x", r, r, r.current.Load(), r.RefreshKey(), r.CursorKey(), r.MarkKey()) //nolint:govet // printing is the test
	for _, spelling := range []string{secret, fmt.Sprintf("%x", raw), strings.Trim(fmt.Sprint(raw), "[]")} {
		if strings.Contains(refresh, spelling) {
			t.Error("a key was printed")
		}
	}
}
