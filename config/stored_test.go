package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/mapping"
)

const leftToTheStore = `
version: 1
vendor: { name: Lantern Fleet Safety }
server: { public_url: http://localhost:8080 }
scopes: store
connections:
  banksia-entra:
    idp: entra
    name: Banksia Buses
    ceiling: { scope: southern/banksia, grants: [ standard, associate ] }
  southern-entra:
    idp: entra
    name: Southern Telematics
    root: southern
    ceiling: { scope: southern, grants: [ standard ] }
rules:
  - { id: one, from: banksia-entra, group: "GL {fleet} Managers", give: "standard @ southern/banksia/{fleet}" }
  - { id: two, from: southern-entra, group: "GL {account} Wagga", give: "standard @ southern/{account}/wagga", guest: [ standard @ southern/banksia/geelong ] }
tests:
  - name: a manager
    as: { from: banksia-entra, groups: [ GL Geelong Managers ] }
    primary: standard @ southern/banksia/geelong
    never_sees: [ southern/wattle ]
`

func TestATreeInTheStoreIsTakenAtItsWord(t *testing.T) {
	c, err := Parse("drawbridge.yaml", []byte(leftToTheStore), nil, noFiles)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Policy.TreeInStore || len(c.Policy.Scopes) != 1 || c.Policy.Scopes[0].Name != "Lantern Fleet Safety" {
		t.Errorf("the file carries %+v", c.Policy.Scopes)
	}
	if got := mapping.ProvisionalPath(c.Connections[0].Ceiling.Scope); got != "southern/banksia" || mapping.ProvisionalPath(c.Connections[1].Root) != "southern" {
		t.Errorf("the ceiling lies at %q", got)
	}
}

// What needs no tree is checked all the same: here that nothing lies above a ceiling.
func TestATreeInTheStoreHidesNoOtherFault(t *testing.T) {
	for change, want := range map[[2]string]string{
		{"standard @ southern/banksia/{fleet}", "standard @ southern/{account}"}:       "lies above the ceiling",
		{"standard @ southern/banksia/{fleet}", "elevated @ southern/banksia/{fleet}"}: "does not allow elevated",
		{"scope: southern/banksia,", "scope: Southern/Banksia,"}:                       "is not the path of a scope",
		{"\"GL {fleet} Managers\"", "\"GL {flet} Managers\""}:                          "{flet} is not a level",
		{"scopes: store", "scopes: stored"}:                                            "scopes",
	} {
		_, err := Parse("drawbridge.yaml", []byte(strings.Replace(leftToTheStore, change[0], change[1], 1)), nil, noFiles)
		var problems *Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", change[1], err)
		}
	}
}
