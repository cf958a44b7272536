package dialect

import (
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

func TestDialectsByName(t *testing.T) {
	for _, name := range Names() {
		d, ok := Named(name)
		if !ok || d.Name != name || d.Title == "" || d.Leniency != schema.Lenient() || d.PatchUserStatus != 200 || d.PatchGroupStatus != 204 {
			t.Errorf("%s: %+v %v", name, d, ok)
		}
		if d.RawToken != (name == NameOkta) {
			t.Errorf("only Okta sends a bare token, not %s", name)
		}
		if want := map[bool]string{true: "oid", false: "sub"}[name == NameEntra]; d.SubjectClaim != want {
			t.Errorf("%s: people are known by %s, not %s", name, d.SubjectClaim, want)
		}
		if d.Strict().Leniency != (schema.Leniency{}) {
			t.Errorf("%s is not strict when told to be", name)
		}
		for _, kind := range d.Needs {
			if !slices.Contains(Leniencies(), kind) {
				t.Errorf("%s needs %q, which is no leniency", name, kind)
			}
		}
	}
	if d, ok := Named("Entra ID"); ok || d.Name != NameOther {
		t.Errorf("%+v %v", d, ok)
	}
}

func TestEveryLeniencyHasAName(t *testing.T) {
	seen := map[string]bool{}
	for _, kind := range append(Leniencies(), schema.NoteReadOnly, schema.NoteDropped) {
		called := Called(kind)
		if called == kind || seen[called] {
			t.Errorf("%s is called %q", kind, called)
		}
		seen[called] = true
		if said := schema.Sentence(kind, "title"); said == kind+": title" {
			t.Errorf("%s has no sentence", kind)
		}
	}
}

func TestReliancesAreTheKindsOnly(t *testing.T) {
	got := Reliances([]string{"wrapped: title", "any-case: op", "wrapped: name", "wrapped: urn:x:y", "dropped: password", "read-only-ignored: meta"})
	if !slices.Equal(got, []string{"any-case", "wrapped"}) || Reliances(nil) != nil {
		t.Error(got)
	}
}

func TestWhatARequestGivesAway(t *testing.T) {
	for _, c := range []struct {
		name string
		r    Request
		want []string
	}{
		{"nothing", Request{Method: "GET", Resource: "Users", Agent: "curl/8", Query: "count=1"}, nil},
		{"Okta's User-Agent", Request{Method: "GET", Resource: "Users", Agent: "Okta SCIM Client 1.0.0"}, []string{SignOktaAgent}},
		{"authentik's", Request{Method: "PUT", Resource: "Users", Agent: "authentik@2026.8.1"}, []string{SignAuthentikAgent, SignPutUser}},
		{"a checker, whatever it sends", Request{Method: "PATCH", Resource: "Users", Agent: "drawbridge-scimtest (x)", Query: "aadOptscim062020", Notes: []string{schema.NoteAnyCase + ": op"}}, []string{SignChecker}},
		{"the flag, before other parameters", Request{Method: "GET", Resource: "Users", Query: "aadOptscim062020&filter=x"}, []string{SignEntraFlag}},
		{"the flag, with a value, behind them", Request{Method: "PATCH", Resource: "Groups", Query: "a=b&aadOptscim062020="}, []string{SignEntraFlag, SignPatchGroup}},
		{"the flag inside a filter is none", Request{Method: "GET", Resource: "Users", Query: "filter=x+eq+aadOptscim062020"}, nil},
		{"Entra's schema of groups", Request{Method: "POST", Resource: "Groups", Notes: []string{schema.NoteUnknownSchema + ": " + entraGroup}}, []string{SignEntraGroup}},
		{"another unknown schema", Request{Method: "POST", Resource: "Groups", Notes: []string{schema.NoteUnknownSchema + ": urn:x"}}, nil},
		{"SCIM 1.1", Request{Method: "POST", Resource: "Users", Notes: []string{schema.NoteUnknownSchema + ": urn:scim:schemas:core:1.0"}}, []string{SignSCIM1}},
		{"Entra's classic PATCH", Request{Method: "PATCH", Resource: "Users", Notes: []string{schema.NoteAnyCase + ": op", schema.NoteStringBoolean + ": active"}},
			[]string{SignUpperCase, SignTextBoolean, SignEntraPatch, SignPatchUser}},
		{"a bulk's method is no op", Request{Method: "POST", Resource: "Bulk", Notes: []string{schema.NoteAnyCase + ": method"}}, nil},
		{"a whole group", Request{Method: "PUT", Resource: "Groups"}, []string{SignPutGroup}},
	} {
		if got := Signs(c.r); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		for _, sign := range Signs(c.r) {
			if !slices.Contains(signNames(), sign) {
				t.Errorf("%s is not among the signs there are", sign)
			}
		}
	}
}

func TestWhomASpeechSoundsLike(t *testing.T) {
	for _, c := range []struct {
		signs []string
		want  string
		not   string // a configuration that it contradicts; "" for none of them
	}{
		{nil, "no dialect that gives itself away", ""},
		{[]string{SignPutUser, SignPatchGroup}, "no dialect that gives itself away", ""},
		{[]string{SignOktaAgent}, "Okta", NameEntra},
		{[]string{SignOktaAgent, SignPutUser, SignPatchUser}, "Okta with an app that sends changes (PATCH)", NameEntra},
		{[]string{SignOktaAgent, SignPutUser, SignPutGroup}, "Okta with an app that sends whole resources (PUT)", NameEntra},
		{[]string{SignOktaAgent, SignTextBoolean, SignUpperCase}, "Okta", NameEntra}, // a User-Agent says more than a spelling
		{[]string{SignAuthentikAgent}, "authentik", NameKeycloak},
		{[]string{SignEntraFlag}, "Microsoft Entra ID with the flag aadOptscim062020", NameOkta},
		{[]string{SignEntraFlag, SignUpperCase}, "Microsoft Entra ID with and without the flag aadOptscim062020", NameOkta},
		{[]string{SignEntraGroup}, "Microsoft Entra ID without the flag aadOptscim062020", NameOkta},
		{[]string{SignUpperCase, SignTextBoolean, SignEntraPatch}, "Microsoft Entra ID without the flag aadOptscim062020", NameOkta},
		{[]string{SignUpperCase, SignTextBoolean}, "what sounds like Microsoft Entra ID without the flag aadOptscim062020", ""}, // each in a request of its own, as a checker sends them
		{[]string{SignTextBoolean}, "what sounds like Microsoft Entra ID without the flag aadOptscim062020", ""},
		{[]string{SignUpperCase}, "Microsoft Entra ID or JumpCloud", ""},
		{[]string{SignSCIM1}, "what sounds like OneLogin", ""},
		{[]string{SignOktaAgent, SignEntraFlag}, "Okta and Microsoft Entra ID", NamePing},
	} {
		var s Speech
		s.Hear(c.signs, nil)
		v := s.Detect()
		if v.String() != c.want {
			t.Errorf("%v: %q, want %q", c.signs, v, c.want)
		}
		if v.Contradicts(NameOther) || v.Contradicts("") {
			t.Errorf("%v contradicts what says nothing", c.signs)
		}
		for _, name := range Names() {
			wrong := c.not != "" && name != NameOther && !slices.Contains(v.Names, name)
			if v.Contradicts(name) != wrong {
				t.Errorf("%v: contradicts %s: %v", c.signs, name, !wrong)
			}
		}
	}
}

func TestReliancesAreCountedByRequest(t *testing.T) {
	var s Speech
	s.Hear(nil, []string{schema.NoteAnyCase + ": op", schema.NoteStringBoolean + ": active", schema.NoteStringBoolean + ": emails.primary"})
	s.Hear([]string{SignPutUser}, []string{schema.NoteReadOnly + ": meta", schema.NoteDropped + ": password"})
	s.Hear(nil, []string{schema.NoteAnyCase + ": op"})
	s.Hear([]string{SignChecker}, []string{schema.NoteWrapped + ": title"})
	var all Speech
	all.Add(s)
	all.Add(Speech{Requests: 4})
	if got, want := all.Reliance(), "2 of 7 requests relied on a leniency: operations not in lower case (2), booleans sent as text (1)"; got != want {
		t.Errorf("%s", got)
	}
	if got := (Speech{Requests: 2}).Reliance(); got != "none of 2 requests relied on a leniency" {
		t.Error(got)
	}
	if got := (Speech{}).Reliance(); got != "no requests" {
		t.Error(got)
	}
	jumpcloud, _ := Named(NameJumpCloud)
	if got := all.Beyond(jumpcloud); !slices.Equal(got, []string{schema.NoteStringBoolean}) {
		t.Errorf("beyond JumpCloud's needs: %v", got)
	}
	entra, _ := Named(NameEntra)
	if got := all.Beyond(entra); len(got) != 0 {
		t.Errorf("beyond Entra's needs: %v", got)
	}
}

// signNames are all signs: a request must not be able to make up others, since they are counted.
func signNames() []string {
	return []string{SignOktaAgent, SignAuthentikAgent, SignEntraFlag, SignEntraGroup, SignEntraPatch, SignSCIM1, SignUpperCase, SignTextBoolean, SignChecker,
		SignPutUser, SignPutGroup, SignPatchUser, SignPatchGroup}
}
