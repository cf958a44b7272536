package redis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

func TestAddressesAreRead(t *testing.T) {
	for address, want := range map[string]string{
		"redis://127.0.0.1":                                "[127.0.0.1:6379] db 0",
		"redis://[::1]:7000/3":                             "[[::1]:7000] db 3",
		"redis://[::1]":                                    "[[::1]:6379] db 0",
		"rediss://bridge:p%40ss@redis.example:6380":        "[redis.example:6380] db 0 user bridge p@ss tls",
		"redis://:only@localhost":                          "[localhost:6379] db 0 user  only",
		"redis-cluster://a.example,b.example:7001":         "[a.example:6379 b.example:7001] db 0 cluster",
		"rediss-sentinel://u:p@a.example,b.example/main/2": "[a.example:26379 b.example:26379] db 2 user u p master main tls",
	} {
		s, err := Parse(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		got := fmt.Sprintf("%v db %d", s.Addresses, s.Database)
		if !s.Password.Empty() {
			got += " user " + s.Username + " " + s.Password.Reveal()
		}
		if s.Master != "" {
			got += " master " + s.Master
		}
		if s.Cluster {
			got += " cluster"
		}
		if s.TLS.On {
			got += " tls"
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

func TestWhatIsNoAddressIsRefusedWithoutItsPassword(t *testing.T) {
	for _, address := range []string{"", "127.0.0.1:6379", "http://a", "redis://", "redis://a:0", "redis://a:70000", "redis://a,b", "redis://a/x", "redis://a/-1",
		"redis-cluster://a/1", "redis-sentinel://a", "redis-sentinel://a/", "redis://u:hunter2%zz@a", "redis://u:hunter2@:6379", "redis://hunter2 @a b"} {
		_, err := Parse(address)
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", address, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error shows the password: %v", address, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"redis://u:p@h:1/2", "redis-cluster://a,b:2", "rediss-sentinel://[::1]:3,b/m/1", "redis://@@/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		s, err := Parse(address)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%v", err)
			}
			return
		}
		if len(s.Addresses) == 0 || s.Master != "" && s.Cluster || s.InsecureAllowPlaintext {
			t.Errorf("%q became %+v", address, s)
		}
	})
}

// Another machine is spoken to under TLS, as somebody, or not at all.
func TestNothingGoesInTheClearToAnotherMachine(t *testing.T) {
	verified, pass := TLS{On: true}, secret.New("p")
	for name, c := range map[string]struct {
		server Server
		sound  bool
	}{
		"this machine":                    {Server{Addresses: []string{"127.0.0.1:1", "[::1]:2", "localhost:3"}}, true},
		"no address":                      {Server{}, false},
		"in the clear":                    {Server{Addresses: []string{"redis.example:1"}, Password: pass}, false},
		"one of them in the clear":        {Server{Addresses: []string{"127.0.0.1:1", "10.0.0.2:1"}, Cluster: true}, false},
		"without a password":              {Server{Addresses: []string{"redis.example:1"}, TLS: verified}, false},
		"authorities that are none":       {Server{Addresses: []string{"127.0.0.1:1"}, TLS: TLS{On: true, CA: []byte("none")}}, false},
		"a certificate without its key":   {Server{Addresses: []string{"127.0.0.1:1"}, TLS: TLS{On: true, Certificate: []byte("-----BEGIN")}}, false},
		"TLS and a password":              {Server{Addresses: []string{"redis.example:1"}, Password: pass, TLS: verified}, true},
		"in the clear, said so":           {Server{Addresses: []string{"redis.example:1"}, InsecureAllowPlaintext: true}, true},
		"a Cluster with another database": {Server{Addresses: []string{"127.0.0.1:1"}, Cluster: true, Database: 1}, false},
	} {
		if _, err := c.server.options(); (err == nil) != c.sound || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAServerThatForgetsIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		policy, memory, version string
		suits                   bool
	}{
		"noeviction":      {"noeviction", "1048576", "7.0.15", true},
		"without a bound": {"allkeys-lru", "0", "7.0.15", true},
		"evicts":          {"allkeys-lru", "1048576", "7.0.15", false},
		"evicts some":     {"volatile-ttl", "1048576", "8.2.1", false},
		"does not say":    {"", "", "7.0.15", false},
		"old":             {"noeviction", "0", "6.0.16", false},
		"just new enough": {"noeviction", "0", "6.2.0", true},
		"no version":      {"noeviction", "0", "", false},
	} {
		if err := suits("op", c.policy, c.memory, c.version); (err == nil) != c.suits || err != nil && !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
