package config

import (
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/examples"
	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

const complete = "testdata/good/complete.yaml"

// variables is the environment that complete.yaml is read in.
var variables = []string{"A_SECRET=a sample", "A_WEBHOOK_SECRET=whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}

// sampleCA is a certificate that nobody has the key of.
const sampleCA = `-----BEGIN CERTIFICATE-----
MIIBfjCCASOgAwIBAgIUCsLiotBiCNmsqsmjP5/ed8POenowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJU2FtcGxlIENBMB4XDTI2MTEyODAzMDE0NFoXDTQ2MTEyMzAz
MDE0NFowFDESMBAGA1UEAwwJU2FtcGxlIENBMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEVg7HK9n0+DvjA71UvFPKXlbZNGA/VnLrI5BAhXUJVm5jgnSMfJ3y35dp
FkQLQuuR2ySMXGxThCzcvfUYphHU16NTMFEwHQYDVR0OBBYEFNqIzZcBwM5m5g1a
06nPV79kSltLMB8GA1UdIwQYMBaAFNqIzZcBwM5m5g1a06nPV79kSltLMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAOBxtgp284h7NMCermJuZt4p
+ZG0XF6f9dYAmZvcX712AiEA38LIG6Yis2W4Y3cR6mNT9lASQdgfTC5Z5uRQt9CX
acc=
-----END CERTIFICATE-----`

// besides are the files that complete.yaml names.
func besides(path string) ([]byte, error) {
	files := map[string]string{
		"client-secret":             "a sample",
		"webhook-secret":            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
		"testdata/good/driver.json": string(examples.Driver),
		"testdata/good/depot.json":  `{"id":"urn:banksia:scim:schemas:extension:depot:1.0:Group","name":"Depot","attributes":[{"name":"depot"}]}`,
		"ca.pem":                    sampleCA,
		"keys.json":                 `{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`,
	}
	if text, ok := files[path]; ok {
		return []byte(text), nil
	}
	return noFiles(path)
}

// source is what the loader makes of a file's policy, whatever is wrong with it.
func source(t *testing.T, name string, data []byte, read func(string) ([]byte, error)) (mapping.PolicySource, *report) {
	t.Helper()
	g := &gathered{whole: name}
	root, ok := g.open([]File{{name, data}}, map[string][]byte{})
	if !ok {
		t.Fatal(g.problems(Files{}))
	}
	r := root.report
	l := &loader{report: r, env: readEnvironment(variables), read: read, blamed: map[mapping.Pos]bool{}}
	return l.config(root).Policy, r
}

func TestTheRuleLanguageIsRead(t *testing.T) {
	data, err := os.ReadFile(complete)
	if err != nil {
		t.Fatal(err)
	}
	src, _ := source(t, complete, data, besides)
	attributes := []mapping.AttributeSource{{Name: "department", From: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"}, {Name: "title", From: "title"}}
	conditions := []mapping.ConditionSource{{Name: "in_support", CEL: `attr.department == "Support" && !("Contractors" in user.groups)`},
		{Name: "lead", CEL: `attr.department == "Support" && attr.title == "Lead"`}}
	two := int64(2)
	guard := mapping.Guard{Losing: &mapping.Share{Percent: 5}, WithoutAccess: &mapping.Share{}, Administrators: &two,
		Alarm: mapping.Alarm{Gaining: &mapping.Share{People: 50}, Shrunk: &mapping.Share{Percent: 50}, Deleted: &mapping.Share{People: 25}, Within: time.Hour}}
	bare := src.Unplaced()
	for name, pair := range map[string][2]any{"attributes": {bare.Attributes, attributes}, "conditions": {bare.Conditions, conditions}, "guard": {bare.Guard, guard},
		"all": {bare.Rules[1].All, []mapping.GroupRef{{Group: "Field Installers"}, {Group: "Trained"}}}, "none": {bare.Rules[1].None, []mapping.GroupRef{{GroupID: "7c1e"}, {Group: "Contractors"}}},
		"any": {bare.Rules[2].Any, []mapping.GroupRef{{Group: "Service Desk"}, {GroupID: "8d2f"}}}, "when": {bare.Rules[0].When, "in_support"},
		"until": {bare.Rules[0].Until, time.Date(2027, 6, 30, 2, 0, 0, 0, time.UTC)}, "expires": {bare.Rules[0].Expires, time.Date(2027, 12, 31, 0, 0, 0, 0, time.UTC)}} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: got %+v, want %+v", name, pair[0], pair[1])
		}
	}
	test := bare.Tests[0]
	as := mapping.TestPerson{From: "banksia-entra", Email: "sam@banksia.example", Attributes: map[string]any{"department": "Support", "title": "Lead"},
		Groups: []mapping.TestGroup{{GroupRef: mapping.GroupRef{Group: "GL Geelong Managers"}}, {GroupRef: mapping.GroupRef{GroupID: "8d2f"}},
			{GroupRef: mapping.GroupRef{Group: "Trained"}, Since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}},
		Certification: access.Certification{Level: "Trainer", Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}}
	if !reflect.DeepEqual(test.As, as) || *test.Primary != "standard @ southern/banksia/geelong" || len(*test.Guests) != 1 || !*test.MaySignIn || test.At.IsZero() {
		t.Errorf("the test is %+v", test)
	}
}

func TestPlacesOfEntriesAreKnown(t *testing.T) {
	data, err := os.ReadFile(complete)
	if err != nil {
		t.Fatal(err)
	}
	src, r := source(t, complete, data, besides)
	for _, at := range []struct {
		pos  mapping.Pos
		text string
	}{
		{src.Rules[1].FieldPos["all.0"], "Field Installers"},
		{src.Rules[1].FieldPos["all.1"], "{ group: Trained }"},
		{src.Rules[1].FieldPos["none.1"], "Contractors"},
		{src.Rules[2].FieldPos["any.1"], `group_id: "8d2f"`},
		{src.Rules[0].FieldPos["guest.0"], "associate @"},
		{src.Rules[0].FieldPos["until"], "2027-06-30"},
		{src.Attributes[0].Pos, "department:"},
		{src.Attributes[1].FieldPos["from"], "title }"},
		{src.Conditions[0].FieldPos["cel"], "attr.department"},
		{src.Guard.FieldPos["max_people_losing"], "5%"},
		{src.Tests[0].FieldPos["primary"], "standard @"},
		{src.Tests[0].FieldPos["sees.0"], "southern/banksia/geelong"},
		{src.Tests[0].FieldPos["as.groups.1"], `{ group_id: "8d2f" }`},
		{src.Tests[0].FieldPos["as.department"], "Support"},
	} {
		if at.pos.Line == 0 {
			t.Errorf("%q has no place", at.text)
			continue
		}
		if got := r.lines[at.pos.Line-1][at.pos.Col-1:]; len(got) < len(at.text) || got[:len(at.text)] != at.text {
			t.Errorf("%+v is %q, want %q", at.pos, got, at.text)
		}
	}
}

// TestTheFileWithEveryKeyHolds, so that what stands in it is what the loader accepts.
func TestTheFileWithEveryKeyHolds(t *testing.T) {
	data, err := os.ReadFile(complete)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(complete, data, variables, besides); err != nil {
		t.Error(err)
	}
}
