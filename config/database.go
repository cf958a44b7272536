package config

import (
	"crypto/x509"
	"net/url"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/store/postgres"
)

// How many connections a node has to PostgreSQL at most. Fewer than four leave nothing to
// read by while others write; two to four times the server's cores do, whatever the number
// of clients.
const (
	leastPool = 4
	UsualPool = 12 // where nothing is said
	mostPool  = 200
)

// Database is where the directory is kept: the one truth of all nodes.
type Database struct {
	URL  secret.String // of PostgreSQL, with its password; empty: SQLite in the data folder
	Pool int           // connections to PostgreSQL at most; 0 without one
	// Migrate lets a start bring the schema up to date. Without it, a start refuses a
	// database that drawbridge db migrate has not brought there.
	Migrate bool
}

// database reads where the directory is. Its password stands elsewhere, as every secret does.
func (l *loader) database(root block) Database {
	own := Database{Migrate: true}
	f, ok := root.get("database")
	if !ok {
		return own
	}
	b, ok := f.open("url", "password", "password_file", "password_env", "ca_file", "pool", "migrate")
	if !ok {
		return own
	}
	if _, said := b.get("migrate"); said {
		own.Migrate = b.truth("migrate")
	}
	at, ok := b.get("url")
	if !ok {
		b.withoutURL()
		return own
	}
	address, ok := at.text()
	if !ok {
		return own
	}
	d := Database{URL: secret.New(l.completed(b, at, address)), Pool: UsualPool, Migrate: own.Migrate}
	if n := b.whole("pool", leastPool, mostPool); n > 0 {
		d.Pool = n
	}
	return d
}

// withoutURL blames what goes with an address where there is none.
func (b block) withoutURL() {
	for _, name := range []string{"password", "password_file", "password_env", "ca_file", "pool"} {
		if f, ok := b.get(name); ok {
			f.say("%s goes with url, the address of PostgreSQL such as postgres://drawbridge@db.internal/drawbridge?sslmode=verify-full", name)
			return
		}
	}
}

// completed is the address with what stands beside it.
func (l *loader) completed(b block, at field, address string) string {
	if !strings.HasPrefix(address, "postgres://") && !strings.HasPrefix(address, "postgresql://") {
		at.say("the address of PostgreSQL begins with postgres://, such as postgres://drawbridge@db.internal/drawbridge?sslmode=verify-full")
		return ""
	}
	more := url.Values{}
	there := hasPassword(address)
	if there && !l.loopback {
		at.say("a password does not stand in the file; use password_file or password_env")
	}
	if password, has := l.secret(b, "password"); has && there {
		at.say("there is a password already, in a key of its own")
	} else if has {
		more.Set("password", password.Reveal())
	}
	address = with(address, more)
	if err := postgres.Sound(address); err != nil {
		at.say("%s", fault.DetailOf(err))
	}
	return with(address, l.authorities(b, address))
}

// with is an address with more parameters.
func with(address string, more url.Values) string {
	switch {
	case len(more) == 0:
		return address
	case strings.Contains(address, "?"):
		return address + "&" + more.Encode()
	}
	return address + "?" + more.Encode()
}

// hasPassword reports whether an address says a password, behind the user or as a parameter.
func hasPassword(address string) bool {
	_, rest, _ := strings.Cut(address, "://")
	rest, query, _ := strings.Cut(rest, "?")
	user, _, found := strings.Cut(rest, "@")
	parameters, err := url.ParseQuery(query)
	return found && strings.Contains(user, ":") || err != nil || parameters.Has("password") || parameters.Has("sslpassword")
}

// authorities say whose certificates are believed instead of those that the machine believes.
func (l *loader) authorities(b block, address string) url.Values {
	f, ok := b.get("ca_file")
	if !ok {
		return nil
	}
	name, ok := f.text()
	if !ok {
		return nil
	}
	if !strings.Contains(address, "sslmode=verify-full") {
		f.say("ca_file goes with sslmode=verify-full in the address: otherwise nobody looks at the certificate")
		return nil
	}
	pem, err := l.read(name)
	if err != nil {
		f.say("%v", err)
	} else if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		f.say("there is no certificate (PEM) in %s", name)
	}
	return url.Values{"sslrootcert": {name}}
}
