package bridge

import (
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// TestTB14_WhatACursorIsBoundToIsOneConnections: of two connections, none has a list that is
// bound as one of the other's is, wherever the border between the two parts may be thought.
func TestTB14_WhatACursorIsBoundToIsOneConnections(t *testing.T) {
	seen := map[string]string{}
	for _, sign := range []string{":", "|", "/", " ", ",", ".", "\\", "::"} {
		text := strings.Join([]string{"north", "Users", "active", "2"}, sign)
		for at := range text {
			if !strings.HasPrefix(text[at:], sign) {
				continue
			}
			conn, list := text[:at], text[at+len(sign):]
			bound := cursors{conn: access.ConnectionID(conn)}.bind(list)
			if other, taken := seen[bound]; taken {
				t.Errorf("%q of %q and %s are bound alike: %q", list, conn, other, bound)
			}
			seen[bound] = conn
		}
	}
}
