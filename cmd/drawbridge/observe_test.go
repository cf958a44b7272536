package main

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"

	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/schema"
	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

// What a request that was let in quotes, a name, an address or a value that its schema
// never returns, does not get into log lines by way of its refusal.
func TestALogLineQuotesNothingThatWasSent(t *testing.T) {
	const literal = "Lindgren"
	quoting := errors.New("userName eq \"" + literal)
	refused := traffic.Request{Resource: "Users", Type: schema.Users(), Status: 400, Where: quoting.Error(), Detail: "the string has no closing quote, at character 13"}
	for name, c := range map[string]struct {
		o     scim.Observation
		want  string
		quote bool
	}{
		"a refusal":             {scim.Observation{Connection: "a", Status: 400, Err: quoting, Traffic: refused}, "no closing quote", false},
		"a bulk":                {scim.Observation{Connection: "a", Status: 200, Err: quoting, Traffic: traffic.Request{Refused: 3}}, "3 operations", false},
		"a fault of ours":       {scim.Observation{Connection: "a", Status: 500, Err: quoting}, literal, true},
		"whoever stays outside": {scim.Observation{Status: 401, Err: errors.New("there is no such token")}, "no such token", false},
	} {
		into := zapcore.NewMapObjectEncoder()
		why(c.o).AddTo(into)
		line, _ := into.Fields["error"].(string)
		if !strings.Contains(line, c.want) || strings.Contains(line, literal) != c.quote {
			t.Errorf("%s is logged as %q", name, line)
		}
	}
}
