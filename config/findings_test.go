package config

import (
	"strings"
	"testing"
	"time"
)

func TestFindingsAreNoErrors(t *testing.T) {
	file := small + `connections:
  okta: { idp: okta, name: O, ceiling: { scope: southern, grants: [ standard ] } }
attributes: { department: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", title: title }
conditions: { in_support: attr.department == "Support", spare: "true" }
rules:
  - { id: gone, from: okta, group: A, give: standard @ southern, expires: 2026-01-01T00:00:00Z }
  - { id: over, from: okta, group: A, give: standard @ southern, until: 2026-06-01T00:00:00Z }
  - { id: nobody, from: okta, all: [ A, B ], none: [ b ], give: standard @ southern }
  - { id: fine, from: okta, group: A, when: in_support, give: standard @ southern, expires: 2026-06-01T00:00:01Z }
`
	c, err := Parse("x.yaml", []byte(file), nil, noFiles)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range c.Findings(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)) {
		if f.Pos.Line == 0 {
			t.Errorf("%s has no place", f.Message)
		}
		got = append(got, strings.SplitN(f.Message, ":", 2)[0])
	}
	if text := strings.Join(got, ", "); text != "rule gone, rule over, rule nobody, condition spare, attribute title" {
		t.Error(text)
	}
}
