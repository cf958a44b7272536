package credential

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/secret"
)

func TestAnUpstreamTokenOpensForItsSessionAlone(t *testing.T) {
	root := NewDataKey()
	key := root.UpstreamKey()
	sealed, err := key.Seal(secret.New("canary4711"), "ses_1")
	if err != nil || bytes.Contains(sealed, []byte("canary")) {
		t.Fatalf("%q, %v", sealed, err)
	}
	if got, err := key.Open(sealed, "ses_1"); err != nil || got.Reveal() != "canary4711" {
		t.Errorf("%v", err)
	}
	other := NewDataKey()
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for name, open := range map[string]func() (secret.String, error){
		"another session":  func() (secret.String, error) { return key.Open(sealed, "ses_2") },
		"another root key": func() (secret.String, error) { return other.UpstreamKey().Open(sealed, "ses_1") },
		"changed":          func() (secret.String, error) { return key.Open(changed, "ses_1") },
		"no key":           func() (secret.String, error) { return UpstreamKey{}.Open(sealed, "ses_1") },
		"nothing":          func() (secret.String, error) { return key.Open(nil, "ses_1") },
	} {
		if got, err := open(); err == nil || !got.Empty() {
			t.Errorf("%s opens it", name)
		}
	}
	if _, err := (UpstreamKey{}).Seal(secret.New("x"), "ses_1"); err == nil {
		t.Error("no key seals")
	}
	if s := fmt.Sprintf("%v %+v %#v", key, key, struct{ K UpstreamKey }{key}); len(s) > 200 {
		t.Errorf("printed: %s", s)
	}
}
