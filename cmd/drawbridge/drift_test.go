package main

import (
	"net/http"
	"strings"
	"testing"
)

// A member id that is nobody's is found by doctor, listed by connection drift with
// nothing that a terminal would obey, and gone once somebody has seen it.
func TestDriftIsFoundListedAndForgotten(t *testing.T) {
	t.Parallel()
	d := startDemo(t, t.TempDir())
	c := d.connection("tundra-okta")
	body := `{"displayName":"Anything","members":[{"value":"per_gone"},{"value":"\u001b[2Jclear"}]}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.SCIMURL+"/Groups", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.SCIMToken)
	r.Header.Set("Content-Type", "application/scim+json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusCreated {
		t.Fatalf("the group was answered with %d (%v)", answer.StatusCode, err)
	}
	for _, step := range []struct {
		args []string
		want string
	}{
		{[]string{"doctor"}, "tundra-okta: the identity provider names 2 member ids that are nobody's here, in 1 group\n"},
		{[]string{"connection", "drift"}, `"per_gone"`},
		{[]string{"connection", "drift", "tundra-okta"}, `"\x1b[2Jclear"`},
		{[]string{"connection", "drift", "tundra-okta", "--json"}, `"times": 1`},
		{[]string{"connection", "drift", "southern-entra"}, "No identity provider names"},
		{[]string{"connection", "drift", "southern-entra", "--acknowledge"}, "0 findings"},
		{[]string{"connection", "drift", "tundra-okta", "--acknowledge"}, "2 findings forgotten"},
		{[]string{"connection", "drift"}, "No identity provider names"},
	} {
		code, out := d.command(step.args...)
		if code != exitDone || !strings.Contains(out, step.want) || strings.Contains(out, "\x1b") {
			t.Errorf("%v ends with %d and says %q, want %q", step.args, code, out, step.want)
		}
	}
	if code, out := d.command("connection", "drift", "tundra-okta", "--acknowledge", "--group", "grp_nothing"); code != exitNo || !strings.Contains(out, "no such group") {
		t.Errorf("a group that is not there: %d %q", code, out)
	}
}
