package redis

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// Server says where Redis is and who the bridge is there. The zero Timeout and Connections mean
// their defaults.
type Server struct {
	Addresses []string // host:port: of the server, of Sentinels (with Master), or of some nodes of a Cluster
	Master    string   // what the Sentinels call the primary; "" without them
	Cluster   bool
	Database  int // not in a Cluster

	Username         string // of the ACL; "" is the default user
	Password         secret.String
	SentinelUsername string
	SentinelPassword secret.String
	TLS              TLS
	// InsecureAllowPlaintext lets the bridge talk to another machine without TLS or without a
	// password, where a network that nobody else is in carries it.
	InsecureAllowPlaintext bool

	Timeout     time.Duration // for each answer, of which a verb waits for three at most: 300 ms
	Connections int           // to each server at most: 10 for each core
}

// TLS is how a server is spoken to. The zero TLS is in the clear, which only this machine is good
// enough for.
type TLS struct {
	On          bool
	CA          []byte        // PEM: whose certificates are believed; empty: those that the machine believes
	Certificate []byte        // PEM: what the bridge shows a server that asks for it; empty: nothing
	Key         secret.String // PEM: of Certificate
}

// config is Go's own; nil in the clear. fault.Invalid for what is not PEM, or does not fit.
func (t TLS) config(op string) (*tls.Config, error) {
	if !t.On {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(t.CA) > 0 {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(t.CA) {
			return nil, fault.New(fault.Invalid, op, "there is no certificate (PEM) in the file of those whose certificates Redis may show")
		}
	}
	if len(t.Certificate) > 0 || !t.Key.Empty() {
		pair, err := tls.X509KeyPair(t.Certificate, []byte(t.Key.Reveal()))
		if err != nil {
			return nil, fault.New(fault.Invalid, op, "the certificate for Redis and its key are not a pair of PEM files")
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// Schemes of Parse, and what each stands for.
var schemes = map[string]struct{ tls, cluster, sentinel bool }{
	"redis": {}, "rediss": {tls: true},
	"redis-cluster": {cluster: true}, "rediss-cluster": {tls: true, cluster: true},
	"redis-sentinel": {sentinel: true}, "rediss-sentinel": {tls: true, sentinel: true},
}

// Parse reads one address:
//
//	redis://[user[:password]@]host[:port][/database]
//	redis-cluster://[user[:password]@]host[:port],host[:port]…
//	redis-sentinel://[user[:password]@]host[:port],host[:port]…/master[/database]
//
// each with rediss for redis where TLS is spoken, by the roots of this machine. What is not an
// address is fault.Invalid; its text, which may hold a password, is not in the error.
func Parse(address string) (Server, error) {
	const op = "redis.Parse"
	scheme, rest, found := strings.Cut(address, "://")
	kind, known := schemes[scheme]
	if !found || !known {
		return Server{}, fault.New(fault.Invalid, op, "the address of Redis begins with redis://, redis-cluster:// or redis-sentinel://, or with rediss for redis where TLS is spoken")
	}
	s := Server{Cluster: kind.cluster}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		if err := s.takeUser(rest[:at]); err != nil {
			return Server{}, err
		}
		rest = rest[at+1:]
	}
	hosts, path, _ := strings.Cut(rest, "/")
	if err := s.takeHosts(hosts, kind.sentinel, kind.cluster); err != nil {
		return Server{}, err
	}
	if err := s.takePath(path, kind.sentinel, kind.cluster); err != nil {
		return Server{}, err
	}
	s.TLS.On = kind.tls
	return s, nil
}

func (s *Server) takeUser(info string) error {
	user, password, _ := strings.Cut(info, ":")
	user, err1 := url.PathUnescape(user)
	password, err2 := url.PathUnescape(password)
	if err1 != nil || err2 != nil {
		return fault.New(fault.Invalid, "redis.Parse", "the user or password in the address of Redis is not percent-encoded as it has to be")
	}
	s.Username, s.Password = user, secret.New(password)
	return nil
}

func (s *Server) takeHosts(hosts string, sentinel, cluster bool) error {
	const op = "redis.Parse"
	port := "6379"
	if sentinel {
		port = "26379"
	}
	for _, host := range strings.Split(hosts, ",") {
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		name, number, err := net.SplitHostPort(host)
		if n, bad := strconv.ParseUint(number, 10, 16); err != nil || bad != nil || n == 0 || name == "" || strings.ContainsAny(name, " @?#") {
			return fault.New(fault.Invalid, op, "the address of Redis names no host and port")
		}
		s.Addresses = append(s.Addresses, host)
	}
	if len(s.Addresses) > 1 && !sentinel && !cluster {
		return fault.New(fault.Invalid, op, "several hosts are a Cluster (redis-cluster://) or Sentinels (redis-sentinel://)")
	}
	return nil
}

func (s *Server) takePath(path string, sentinel, cluster bool) error {
	const op = "redis.Parse"
	if sentinel {
		s.Master, path, _ = strings.Cut(path, "/")
		if s.Master == "" {
			return fault.New(fault.Invalid, op, "after the Sentinels comes a slash and what they call the primary: redis-sentinel://host:26379/mymaster")
		}
	}
	if path == "" {
		return nil
	}
	n, err := strconv.ParseUint(path, 10, 16)
	if err != nil || cluster {
		return fault.New(fault.Invalid, op, "after the host comes nothing, or a slash and the number of a database, which a Cluster does not have")
	}
	s.Database = int(n)
	return nil
}

// options are Redis's own. Its client may repeat whatever it sends twice, for every script of ours
// may be repeated.
func (s Server) options() (*goredis.UniversalOptions, error) {
	if err := s.Sound(); err != nil {
		return nil, err
	}
	secured, err := s.TLS.config("redis.Open")
	if err != nil {
		return nil, err
	}
	timeout := s.Timeout
	if timeout <= 0 {
		timeout = 300 * time.Millisecond
	}
	return &goredis.UniversalOptions{
		Addrs: s.Addresses, MasterName: s.Master, IsClusterMode: s.Cluster, DB: s.Database, ClientName: "drawbridge",
		Username: s.Username, Password: s.Password.Reveal(), SentinelUsername: s.SentinelUsername, SentinelPassword: s.SentinelPassword.Reveal(), TLSConfig: secured,
		MaxRetries: answersPer - 1, MinRetryBackoff: 8 * time.Millisecond, MaxRetryBackoff: 64 * time.Millisecond, MaxRedirects: 4,
		Dialer: dialler(secured, timeout), DialTimeout: timeout, DialerRetries: 1, ReadTimeout: timeout, WriteTimeout: timeout, PoolTimeout: timeout, ContextTimeoutEnabled: true,
		PoolSize: s.Connections, ConnMaxIdleTime: 5 * time.Minute,
	}, nil
}

// Sound refuses what would carry what people sign in by in the clear, as fault.Invalid.
func (s Server) Sound() error {
	const op = "redis.Open"
	switch {
	case len(s.Addresses) == 0:
		return fault.New(fault.Invalid, op, "Redis has no address")
	case s.Cluster && (s.Master != "" || s.Database != 0):
		return fault.New(fault.Invalid, op, "a Redis Cluster has no Sentinels and one database")
	}
	for _, address := range s.Addresses {
		if loopback(address) || s.InsecureAllowPlaintext {
			continue
		}
		if !s.TLS.On {
			return fault.New(fault.Invalid, op, "Redis at %s is another machine: use TLS (rediss://)", address)
		}
		if s.Password.Empty() {
			return fault.New(fault.Invalid, op, "Redis at %s is another machine: it needs a password or an ACL user", address)
		}
	}
	return nil
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
