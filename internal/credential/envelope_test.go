package credential

import (
	"bytes"
	"strings"
	"testing"
)

func testRootKey(t testing.TB) RootKey {
	t.Helper()
	root, err := ParseRootKey([]byte(NewRootKey().Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func testEnvelope(t testing.TB, root RootKey, data DataKey) Envelope {
	t.Helper()
	id, err := data.ID()
	if err != nil {
		t.Fatal(err)
	}
	rootID, err := root.ID()
	if err != nil {
		t.Fatal(err)
	}
	e := Envelope{DataKey: id, Root: RootFile, RootKey: rootID, Since: noon()}
	if e.Wrapped, err = root.Wrap(data, e.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestADataKeyOpensUnderItsRootAndInItsEnvelopeAlone(t *testing.T) {
	root, data := testRootKey(t), NewDataKey()
	e := testEnvelope(t, root, data)
	text, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, data.key()[:8]) {
		t.Error("the key lies in the clear")
	}
	read, err := ParseEnvelope(text)
	if err != nil || read != e {
		t.Fatalf("%+v, %v", read, err)
	}
	got, err := root.Unwrap(read.Wrapped, read.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err = read.Open(got); err != nil || *got.key() != *data.key() {
		t.Errorf("another key came out (%v)", err)
	}
	other := testEnvelope(t, root, NewDataKey())
	for name, open := range map[string]func() (DataKey, error){
		"another root key": func() (DataKey, error) { return testRootKey(t).Unwrap(e.Wrapped, e.Context()) },
		"another context":  func() (DataKey, error) { return root.Unwrap(e.Wrapped, other.Context()) },
		"cut":              func() (DataKey, error) { return root.Unwrap(e.Wrapped[:len(e.Wrapped)-4], e.Context()) },
		"no root key":      func() (DataKey, error) { return RootKey{}.Unwrap(e.Wrapped, e.Context()) },
		"another data key": func() (DataKey, error) { return other.Open(data) },
		"no data key":      func() (DataKey, error) { return e.Open(DataKey{}) },
	} {
		if d, err := open(); err == nil || d.key != nil {
			t.Errorf("%s: it opens", name)
		}
	}
	if _, err := root.Wrap(DataKey{}, e.Context()); err == nil {
		t.Error("no key was wrapped")
	}
}

func TestAnEnvelopeIsReadStrictly(t *testing.T) {
	e := testEnvelope(t, testRootKey(t), NewDataKey())
	good, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	with := func(old, new string) string {
		if !strings.Contains(string(good), old) {
			t.Fatalf("%s has no %s", good, old)
		}
		return strings.Replace(string(good), old, new, 1)
	}
	for name, text := range map[string]string{
		"nothing": "", "no JSON": "dk_1", "a list": "[]", "two": string(good) + string(good), "null": "null",
		"newer": with(`"version":1`, `"version":2`), "unknown member": with(`"version":1`, `"version":1,"x":1`),
		"no data key": with(e.DataKey, ""), "another kind of name": with(`"dk_`, `"rk_`), "no root": with(`"file"`, `""`), "unknown root": with(`"file"`, `"paper"`),
		"a file without a name": with(e.RootKey, ""), "a command with one": with(`"file"`, `"command"`),
		"no time": with("2026", "0001"), "wrapped in two lines": with(e.Wrapped, e.Wrapped+`\n`+e.Wrapped), "nothing wrapped": with(e.Wrapped, ""),
		"long": with(e.Wrapped, strings.Repeat("A", MaxWrapped+1)), "huge": with(e.Wrapped, strings.Repeat("A", maxEnvelope)),
	} {
		if _, err := ParseEnvelope([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := (Envelope{}).Encode(); err == nil {
		t.Error("nothing was encoded")
	}
}

func FuzzParseEnvelope(f *testing.F) {
	e := testEnvelope(f, testRootKey(f), NewDataKey())
	text, err := e.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1,"data_key":"dk_a","root":"command","since":"2026-03-02T12:00:00Z","wrapped":"vault:v1:abc"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := ParseEnvelope(text)
		if err != nil {
			return
		}
		again, err := e.Encode()
		if err != nil {
			t.Fatalf("%q is read and cannot be written: %v", text, err)
		}
		if back, err := ParseEnvelope(again); err != nil || back.DataKey != e.DataKey || back.Wrapped != e.Wrapped || back.RootKey != e.RootKey {
			t.Fatalf("%q becomes %q (%v)", text, again, err)
		}
	})
}

func FuzzParseDataKey(f *testing.F) {
	text, err := NewDataKey().Text()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text.Reveal())
	f.Add("AAAA\n")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDataKey(text)
		if err != nil {
			return
		}
		if again, err := d.Text(); err != nil || again.Reveal() != text {
			t.Errorf("%q is read, and written otherwise (%v)", text, err)
		}
	})
}
