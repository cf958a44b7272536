package config

import (
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// catalogue reads what grants are called, open and risk. Whatever is left out is the
// guide's.
func (l *loader) catalogue(root block) access.Catalogue {
	var c access.Catalogue
	if f, ok := root.get("grants"); ok {
		c.Grants = l.terms(f)
	}
	if f, ok := root.get("risk"); ok {
		l.risks(f, &c)
	}
	l.sharedNames(root, c)
	return c
}

func (l *loader) terms(f field) map[access.Grant]access.Terms {
	var names []string
	for _, g := range access.Grants() {
		names = append(names, string(g))
	}
	b, _ := f.open(names...)
	terms := map[access.Grant]access.Terms{}
	for _, name := range b.order {
		if g := access.Grant(name); g.Known() {
			terms[g] = b.fields[name].terms(g)
		}
	}
	return terms
}

func (f field) terms(g access.Grant) access.Terms {
	keys := []string{"public_name", "public_description", "risk", "workflows", "acr", "max_age"}
	if !g.MaySignIn() {
		keys = keys[:3]
	}
	if b, isBlock := f.entries(); isBlock && !g.MaySignIn() {
		if w, there := b.get("workflows"); there {
			w.say("%s is for contacts, who never sign in: it opens nothing", g)
			keys = append(keys, "workflows")
		}
	}
	b, ok := f.open(keys...)
	if !ok {
		return access.Terms{}
	}
	t := access.Terms{PublicName: b.public("public_name", access.MaxPublicName),
		PublicDescription: b.public("public_description", access.MaxPublicDescription), Risk: b.risk("risk")}
	if _, there := b.get("workflows"); there && g.MaySignIn() {
		open := []access.Workflow{}
		for _, w := range b.workflows("workflows") {
			if !slices.Contains(open, access.Workflow(w)) {
				open = append(open, access.Workflow(w))
			}
		}
		t.Workflows = &open
	}
	if g.MaySignIn() {
		t.ACR, t.MaxAge = b.demand()
	}
	return t
}

// demand reads what a sign-in must be like for the grant.
func (b block) demand() (acr []string, maxAge time.Duration) {
	acr, maxAge = b.each("acr", access.CheckACR), b.duration("max_age", 0, maxDuration)
	if len(acr) > access.MaxDemandedACR {
		b.fields["acr"].say("this lists more than %d values", access.MaxDemandedACR)
	}
	if maxAge > 0 && maxAge < access.MinSignInAge {
		b.fields["max_age"].say("this is at least %s: a sign-in takes minutes, and clocks differ", short(access.MinSignInAge))
	}
	return acr, maxAge
}

// public reads a text that customers read.
func (b block) public(name string, most int) string {
	s := b.text(name)
	if err := access.CheckPublic(s, most); err != nil {
		b.fields[name].say("this %s", strings.TrimPrefix(err.Error(), "this "))
	}
	return s
}

// risk reads a risk; nil if there is none.
func (b block) risk(name string) *access.Risk {
	if _, ok := b.get(name); !ok {
		return nil
	}
	words := []string{access.RiskLow.String(), access.RiskMedium.String(), access.RiskHigh.String()}
	var r access.Risk
	if r.UnmarshalText([]byte(b.oneOf(name, words...))) != nil {
		return nil // it has been said what a risk is
	}
	return &r
}

func (l *loader) risks(f field, c *access.Catalogue) {
	b, ok := f.open("scope", "flags")
	if !ok {
		return
	}
	if s, ok := b.get("scope"); ok {
		c.Scopes = map[access.Level]access.Risk{}
		levels := []access.Level{access.Fleet, access.Account, access.ServiceProvider, access.Host}
		var names []string
		for _, level := range levels {
			names = append(names, level.String())
		}
		of, _ := s.open(names...)
		for _, level := range levels {
			if r := of.risk(level.String()); r != nil {
				c.Scopes[level] = *r
			}
		}
	}
	if s, ok := b.get("flags"); ok {
		of, _ := s.open("events", "video")
		c.Video = of.risk("video")
		if e, ok := of.get("events"); ok {
			c.Events = map[access.EventFlag]access.Risk{}
			by, _ := e.open(string(access.EventsStandard), string(access.EventsRestricted))
			for _, flag := range []access.EventFlag{access.EventsStandard, access.EventsRestricted} {
				if r := by.risk(string(flag)); r != nil {
					c.Events[flag] = *r
				}
			}
		}
	}
}

// sharedNames refuses two grants that customers could not tell apart.
func (l *loader) sharedNames(root block, c access.Catalogue) {
	f, ok := root.get("grants")
	if !ok {
		return
	}
	b, _ := f.entries()
	for i, g := range access.Grants() {
		for _, other := range access.Grants()[:i] {
			if !strings.EqualFold(c.PublicName(g), c.PublicName(other)) {
				continue
			}
			at := b.fields[string(g)]
			if c.Grants[g].PublicName == "" {
				at = b.fields[string(other)]
			}
			if named, ok := at.entries(); ok {
				named.fields["public_name"].say("%s and %s would both be called %q: customers could not tell them apart", other, g, c.PublicName(g))
			}
			return
		}
	}
}
