package bridge_test

import "testing"

// TestTheIDTokenShowsWhatTheScopesShow, as userinfo does, and nothing else of the person.
func TestTheIDTokenShowsWhatTheScopesShow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.group(banksia, "GL Geelong Managers", w.person(banksia, "sam@banksia.example", "oid-sam"))
	for _, c := range []struct {
		scopes      []string
		email, name bool
	}{{nil, false, false}, {[]string{"email"}, true, false}, {[]string{"profile"}, false, true}, {[]string{"email", "profile"}, true, true}} {
		id := payload(t, w.session(banksia, "oid-sam", c.scopes...).tokens.IDToken)
		if (id["email"] != nil) != c.email || (id["preferred_username"] != nil) != c.name {
			t.Errorf("with %v the ID token says %v", c.scopes, id)
		}
	}
}
