package bridge_test

import (
	"net/http/httptest"
	"os"
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/scim/scimtest"
)

// extended applies the sample policy with the sample schema for one connection.
func (w *world) extended(c access.ConnectionID, own ...access.Extension) bridge.Applied {
	w.t.Helper()
	src := samplePolicy(w.t)
	src.Connections = slices.Clone(src.Connections)
	for i := range src.Connections {
		if src.Connections[i].ID == c {
			src.Connections[i].SCIM.UserExtensions = own
		}
	}
	done, err := w.bridge.ApplyPolicy(w.ctx, src)
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

func driverSchema(t testing.TB) access.Extension {
	t.Helper()
	data, err := os.ReadFile("../../examples/schemas/driver.json")
	if err != nil {
		t.Fatal(err)
	}
	return access.Extension{Schema: data}
}

func TestABridgeWithOwnSchemasGetsNoFinding(t *testing.T) {
	t.Parallel()
	optional, needed := driverSchema(t), driverSchema(t)
	needed.Required = true
	t.Run("optional", func(t *testing.T) { getsNoFinding(t, access.SCIM{UserExtensions: []access.Extension{optional}}) })
	t.Run("required", func(t *testing.T) { getsNoFinding(t, access.SCIM{UserExtensions: []access.Extension{needed}}) })
	t.Run("strict", func(t *testing.T) { getsNoFinding(t, access.SCIM{Strict: true}) })
	t.Run("strict and required", func(t *testing.T) {
		getsNoFinding(t, access.SCIM{Strict: true, UserExtensions: []access.Extension{needed}})
	})
}

func getsNoFinding(t *testing.T, c access.SCIM) {
	t.Parallel()
	w := newWorld(t)
	src := samplePolicy(t)
	src.Connections = slices.Clone(src.Connections)
	for i := range src.Connections {
		if src.Connections[i].ID == banksia {
			src.Connections[i].SCIM = c
		}
	}
	if _, err := w.bridge.ApplyPolicy(w.ctx, src); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.scim)
	t.Cleanup(server.Close)
	report, err := scimtest.Run(t.Context(), scimtest.Options{BaseURL: server.URL + "/scim/v2/" + banksia, Token: w.tokens[banksia]})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Findings {
		if f.Verdict != scimtest.Holds && f.Verdict != scimtest.Skipped {
			t.Errorf("%s %s: %s\n%s\n%s", f.ID, f.Verdict, f.Found, f.Sent, f.Received)
		}
	}
	if report.Grade != "A" {
		t.Errorf("grade %s", report.Grade)
	}
}

// TestOwnSchemasArePartOfThePolicy: they are in force with its commit, on every node,
// and after a restart; the same schema again is no change.
func TestOwnSchemasArePartOfThePolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const at = "/Schemas/urn:banksia:scim:schemas:extension:driver:1.0:User"
	w.must(404, banksia, "GET", at, "")
	if done := w.extended(banksia, driverSchema(t)); !done.Changed {
		t.Error("a schema is a change of the policy")
	}
	w.must(200, banksia, "GET", at, "")
	w.must(404, southern, "GET", at, "")
	if done := w.extended(banksia, driverSchema(t)); done.Changed {
		t.Error("the same schema again is a change")
	}
	w.restart()
	w.must(200, banksia, "GET", at, "")
	w.extended(banksia)
	w.must(404, banksia, "GET", at, "")
	if _, err := w.bridge.ApplyPolicy(w.ctx, broken(t)); err == nil {
		t.Error("a schema that cannot be read was applied")
	}
	w.must(200, banksia, "GET", "/Users", "")
}

func broken(t *testing.T) mapping.PolicySource {
	t.Helper()
	src := samplePolicy(t)
	src.Connections = slices.Clone(src.Connections)
	src.Connections[0].SCIM.UserExtensions = []access.Extension{{Schema: []byte(`{"id":"urn:example:scim:x","attributes":[]}`)}}
	return src
}
