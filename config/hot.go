package config

import (
	"crypto/tls"
	"crypto/x509"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	hotredis "github.com/drawbridge-id/drawbridge/internal/hot/redis"
)

// Hot is where what is short-lived is kept.
type Hot struct {
	Redis *hotredis.Server // nil: in the data folder
}

// hot reads where Redis is. Its password stands elsewhere, as every secret does.
func (l *loader) hot(root block) Hot {
	f, ok := root.get("hot")
	if !ok {
		return Hot{}
	}
	b, ok := f.open("redis", "password", "password_file", "password_env", "ca_file", "insecure_allow_plaintext")
	if !ok {
		return Hot{}
	}
	at, ok := b.get("redis")
	if !ok {
		b.say("redis is missing: the address of Redis, such as rediss://redis.internal:6379")
		return Hot{}
	}
	address, ok := at.text()
	if !ok {
		return Hot{}
	}
	s, err := hotredis.Parse(address)
	if err != nil {
		at.say("%s", fault.DetailOf(err))
		return Hot{}
	}
	if !s.Password.Empty() && !l.loopback {
		at.say("a password does not stand in the file; use password_file or password_env")
	}
	if password, has := l.secret(b, "password"); has && !s.Password.Empty() {
		at.say("there is a password already, in a key of its own")
	} else if has {
		s.Password = password
	}
	s.InsecureAllowPlaintext = b.truth("insecure_allow_plaintext")
	l.roots(b, s.TLS)
	if err := s.Sound(); err != nil {
		at.say("%s", fault.DetailOf(err))
	}
	return Hot{Redis: &s}
}

// roots reads whose certificates are believed instead of those that the machine believes.
func (l *loader) roots(b block, t *tls.Config) {
	f, ok := b.get("ca_file")
	if !ok {
		return
	}
	name, ok := f.text()
	if !ok {
		return
	}
	if t == nil {
		f.say("ca_file goes with rediss://: without TLS nobody shows a certificate")
		return
	}
	pem, err := l.read(name)
	if err != nil {
		f.say("%v", err)
		return
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(pem) {
		f.say("there is no certificate (PEM) in %s", name)
	}
}
