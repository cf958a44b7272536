package main

import (
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/examples"
)

// Entra gives oid and tid with the profile scope only; others are asked for no
// more than who the person is.
func TestEntraIsAskedForTheProfileThatHoldsTheObjectID(t *testing.T) {
	cfg, err := config.Parse("examples/drawbridge.yaml", examples.Drawbridge, nil, config.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range providers(cfg) {
		if asked := slices.Contains(p.OAuthScopes, "profile"); asked != (p.SubjectClaim == "oid") {
			t.Errorf("%s: identified by %s, profile asked for: %t", p.Connection, p.SubjectClaim, asked)
		}
	}
}
