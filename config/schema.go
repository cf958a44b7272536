package config

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/drawbridge-id/drawbridge/docs"
	"github.com/drawbridge-id/drawbridge/internal/access"
)

// SchemaPath is where a bridge serves the schema of its configuration.
const SchemaPath = "/schema/drawbridge.v1.json"

// Values that the file writes in a way of its own, as an editor is told about them.
type (
	formDuration    struct{}
	formInstant     struct{}
	formShare       struct{}
	formHarm        struct{}
	formGrant       struct{}
	formWorkflow    struct{}
	formLevel       struct{}
	formRequirement struct{}
	formScopes      map[string]formProvider
)

func pattern(p string) *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Pattern: p} }

func enum[T ~string](words []T) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, w := range words {
		s.Enum = append(s.Enum, string(w))
	}
	return s
}

// JSONSchema is a duration: 14d, 1d12h.
func (formDuration) JSONSchema() *jsonschema.Schema {
	shortest := uint64(2)
	return &jsonschema.Schema{Type: "string", MinLength: &shortest, Pattern: `^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$`}
}

// JSONSchema is an instant with its zone.
func (formInstant) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Format: "date-time"}
}

// JSONSchema is a number of people, or a share of them.
func (formShare) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "integer", Minimum: "0"}, pattern(`^([1-9][0-9]?|100)%$`)}}
}

// JSONSchema is one of three risks.
func (formHarm) JSONSchema() *jsonschema.Schema {
	return enum([]string{access.RiskLow.String(), access.RiskMedium.String(), access.RiskHigh.String()})
}

// JSONSchema is one of the five grants.
func (formGrant) JSONSchema() *jsonschema.Schema { return enum(access.Grants()) }

// JSONSchema is one of the workflows.
func (formWorkflow) JSONSchema() *jsonschema.Schema { return enum(access.Workflows()) }

// JSONSchema is a level of the scope tree.
func (formLevel) JSONSchema() *jsonschema.Schema {
	return enum([]string{access.Host.String(), access.ServiceProvider.String(), access.Account.String(), access.Fleet.String()})
}

// JSONSchema is what a request may have to name.
func (formRequirement) JSONSchema() *jsonschema.Schema { return enum(requirements()) }

// Schema is the JSON Schema (2020-12) of the configuration file, for editors. It knows
// every key and what it means; the loader knows more.
func Schema() []byte {
	r := jsonschema.Reflector{RequiredFromJSONSchemaTags: true, ExpandedStruct: true, Anonymous: true,
		Namer: func(t reflect.Type) string { return strings.ToLower(strings.TrimPrefix(t.Name(), "form")) }}
	meanings, of := meaningsIn(docs.Configuration), docsOf()
	r.LookupComment = func(t reflect.Type, fieldName string) string {
		if t.Kind() != reflect.Struct || fieldName == "" {
			return ""
		}
		f, ok := t.FieldByName(fieldName)
		if !ok {
			return ""
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		return meanings[of[t.Name()]+" "+name]
	}
	s := r.Reflect(&form{})
	s.Title, s.Required = "The configuration of drawbridge", nil // a file of a directory holds a part
	orText(s.Definitions, "extension", "attribute", "groupref", "testgroup")
	scopes, _ := s.Properties.Get("scopes")
	scopes.Ref, scopes.OneOf = "", []*jsonschema.Schema{{Ref: "#/$defs/scopes"}, {Type: "string", Const: "store"}}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // a constant of ours
	}
	return append(text, '\n')
}

// orText lets a text stand where the mapping may.
func orText(definitions jsonschema.Definitions, names ...string) {
	for _, name := range names {
		mapping := *definitions[name]
		definitions[name] = &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string"}, &mapping}}
	}
}

var (
	tableHead = regexp.MustCompile("^\\| Key(?: of (?:a )?`?([a-z_]+)`?)? \\|")
	under     = regexp.MustCompile("^Under `([a-z_.]+)`")
	keyWord   = regexp.MustCompile("`([a-z_]+)`")
	linkText  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// meaningsIn reads what keys mean out of the tables of the page, by "table key".
func meaningsIn(page string) map[string]string {
	meanings := map[string]string{}
	heading, table := "", ""
	for line := range strings.SplitSeq(page, "\n") {
		if strings.HasPrefix(line, "#") {
			heading, table = strings.Trim(strings.TrimLeft(line, "# "), "`"), ""
			continue
		}
		if m := under.FindStringSubmatch(line); m != nil {
			heading = m[1]
		}
		if m := tableHead.FindStringSubmatch(line); m != nil {
			table = heading
			if m[1] == "grant" {
				table = "a grant"
			} else if m[1] != "" {
				table = m[1]
			}
			continue
		}
		cells := strings.Split(line, "|")
		if table == "" || !strings.HasPrefix(line, "| `") || len(cells) < 4 {
			continue
		}
		for _, key := range keyWord.FindAllStringSubmatch(cells[1], -1) {
			meanings[table+" "+key[1]] = withoutMarkup(cells[len(cells)-2])
		}
	}
	return meanings
}

// withoutMarkup is a cell of the page without its markup.
func withoutMarkup(cell string) string {
	return strings.NewReplacer("`", "", "**", "").Replace(linkText.ReplaceAllString(strings.TrimSpace(cell), "$1"))
}
