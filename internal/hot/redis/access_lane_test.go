//go:build lanes

package redis

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/hot/hottest"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// documented is the command by which docs/operations.md makes the bridge's user, for all names.
func documented(t *testing.T, of string) (command []any) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/operations.md")
	ok(t, err)
	_, rest, _ := strings.Cut(string(text), "\nACL SETUSER bridge ")
	line, _, found := strings.Cut(rest, "\n")
	if !found {
		t.Fatal("docs/operations.md makes no user of the bridge's")
	}
	for _, word := range strings.Fields("ACL SETUSER bridge " + line) {
		switch word {
		case ">PASSWORD":
			word = ">" + of
		case "~{drawbridge:*": // each test has names of its own
			word = "~{*"
		}
		command = append(command, word)
	}
	return command
}

// A user of the ACL that may do no more than the bridge needs passes the whole contract.
func TestContractAsAUserWhoMayDoLittle(t *testing.T) {
	s := start(t)
	s.do(documented(t, "of the bridge")...)
	where := s.where()
	where.Username, where.Password = "bridge", secret.New("of the bridge")
	hottest.Run(t, func(t *testing.T) hot.Engine { return engine(t, where, Limits{Requests: 4 << 20}) })
	f := engine(t, where, Limits{}).Feed("news")
	p, err := f.End(t.Context())
	ok(t, err)
	publish(t, f, 0, 3)
	if got, _ := follow(t, f, p); len(got) != 3 {
		t.Errorf("the feed has %+v", got)
	}
	_, _, err = f.Next(t.Context(), hot.Offset{Incarnation: p.Incarnation, Number: p.Number + 3}, 50*time.Millisecond)
	ok(t, err)
	where.Password = secret.New("another")
	key, err := laneKey.HotKey()
	ok(t, err)
	if _, err := Open(t.Context(), Config{Server: where, Key: key}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("another password: %v", err)
	}
}

// TLS is verified both ways: a server with another certificate is not spoken to, and one that asks for
// ours is shown it.
func TestTLSIsVerified(t *testing.T) {
	dir := t.TempDir()
	certificate(t, dir)
	number := port(t)
	cert, private := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	start(t, "--tls-port", fmt.Sprint(number), "--tls-cert-file", cert, "--tls-key-file", private, "--tls-auth-clients", "yes", "--tls-ca-cert-file", cert)
	where, err := Parse(fmt.Sprintf("rediss://:%s@127.0.0.1:%d", "pass%20of%20the%20lane", number))
	ok(t, err)
	refused := func(why string) {
		t.Helper()
		key, err := laneKey.HotKey()
		ok(t, err)
		e, err := Open(t.Context(), Config{Server: where, Key: key})
		if err == nil { // it has hung up, as one that is not there
			defer e.Close() //nolint:errcheck // a test
			err = e.Answers(t.Context())
		}
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", why, err)
		}
	}
	refused("a certificate that nobody vouches for")
	where.TLS.CA, err = os.ReadFile(cert)
	ok(t, err)
	refused("a bridge that shows nothing")
	text, err := os.ReadFile(private)
	ok(t, err)
	where.TLS.Certificate, where.TLS.Key = where.TLS.CA, secret.New(string(text))
	e := engine(t, where, Limits{})
	world(t, e)
	change(t, e)
	nothingTwice(t, e)
}

// certificate makes one of 127.0.0.1 that vouches for itself.
func certificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ok(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ok(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ok(t, err)
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		ok(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
}
