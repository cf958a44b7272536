//go:build lanes

package redis

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/hot/hottest"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// ACL is what docs/operations.md says that the bridge's user needs.
var acl = []string{"~{*", "+evalsha", "+eval", "+get", "+set", "+del", "+pexpire", "+pttl", "+info", "+time", "+incr", "+hget", "+hset", "+hdel", "+hincrby",
	"+zadd", "+zrem", "+zcard", "+zscore", "+zrange", "+zrevrange", "+zrangebyscore", "+zremrangebyscore", "+zincrby",
	"+rpush", "+lpop", "+lrem", "+llen", "+lindex", "+lrange", "+lpos", "+xadd", "+xrange", "+xread", "+client", "+cluster", "+hello", "+ping"}

// A user of the ACL that may do no more than the bridge needs passes the whole contract.
func TestContractAsAUserWhoMayDoLittle(t *testing.T) {
	s := start(t)
	args := []any{"ACL", "SETUSER", "bridge", "on", ">of the bridge"}
	for _, may := range acl {
		args = append(args, may)
	}
	s.do(args...)
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
	_, _, err = f.Next(t.Context(), hot.Position{Incarnation: p.Incarnation, Number: p.Number + 3}, 50*time.Millisecond)
	ok(t, err)
	where.Password = secret.New("another")
	key, err := laneKey.HotKey()
	ok(t, err)
	if _, err := Open(t.Context(), Config{Server: where, Key: key}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("another password: %v", err)
	}
}

// TLS is verified: a server with another certificate is not spoken to.
func TestTLSIsVerified(t *testing.T) {
	dir := t.TempDir()
	roots := certificate(t, dir)
	number := port(t)
	start(t, "--tls-port", fmt.Sprint(number), "--tls-cert-file", filepath.Join(dir, "cert.pem"), "--tls-key-file", filepath.Join(dir, "key.pem"), "--tls-auth-clients", "no")
	where, err := Parse(fmt.Sprintf("rediss://:%s@127.0.0.1:%d", "pass%20of%20the%20lane", number))
	ok(t, err)
	key, err := laneKey.HotKey()
	ok(t, err)
	if _, err := Open(t.Context(), Config{Server: where, Key: key}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a certificate that nobody vouches for: %v", err)
	}
	where.TLS.RootCAs = roots
	e := engine(t, where, Limits{})
	world(t, e)
	change(t, e)
	nothingTwice(t, e)
}

// certificate makes one of 127.0.0.1 that vouches for itself.
func certificate(t *testing.T, dir string) *x509.CertPool {
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
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	ok(t, err)
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	ok(t, err)
	pool.AddCert(leaf)
	return pool
}
