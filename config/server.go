package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/suggest"
)

// How many SCIM requests are kept of each connection, and as many refused ones.
const (
	usualSCIMLog = 2000
	mostSCIMLog  = 20_000
)

// How long a node among others is not ready before it stops taking requests: what stands in
// front of it asks every few seconds.
const (
	usualDrain = 5 * time.Second
	mostDrain  = time.Minute
)

func (l *loader) server(root block) Server {
	f, ok := root.get("server")
	if !ok {
		f = field{report: l.report, path: "server", key: root.token()}
	}
	b := block{field: f}
	if ok {
		b, _ = f.open("listen", "public_url", "metrics_listen", "data", "tls", "log", "trusted_proxies", "scim_rate", "scim_log", "sign_in_rate", "client_failures", "drain", "node")
	}
	s := Server{TLS: l.tls(b), LogLevel: l.logLevel(b), TrustedProxies: b.networks("trusted_proxies"), SCIMRate: b.rate("scim_rate", leastPerSecond),
		SignInRate: b.rate("sign_in_rate", 1), ClientFailures: b.rate("client_failures", 1),
		SCIMLog: b.number("scim_log", usualSCIMLog, mostSCIMLog), Drain: b.duration("drain", 0, mostDrain), Node: nodeName(b)}
	var say func(string, ...any)
	if s.Listen, say = l.overridden(b, "listen", "server.listen", "127.0.0.1:8443"); !isAddress(s.Listen) {
		say("%q is not an address such as 127.0.0.1:8443 or :8443", s.Listen)
	}
	if s.PublicURL, say = l.overridden(b, "public_url", "server.public_url", ""); s.PublicURL == "" {
		if _, there := b.get("public_url"); !there {
			say("public_url is missing: the address at which browsers and applications reach the bridge")
		}
	} else if err := checkOrigin(s.PublicURL); err != nil {
		say("%v", err)
	}
	s.Data, _ = l.overridden(b, "data", "server.data", "./data")
	if s.MetricsListen, say = l.overridden(b, "metrics_listen", "server.metrics_listen", "127.0.0.1:9464"); !isAddress(s.MetricsListen) {
		say("%q is not an address such as 127.0.0.1:9464", s.MetricsListen)
	}
	return s
}

func (l *loader) tls(b block) TLS {
	f, ok := b.get("tls")
	if !ok {
		return TLS{}
	}
	t, ok := f.open("cert_file", "key_file")
	if !ok {
		return TLS{}
	}
	return TLS{CertFile: t.needText("cert_file"), KeyFile: t.needText("key_file")}
}

func (l *loader) logLevel(b block) string {
	var log block
	log.field = b.field
	if f, ok := b.get("log"); ok {
		log, _ = f.open("level")
	}
	levels := []string{"debug", "info", "warn", "error"}
	level, say := l.overridden(log, "level", "log.level", "info")
	if !slices.Contains(levels, level) {
		hint := ""
		if s := suggest.Closest(level, levels); s != "" {
			hint = fmt.Sprintf("; did you mean %q?", s)
		}
		say("the level is %s, not %q%s", either(levels), level, hint)
	}
	return level
}

func isAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsAny(host, " /") {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == port
}

// IsLoopbackURL reports whether a URL's host is this machine, by address or as localhost.
func IsLoopbackURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && isLoopbackHost(u.Hostname())
}

func isLoopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// checkURL accepts https, and http on this machine; never userinfo or a fragment.
func checkURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || strings.ContainsAny(s, " \t\n*\\"):
		return nil, fmt.Errorf("%q is not an absolute URL", s)
	case u.User != nil:
		return nil, errors.New("a URL here carries no user name or password")
	case strings.Contains(s, "#"):
		return nil, fmt.Errorf("%q has a fragment (#)", s)
	case u.Scheme == "http" && isLoopbackHost(u.Hostname()):
		return u, nil
	case u.Scheme != "https":
		return nil, fmt.Errorf("%q must begin with https:// (http:// only on this machine)", s)
	}
	return u, nil
}

// checkOrigin is checkURL for a URL that ends after its host and port.
func checkOrigin(s string) error {
	u, err := checkURL(s)
	if err != nil {
		return err
	}
	if u.Path != "" || u.RawQuery != "" || u.ForceQuery {
		return fmt.Errorf("%q must end after the host, without a path or a final slash", s)
	}
	return nil
}

// email reads an optional e-mail address.
func (b block) email(name string) string {
	f, ok := b.get(name)
	if !ok {
		return ""
	}
	s, ok := f.text()
	local, domain, at := strings.Cut(s, "@")
	if ok && (!at || local == "" || !strings.Contains(domain, ".") || strings.ContainsAny(s, " <>,;")) {
		f.say("%q is not an e-mail address", s)
	}
	return s
}

// mostNodeName is how long the name of a node may be.
const mostNodeName = 64

// nodeName reads what people call this node; missing is the machine's name.
func nodeName(b block) string {
	name := b.text("node")
	if f, ok := b.get("node"); ok && len(name) > mostNodeName {
		f.say("a node's name has at most %d bytes", mostNodeName)
	}
	return name
}
