package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// service is a key management service that a shell script reaches: what it wraps is bound
// to its name and to the context, and opens for both alone.
const service = `
read -r line
bound=$(printf '%s %s' "$SERVICE" "$DRAWBRIDGE_KEY_CONTEXT" | cksum | tr ' ' _)
case $1 in
wrap) printf 'kms:%s:%s\n' "$bound" "$(printf %s "$line" | tr A-Za-z N-ZA-Mn-za-m)" ;;
unwrap)
	case $line in kms:$bound:*) ;; *) echo "not wrapped by $SERVICE" >&2; exit 3 ;; esac
	printf '%s\n' "${line#kms:$bound:}" | tr A-Za-z N-ZA-Mn-za-m ;;
esac`

func command(name, script string) Root {
	return Root{Command: []string{"/bin/sh", "-c", "SERVICE=" + name + "\n" + script, "kms"}, Timeout: time.Minute}
}

func begin(t *testing.T, root Root, rows *table) (*Ring, error) {
	t.Helper()
	return Open(t.Context(), Config{Root: root, Rows: rows, Now: noon})
}

func mustBegin(t *testing.T, root Root, rows *table) *Ring {
	t.Helper()
	r, err := begin(t, root, rows)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// formerRows are what the last version without envelopes left: keys sealed under the root key itself.
func formerRows(t *testing.T) (root Root, rows *table, refresh string) {
	t.Helper()
	var former struct {
		SigningKeys []store.SigningKey `json:"signing_keys"`
		Refresh     string             `json:"refresh"`
	}
	text, err := os.ReadFile("testdata/former/rows.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &former); err != nil {
		t.Fatal(err)
	}
	root = Root{File: rootFile(t)}
	key, err := os.ReadFile("testdata/former/root.key")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root.File, key, 0o600); err != nil {
		t.Fatal(err)
	}
	return root, &table{keys: former.SigningKeys}, former.Refresh
}

func TestADatabaseWithoutAnEnvelopeGetsOneAndKeepsItsKeys(t *testing.T) {
	root, rows, refresh := formerRows(t)
	before := slices.Clone(rows.keys)
	r := mustBegin(t, root, rows)
	again := mustBegin(t, root, rows)
	token, err := credential.ParseRefresh(refresh)
	if err != nil || !r.RefreshKey().Verify(token, "salt") || !again.RefreshKey().Verify(token, "salt") {
		t.Errorf("a refresh token of before is refused (%v)", err)
	}
	if len(rows.keys) != 2 || !bytes.Equal(rows.keys[0].Sealed, before[0].Sealed) || !bytes.Equal(r.JWKS(), again.JWKS()) {
		t.Error("the signing keys changed")
	}
	if len(rows.told) != 1 || rows.told[0].Type != event.DataKeyCreated || rows.told[0].Data["because"] != "upgrade" {
		t.Errorf("told %+v", rows.told)
	}
}

func TestARootThatNeverSealedADatabaseGivesItNoEnvelope(t *testing.T) {
	for name, root := range map[string]func(*testing.T, Root) Root{
		"no file": func(t *testing.T, _ Root) Root { return Root{File: rootFile(t)} },
		"another key": func(t *testing.T, _ Root) Root {
			other := Root{File: rootFile(t)}
			mustBegin(t, other, &table{})
			return other
		},
		"a command": func(*testing.T, Root) Root { return command("north", service) },
	} {
		was, rows, _ := formerRows(t)
		if _, err := begin(t, root(t, was), rows); !fault.Is(err, fault.Invalid) || len(rows.envelope) > 0 || len(rows.told) > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACommandIsARootLikeAFile(t *testing.T) {
	rows := &table{}
	root := command("north", service)
	first, second := mustBegin(t, root, rows), mustBegin(t, root, rows)
	if !bytes.Equal(first.JWKS(), second.JWKS()) || len(rows.keys) != 2 {
		t.Error("a restart made other keys")
	}
	e, err := credential.ParseEnvelope(rows.envelope)
	if err != nil || !strings.HasPrefix(e.Wrapped, "kms:") {
		t.Errorf("%+v, %v", e, err)
	}
	for name, other := range map[string]Root{"another service": command("south", service), "a file": {File: rootFile(t)}} {
		before := slices.Clone(rows.envelope)
		if _, err := begin(t, other, rows); err == nil || !bytes.Equal(before, rows.envelope) {
			t.Errorf("%s opens it, or changed it: %v", name, err)
		}
		if other.File != "" {
			if _, err := os.Stat(other.File); !errors.Is(err, fs.ErrNotExist) {
				t.Error("a root key was made though a command holds the data key")
			}
		}
	}
}

// What a command may do wrong, and how it is told.
func TestACommandIsHeldToItsProtocol(t *testing.T) {
	good := command("north", service)
	rows := &table{}
	mustBegin(t, good, rows)
	key, err := good.unwrap(t.Context(), mustEnvelope(t, rows))
	if err != nil {
		t.Fatal(err)
	}
	text, err := key.Text()
	if err != nil {
		t.Fatal(err)
	}
	other, err := credential.NewDataKey().Text()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ script, says string }{
		"fails":             {"exit 7", "exit status 7"},
		"says why":          {"echo 'denied by policy' >&2; exit 1", "says: denied by policy"},
		"repeats the key":   {"echo 'key " + text.Reveal() + "' >&2; exit 1", "says: key [redacted]"},
		"is not there":      {"", "something else than a key"},
		"no base64":         {"echo '!'", "something else than a key"},
		"too short":         {"echo QUJD", "something else than a key"},
		"two lines":         {"echo " + text.Reveal() + "; echo more", "something else than a key"},
		"another key":       {"echo " + other.Reveal(), "another key than was wrapped"},
		"talks without end": {"yes | head -c 1000000", "more than 16384 bytes"},
	} {
		_, err := begin(t, command("north", c.script), rows)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), text.Reveal()[:20]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	slow := command("north", "exec sleep 60")
	slow.Timeout = time.Millisecond
	if _, err := begin(t, slow, rows); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "after 1ms") {
		t.Errorf("one that hangs: %v", err)
	}
	for name, script := range map[string]string{"in the clear": `read -r k; echo "x:$k"`, "nothing": "true", "spaces": "echo a b", "what does not come out again": `[ "$1" = wrap ] && echo wrapped`} {
		fresh := &table{}
		if _, err := begin(t, command("north", script), fresh); err == nil || len(fresh.envelope)+len(fresh.keys) > 0 {
			t.Errorf("wraps to %s: %v", name, err)
		}
	}
	if _, err := begin(t, Root{Command: []string{filepath.Join(t.TempDir(), "none")}}, rows); !fault.Is(err, fault.Unavailable) {
		t.Errorf("no such program: %v", err)
	}
}

// Neither the key nor what it is wrapped to is in the arguments or the environment.
func TestACommandReadsNoSecretFromItsArgumentsOrEnvironment(t *testing.T) {
	seen := filepath.Join(t.TempDir(), "seen")
	r := mustBegin(t, command("north", `{ echo "$@"; env; } >>"`+seen+`"`+service), &table{})
	text, err := r.data.Text()
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(seen)
	if err != nil || !bytes.Contains(out, []byte("DRAWBRIDGE_KEY_CONTEXT=drawbridge data key dk_")) {
		t.Fatalf("%q, %v", out, err)
	}
	_, e := r.Root()
	if strings.Contains(string(out), strings.TrimRight(text.Reveal(), "=")) || strings.Contains(string(out), e.Wrapped) {
		t.Error("a secret is there for others to read")
	}
}

func mustEnvelope(t *testing.T, rows *table) credential.Envelope {
	t.Helper()
	e, err := credential.ParseEnvelope(rows.envelope)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestARewrapChangesTheRootAndNothingElse(t *testing.T) {
	file := func(t *testing.T) Root { return Root{File: rootFile(t)} }
	kms := func(name string) func(*testing.T) Root {
		return func(*testing.T) Root { return command(name, service) }
	}
	for name, c := range map[string]struct{ old, next func(*testing.T) Root }{
		"file to file": {file, file}, "file to command": {file, kms("north")},
		"command to file": {kms("north"), file}, "command to command": {kms("north"), kms("south")},
	} {
		t.Run(name, func(t *testing.T) {
			rows, old, next := &table{}, c.old(t), c.next(t)
			before := mustBegin(t, old, rows)
			sealed := slices.Clone(rows.keys)
			e, changed, err := Rewrap(t.Context(), rows, old, next, noon().Add(time.Hour))
			if err != nil || !changed || !e.Since.Equal(noon().Add(time.Hour)) {
				t.Fatalf("%+v, %t, %v", e, changed, err)
			}
			after := mustBegin(t, next, rows)
			if !bytes.Equal(before.JWKS(), after.JWKS()) || len(rows.keys) != 2 || !bytes.Equal(sealed[0].Sealed, rows.keys[0].Sealed) {
				t.Error("the signing keys changed")
			}
			token, err := credential.ParseRefresh(before.RefreshKey().Seal("fam_1", 1, "salt").Reveal())
			if err != nil || !after.RefreshKey().Verify(token, "salt") {
				t.Errorf("a refresh token of before is refused (%v)", err)
			}
			if _, err := begin(t, old, rows); err == nil {
				t.Error("the old root still opens it")
			}
			if last := rows.told[len(rows.told)-1]; last.Type != event.DataKeyRewrapped || last.Data["root"] != e.Root {
				t.Errorf("told %+v", last)
			}
			if _, changed, err := Rewrap(t.Context(), rows, old, next, noon()); changed || (err != nil) != (e.Root == credential.RootCommand) {
				t.Errorf("a second time: %t, %v", changed, err)
			}
		})
	}
}

// A database of before goes under a command without a start in between.
func TestAFormerDatabaseIsRewrapped(t *testing.T) {
	old, rows, refresh := formerRows(t)
	next := command("north", service)
	if _, _, err := Rewrap(t.Context(), rows, Root{File: rootFile(t)}, next, noon()); !fault.Is(err, fault.Invalid) || len(rows.envelope) > 0 {
		t.Fatalf("a root that is not its own: %v", err)
	}
	if _, changed, err := Rewrap(t.Context(), rows, old, next, noon()); err != nil || !changed {
		t.Fatal(err)
	}
	token, err := credential.ParseRefresh(refresh)
	if err != nil || !mustBegin(t, next, rows).RefreshKey().Verify(token, "salt") {
		t.Errorf("a refresh token of before is refused (%v)", err)
	}
	if _, err := begin(t, old, rows); !fault.Is(err, fault.Invalid) {
		t.Errorf("the former root opens it: %v", err)
	}
	if _, _, err := Rewrap(t.Context(), &table{}, old, next, noon()); !fault.Is(err, fault.Invalid) {
		t.Errorf("an empty database: %v", err)
	}
}

// Wherever a rewrap stops, exactly one of the two roots opens the database, and it can be done again.
func TestARewrapThatStopsLeavesARootThatOpens(t *testing.T) {
	down := fault.New(fault.Unavailable, "table", "down")
	for name, c := range map[string]struct {
		next Root
		stop func(*table)
		done bool
	}{
		"before the new root wraps":          {command("south", "exit 1"), func(*table) {}, false},
		"between the wrap and the write":     {command("south", service), func(rows *table) { rows.fail = down }, false},
		"after the write, before the answer": {command("south", service), func(rows *table) { rows.lost = true }, true},
	} {
		rows, old := &table{}, command("north", service)
		mustBegin(t, old, rows)
		c.stop(rows)
		if _, changed, err := Rewrap(t.Context(), rows, old, c.next, noon()); err == nil || changed {
			t.Errorf("%s: it says that it was done", name)
		}
		rows.fail, rows.lost = nil, false
		opens, other := old, command("south", service)
		if c.done {
			opens, other = other, opens
		}
		if _, err := begin(t, opens, rows); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := begin(t, other, rows); err == nil {
			t.Errorf("%s: both roots open it", name)
		}
		if c.done {
			continue
		}
		if _, changed, err := Rewrap(t.Context(), rows, old, command("south", service), noon()); err != nil || !changed {
			t.Errorf("%s: again: %v", name, err)
		}
	}
}

// Whoever was second changes nothing.
func TestTwoRewrapsAtOnceAreOne(t *testing.T) {
	rows, old := &table{}, Root{File: rootFile(t)}
	mustBegin(t, old, rows)
	late := rows.envelope
	if _, _, err := Rewrap(t.Context(), rows, old, command("north", service), noon()); err != nil {
		t.Fatal(err)
	}
	if err := rows.KeepEnvelope(t.Context(), late, []byte("late"), event.Event{}); !fault.Is(err, fault.Stale) {
		t.Errorf("%v", err)
	}
}

func TestAnEnvelopeThatCannotBeReadIsNotReplaced(t *testing.T) {
	rows, root := &table{}, Root{File: rootFile(t)}
	mustBegin(t, root, rows)
	rows.envelope = []byte(`{"version":9}`)
	if _, err := begin(t, root, rows); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "backup") || string(rows.envelope) != `{"version":9}` {
		t.Errorf("%v", err)
	}
}

// Whoever can write to the database, and has no root, cannot make the bridge take another data
// key, or begin anew: every part of the envelope is held against the others, the root and the
// signing keys.
func TestATamperedEnvelopeOpensNothing(t *testing.T) {
	root := Root{File: rootFile(t)}
	mine, theirs := &table{}, &table{} // two databases under one root
	mustBegin(t, root, mine)
	mustBegin(t, root, theirs)
	elsewhere := &table{}
	mustBegin(t, Root{File: rootFile(t)}, elsewhere)
	parse := func(rows *table) credential.Envelope {
		e, err := credential.ParseEnvelope(rows.envelope)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	own, other, foreign := parse(mine), parse(theirs), parse(elsewhere)
	whole := bytes.Clone(mine.envelope)
	flipped := []byte(own.Wrapped)
	if flipped[len(flipped)/2]++; !credential.Wrapped(string(flipped)) {
		flipped[len(flipped)/2] = 'A'
	}
	for name, change := range map[string]func(e *credential.Envelope){
		"another's wrapped key":          func(e *credential.Envelope) { e.Wrapped = other.Wrapped },
		"another's name":                 func(e *credential.Envelope) { e.DataKey = other.DataKey },
		"another's name and wrapped key": func(e *credential.Envelope) { e.DataKey, e.Wrapped = other.DataKey, other.Wrapped },
		"another root's name":            func(e *credential.Envelope) { e.RootKey = foreign.RootKey },
		"another root's wrapped key":     func(e *credential.Envelope) { e.Wrapped = foreign.Wrapped },
		"another kind of root":           func(e *credential.Envelope) { e.Root, e.RootKey = credential.RootCommand, "" },
		"cut":                            func(e *credential.Envelope) { e.Wrapped = e.Wrapped[:len(e.Wrapped)/2] },
		"one character":                  func(e *credential.Envelope) { e.Wrapped = string(flipped) },
		"all of another's":               func(e *credential.Envelope) { *e = other },
		"none":                           nil,
	} {
		mine.envelope = nil
		if change != nil {
			e := own
			change(&e)
			text, err := e.Encode()
			if err != nil {
				t.Fatal(err)
			}
			mine.envelope = text
		}
		tampered, told := bytes.Clone(mine.envelope), len(mine.told)
		if _, err := begin(t, root, mine); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(mine.envelope, tampered) || len(mine.told) != told {
			t.Errorf("%s: something was written", name)
		}
	}
	mine.envelope = whole
	mustBegin(t, root, mine)
}

// The sample command, with something in vault's place that answers as its transit engine does.
func TestTheSampleRootCommandWrapsAndUnwraps(t *testing.T) {
	bin := t.TempDir()
	vault := `#!/bin/sh
[ "$1" = write ] && [ $# = 5 ] || exit 2
bound=${5#associated_data=}
case "$2 $3 $4" in
"-field=ciphertext transit/encrypt/drawbridge plaintext=-") printf 'vault:v1:%s:%s\n' "$bound" "$(tr A-Za-z N-ZA-Mn-za-m)" ;;
"-field=plaintext transit/decrypt/drawbridge ciphertext=-") sed "s|^vault:v1:$bound:||" | tr A-Za-z N-ZA-Mn-za-m ;;
*) exit 2 ;;
esac
`
	if err := os.WriteFile(filepath.Join(bin, "vault"), []byte(vault), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	root, rows := Root{Command: []string{"/bin/sh", "../../examples/root/vault.sh"}, Timeout: time.Minute}, &table{}
	first, second := mustBegin(t, root, rows), mustBegin(t, root, rows)
	if !bytes.Equal(first.JWKS(), second.JWKS()) || !strings.HasPrefix(mustEnvelope(t, rows).Wrapped, "vault:v1:") {
		t.Errorf("%s", rows.envelope)
	}
}
