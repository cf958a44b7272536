package config

import (
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
)

// Webhook is who is told of events by Standard Webhooks.
type Webhook struct {
	Name        string
	URL         string
	Secrets     []secret.String // the current one, and the one before it while that is being replaced; credential.ParseWebhookKey reads each
	Events      []event.Pattern
	Connections []access.ConnectionID // nil: of all, and of the host
}

// maxWebhooks bounds how many there are: each is asked about every event.
const maxWebhooks = 32

func (l *loader) webhooks(root block, connections []Connection) []Webhook {
	f, ok := root.get("webhooks")
	if !ok {
		return nil
	}
	var known []string
	for _, c := range connections {
		known = append(known, string(c.ID))
	}
	var all []Webhook
	names := taken{}
	for _, item := range f.items() {
		w := l.webhook(item, known)
		if w.Name != "" {
			names.claim(w.Name, item, "name", "webhook has the name")
		}
		if all = append(all, w); len(all) == maxWebhooks+1 {
			item.say("there are more than %d webhooks", maxWebhooks)
		}
	}
	return all
}

func (l *loader) webhook(f field, connections []string) Webhook {
	b, ok := f.open("name", "url", "secret", "secret_file", "secret_env", "previous_secret", "previous_secret_file", "previous_secret_env", "events", "connections")
	if !ok {
		return Webhook{}
	}
	w := Webhook{Name: b.needText("name")}
	if at, ok := b.get("name"); ok && !plainID(w.Name) {
		at.say("a name is made of letters, digits, hyphens, dots and underscores, at most 64")
	}
	if _, ok := b.need("url"); ok {
		w.URL = b.address("url")
	}
	w.Secrets = l.webhookSecrets(b)
	if _, ok := b.need("events"); ok {
		w.Events = b.patterns("events")
	}
	if at, ok := b.get("connections"); ok {
		w.Connections = at.connectionsAmong(connections)
	}
	return w
}

// connectionsAmong reads a list of connections of this configuration.
func (f field) connectionsAmong(known []string) (all []access.ConnectionID) {
	for _, item := range f.items() {
		id, ok := item.text()
		if ok && !slices.Contains(known, id) {
			item.hint(suggest.Closest(id, known), "there is no connection %q in this configuration", id)
		}
		all = append(all, access.ConnectionID(id))
	}
	if len(all) == 0 {
		f.say("name a connection, or leave the key out for all of them")
	}
	return all
}

// webhookSecrets reads what a webhook is signed with, the current secret first.
func (l *loader) webhookSecrets(b block) (all []secret.String) {
	for _, name := range []string{"secret", "previous_secret"} {
		s, has := l.secret(b, name)
		switch {
		case !has && name == "secret":
			b.say("secret_env or secret_file is missing: nobody could tell that a message is from here")
		case has && !s.Empty():
			if _, err := credential.ParseWebhookKey(s); err != nil {
				b.secretAt(name).say("%v", err)
			}
			all = append(all, s)
		}
	}
	return all
}

// secretAt is the one field of three that a secret was read from.
func (b block) secretAt(name string) field {
	for _, k := range []string{name, name + "_file", name + "_env"} {
		if f, ok := b.get(k); ok {
			return f
		}
	}
	return b.field
}

// patterns reads a list of patterns of events.
func (b block) patterns(name string) []event.Pattern {
	var known []string
	for _, p := range event.Patterns() {
		known = append(known, string(p))
	}
	f, _ := b.get(name)
	var all []event.Pattern
	for _, item := range f.items() {
		s, ok := item.text()
		if !ok {
			continue
		}
		if !slices.Contains(known, s) {
			item.hint(suggest.Closest(s, known), "%q names no event: write one by its type, a family of them as session.*, or *", s)
		}
		all = append(all, event.Pattern(s))
	}
	if len(all) == 0 {
		f.say("name an event, or leave the webhook out")
	}
	return all
}
