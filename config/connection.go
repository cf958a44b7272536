package config

import (
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/dialect"
)

// connections reads the connections in the order of the file, and marks those whose
// root and ceiling could be read: the others' rules cannot be held against them.
// sound is nil if there is no telling which connections there are.
func (l *loader) connections(root block, tree *access.Tree) (all []Connection, sound map[access.ConnectionID]bool) {
	sound = map[access.ConnectionID]bool{}
	f, ok := root.get("connections")
	if !ok {
		return nil, sound
	}
	b, ok := f.entries()
	if !ok {
		sound = nil
	}
	for _, id := range b.order {
		c, ok := l.connection(b.fields[id], access.ConnectionID(id), tree)
		if sound != nil {
			sound[c.ID] = ok
		}
		all = append(all, c)
	}
	return all, sound
}

func (l *loader) connection(f field, id access.ConnectionID, tree *access.Tree) (c Connection, sound bool) {
	c = Connection{Connection: access.Connection{ID: id}}
	opened := len(l.list)
	b, ok := f.open("idp", "name", "domains", "root", "ceiling", "contact", "trust", "scim", "sign_in")
	l.shapeless = l.shapeless || len(l.list) > opened
	if !ok {
		return c, false
	}
	if !access.ValidSlug(string(id)) {
		f.sayOfKey("the id of a connection is made of lower-case letters, digits and inner hyphens, at most 63")
	}
	if _, ok := b.need("idp"); ok {
		c.IdP = b.oneOf("idp", dialect.Names()...)
	}
	c.Name, c.Contact = b.needText("name"), b.email("contact")
	c.Domains = domains(b)
	before := len(l.list)
	if at, ok := b.need("ceiling"); ok {
		c.Ceiling = l.ceiling(at, tree)
	}
	c.Root = c.Ceiling.Scope
	if at, ok := b.get("root"); ok {
		c.Root = l.resolve(at, tree)
	}
	sound = len(l.list) == before && tree != nil
	c.TrustsCertification = l.trusts(b)
	if at, ok := b.get("scim"); ok {
		before := len(l.list)
		c.SCIM, c.Trust = l.scim(at, c.IdP)
		l.shapeless = l.shapeless || len(l.list) > before
	}
	if at, ok := b.get("sign_in"); ok {
		c.SignIn = l.signIn(at, c.IdP)
	}
	return c, sound
}

func (l *loader) ceiling(f field, tree *access.Tree) access.Ceiling {
	b, ok := f.open("scope", "grants")
	if !ok {
		return access.Ceiling{}
	}
	var c access.Ceiling
	if at, ok := b.need("scope"); ok {
		c.Scope = l.resolve(at, tree)
	}
	if _, ok := b.need("grants"); ok {
		c.Grants = b.grants("grants")
	}
	return c
}

func domains(b block) []string {
	f, ok := b.get("domains")
	if !ok {
		return nil
	}
	var all []string
	for _, item := range f.items() {
		d, ok := item.text()
		if !ok {
			continue
		}
		if d != strings.ToLower(d) || !strings.Contains(d, ".") || strings.ContainsAny(d, "@/: *") || strings.HasPrefix(d, ".") || strings.HasSuffix(d, ".") {
			item.say("%q is not a domain in lower case, such as customer.example", d)
		}
		if slices.Contains(all, d) {
			item.say("the domain %s is listed twice", d)
		}
		all = append(all, d)
	}
	return all
}

// trusts reads what of a customer's own word counts.
func (l *loader) trusts(b block) bool {
	f, ok := b.get("trust")
	if !ok {
		return false
	}
	trusted := false
	for _, item := range f.items() {
		if s, ok := item.text(); ok && s != "certification" {
			item.say("only certification can be trusted, not %q", s)
		} else if ok {
			trusted = true
		}
	}
	return trusted
}
