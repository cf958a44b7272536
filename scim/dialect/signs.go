package dialect

import (
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Request is what a request may give away about who sent it.
type Request struct {
	Agent    string // the User-Agent
	Query    string // of the address, as sent
	Method   string
	Resource string   // "Users", "Groups", "Schemas" …
	Notes    []string // the leniencies it relied on
}

// Signs of an identity provider, or of how it has been set up.
const (
	SignOktaAgent      = "okta-agent"      // its documented User-Agent
	SignAuthentikAgent = "authentik-agent" // likewise
	SignEntraFlag      = "entra-flag"      // the query parameter that an administrator appends to the tenant URL
	SignEntraGroup     = "entra-group"     // a schema that Entra alone names when it creates a group
	SignEntraPatch     = "entra-patch"     // "Add" for "add" and "True" for true in one request
	SignSCIM1          = "scim-1"          // SCIM 1.1's schema, as OneLogin's templates in circulation name it
	SignUpperCase      = "upper-case"      // "Add" for "add"
	SignTextBoolean    = "text-boolean"    // "True" for true
	SignChecker        = "checker"         // "drawbridge scim check", which sends everybody's oddities
	SignPutUser        = "put-user"
	SignPutGroup       = "put-group"
	SignPatchUser      = "patch-user"
	SignPatchGroup     = "patch-group"
)

const (
	entraFlag  = "aadOptscim062020"
	entraGroup = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
	scim1      = "urn:scim:schemas:core:1.0"
)

// Signs are what a request gives away, each once.
func Signs(r Request) []string {
	if begins(r.Agent, "drawbridge-scimtest") {
		return []string{SignChecker}
	}
	var all []string
	say := func(sign string, there bool) {
		if there {
			all = append(all, sign)
		}
	}
	say(SignOktaAgent, begins(r.Agent, "okta scim client"))
	say(SignAuthentikAgent, begins(r.Agent, "authentik@"))
	say(SignEntraFlag, hasFlag(r.Query))
	say(SignEntraGroup, noted(r.Notes, schema.NoteUnknownSchema, entraGroup))
	say(SignSCIM1, noted(r.Notes, schema.NoteUnknownSchema, scim1))
	upper, text := noted(r.Notes, schema.NoteAnyCase, "op"), noted(r.Notes, schema.NoteStringBoolean, "")
	say(SignUpperCase, upper)
	say(SignTextBoolean, text)
	say(SignEntraPatch, upper && text)
	say(SignPutUser, r.Method == "PUT" && r.Resource == "Users")
	say(SignPutGroup, r.Method == "PUT" && r.Resource == "Groups")
	say(SignPatchUser, r.Method == "PATCH" && r.Resource == "Users")
	say(SignPatchGroup, r.Method == "PATCH" && r.Resource == "Groups")
	return all
}

func begins(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func hasFlag(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if name, _, _ := strings.Cut(pair, "="); strings.EqualFold(name, entraFlag) {
			return true
		}
	}
	return false
}

// noted reports whether there is a note of that kind, and about where unless that is
// empty.
func noted(notes []string, kind, where string) bool {
	return slices.ContainsFunc(notes, func(n string) bool {
		word, about, _ := strings.Cut(n, ": ")
		return word == kind && (where == "" || strings.EqualFold(about, where))
	})
}
