package scim

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestADocumentIsCutOnlyBetweenItsMembers(t *testing.T) {
	doc := `{"a":"x,\"}{","b":{"c":[1,{"d":"]"}],"e":null},"f":-1.5e3,"g":[],"h":true,"i":"\\"}`
	want := []string{`a="x,\"}{"`, `b={"c":[1,{"d":"]"}],"e":null}`, `f=-1.5e3`, `g=[]`, `h=true`, `i="\\"`}
	var got []string
	err := eachMember([]byte(doc), func(name, value []byte) error {
		got = append(got, string(name)+"="+string(value))
		return nil
	})
	if err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("members %q, error %v", got, err)
	}
}

func TestAnArrayIsCutOnlyBetweenItsElements(t *testing.T) {
	var got []string
	err := eachElement([]byte(`["a,b",[1,2],{"x":","},7]`), func(v []byte) error {
		got = append(got, string(v))
		return nil
	})
	if want := `"a,b" [1,2] {"x":","} 7`; err != nil || strings.Join(got, " ") != want {
		t.Errorf("elements %q, error %v", got, err)
	}
}

func TestABrokenDocumentIsAnErrorNotAGuess(t *testing.T) {
	none := func(_, _ []byte) error { return nil }
	for _, doc := range []string{``, `{`, `}`, `[]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":"x}`, `{"a":[1}`, `{"a":]1}`, `{a:1}`, `{"a":1 "b":2}`, `{"a":{"b":1}`, `{,"a":1}`} {
		if err := eachMember([]byte(doc), none); err == nil && !json.Valid([]byte(doc)) && !strings.Contains(doc, " ") {
			t.Errorf("%q was read without an error", doc)
		}
	}
}

// FuzzEachMember: on every compact JSON object the members are the ones that
// encoding/json sees, and nothing makes the scanner fail otherwise than by an error.
func FuzzEachMember(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1}`, `{"a":"\\\"","b":[{"c":{}}]}`, `{"a":[`, `{"":{"x":[[]]}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		n := 0
		err := eachMember(doc, func(_, value []byte) error {
			n++
			return nil
		})
		compact, ok := compactObject(doc)
		if !ok || string(compact) != string(doc) {
			return
		}
		var want []json.RawMessage
		dec := json.NewDecoder(strings.NewReader(string(doc)))
		_, _ = dec.Token()
		for dec.More() {
			if _, err := dec.Token(); err != nil {
				return
			}
			var v json.RawMessage
			if err := dec.Decode(&v); err != nil {
				return
			}
			want = append(want, v)
		}
		if err != nil || n != len(want) {
			t.Errorf("%q: %d members, want %d (%v)", doc, n, len(want), err)
		}
	})
}

func compactObject(doc []byte) ([]byte, bool) {
	if len(doc) == 0 || doc[0] != '{' || !json.Valid(doc) {
		return nil, false
	}
	var b strings.Builder
	inString, esc := false, false
	for _, c := range doc {
		if !inString && strings.IndexByte(" \t\r\n", c) >= 0 {
			continue
		}
		b.WriteByte(c)
		switch {
		case esc:
			esc = false
		case inString && c == '\\':
			esc = true
		case c == '"':
			inString = !inString
		}
	}
	return []byte(b.String()), true
}
