package postgres

import (
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// A server elsewhere must prove who it is; one on this machine need not.
func TestAddresses(t *testing.T) {
	for url, safe := range map[string]bool{
		"postgres://u@db.example/d?sslmode=verify-full":                    true,
		"postgres://u@127.0.0.1/d?sslmode=disable":                         true,
		"postgres://u@[::1]/d":                                             true,
		"postgres://u@localhost/d":                                         true,
		"host=/run/postgresql user=u dbname=d":                             true,
		"postgres://u@a.example,b.example/d?sslmode=verify-full":           true,
		"postgres://u@db.example/d":                                        false, // prefer: whatever the server wants
		"postgres://u@db.example/d?sslmode=disable":                        false,
		"postgres://u@db.example/d?sslmode=require":                        false,
		"postgres://u@db.example/d?sslmode=verify-ca":                      false, // anybody whom the authority knows
		"postgres://u@10.0.0.7/d":                                          false,
		"postgres://u@localhost,db.example/d?sslmode=prefer":               false,
		"postgres://u@localhost.example/d?sslmode=require":                 false,
		"postgres://u@db.example:5432,127.0.0.1:5432/d?sslmode=allow":      false,
		"host=db.example user=u dbname=d sslmode=verify-full sslrootcert=": true,
	} {
		c, err := configure(url, 4)
		if safe && err != nil || !safe && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", url, err)
		}
		if err == nil && (c.MaxConns != 4 || c.ConnConfig.RuntimeParams["statement_timeout"] != "30000" || c.ConnConfig.RuntimeParams["lock_timeout"] != "10000" ||
			c.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] != "30000") {
			t.Errorf("%s: %+v", url, c.ConnConfig.RuntimeParams)
		}
	}
	if _, err := configure("postgres://u@[", 4); !fault.Is(err, fault.Invalid) {
		t.Errorf("no address: %v", err)
	}
}

// What is refused at the start, and what is only told.
func TestServers(t *testing.T) {
	good := settings{version: 150004, commit: "on", fsync: "on", pages: "on", encoding: "UTF8", sides: "ANY 1 (*)"}
	if err := good.refused(); err != nil || len(good.findings()) != 0 {
		t.Errorf("a good server: %v, %v", err, good.findings())
	}
	for name, c := range map[string]struct {
		change func(*settings)
		kind   fault.Kind
	}{
		"old":            {func(s *settings) { s.version = 130010 }, fault.Unsupported},
		"standby":        {func(s *settings) { s.standby = true }, fault.Unavailable},
		"Latin 1":        {func(s *settings) { s.encoding = "LATIN1" }, fault.Invalid},
		"asynchronous":   {func(s *settings) { s.commit = "off" }, fault.Invalid},
		"local":          {func(s *settings) { s.commit = "local" }, fault.Invalid},
		"nothing synced": {func(s *settings) { s.fsync = "off" }, fault.Invalid},
	} {
		s := good
		c.change(&s)
		if err := s.refused(); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	alone := good
	alone.sides = ""
	if found := alone.findings(); len(found) != 0 { // there is nobody to wait for, or a service does it behind the server
		t.Errorf("of a server without standbys: %v", found)
	}
	alone.pages, alone.copies, alone.unbound = "off", 2, true
	var codes []string
	for _, f := range alone.findings() {
		codes = append(codes, f.Code)
	}
	if !slices.Equal(codes, []string{"no_synchronous_standby", "row_security_bypassed", "partial_pages"}) {
		t.Errorf("found %v", codes)
	}
}
