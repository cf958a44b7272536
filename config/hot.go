package config

import (
	"encoding/pem"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	hotredis "github.com/drawbridge-id/drawbridge/internal/hot/redis"
	"github.com/drawbridge-id/drawbridge/internal/secret"
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
	b, ok := f.open("url", "password", "password_file", "password_env", "sentinel_username", "sentinel_password", "sentinel_password_file", "sentinel_password_env",
		"ca_file", "cert_file", "key_file", "insecure_allow_plaintext")
	if !ok {
		return Hot{}
	}
	at, ok := b.get("url")
	if !ok {
		b.say("url is missing: the address of Redis, such as rediss://redis.internal:6379")
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
	l.sentinel(b, &s)
	s.TLS.CA = l.pem(b, s.TLS, "ca_file")
	s.TLS.Certificate = l.pem(b, s.TLS, "cert_file")
	s.TLS.Key = secret.New(string(l.pem(b, s.TLS, "key_file")))
	if err := s.Sound(); err != nil {
		at.say("%s", fault.DetailOf(err))
	}
	return Hot{Redis: &s}
}

// sentinel reads who the bridge is to the Sentinels, if they ask.
func (l *loader) sentinel(b block, s *hotredis.Server) {
	if f, ok := b.get("sentinel_username"); ok {
		s.SentinelUsername, _ = f.text()
	}
	s.SentinelPassword, _ = l.secret(b, "sentinel_password")
	if s.Master == "" && (s.SentinelUsername != "" || !s.SentinelPassword.Empty()) {
		b.say("sentinel_username and sentinel_password are for redis-sentinel://")
	}
}

// pem reads a file of certificates, or of a key.
func (l *loader) pem(b block, t hotredis.TLS, key string) []byte {
	f, ok := b.get(key)
	if !ok {
		return nil
	}
	name, ok := f.text()
	if !ok {
		return nil
	}
	if !t.On {
		f.say("%s goes with rediss://: without TLS nobody shows a certificate", key)
		return nil
	}
	text, err := l.read(name)
	if err != nil {
		f.say("%v", err)
		return nil
	}
	if block, _ := pem.Decode(text); block == nil {
		f.say("there is nothing in PEM in %s", name)
		return nil
	}
	return text
}
