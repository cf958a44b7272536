package config

import (
	"encoding/json"
	"path/filepath"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// mostExtensions is how many files people, and groups, of one connection may have
// their schemas in, and how many schemas may stand in them.
const mostExtensions = 8

// extend adds one schema to a connection's people, or to its groups.
type extend func(schema.Types, schema.Extension) (schema.Types, error)

// extensions reads the schemas of the customer's own, each from the file that is
// named, relative to this one.
func (l *loader) extensions(f field) (user, group []access.Extension) {
	b, ok := f.open("user", "group")
	if !ok {
		return nil, nil
	}
	types := schema.Standard()
	user = l.schemas(b, "user", &types, schema.Types.ExtendUsers)
	return user, l.schemas(b, "group", &types, schema.Types.ExtendGroups)
}

func (l *loader) schemas(b block, name string, types *schema.Types, by extend) []access.Extension {
	f, ok := b.get(name)
	if !ok {
		return nil
	}
	items := f.items()
	if len(items) > mostExtensions {
		f.say("at most %d files", mostExtensions)
		return nil
	}
	var all []access.Extension
	for _, item := range items {
		all = append(all, l.schemaFile(item, types, by)...)
	}
	if len(all) > mostExtensions {
		f.say("these files hold more than %d schemas", mostExtensions)
	}
	return all
}

// schemaFile reads one entry: a file's name, or a mapping with the file and whether
// its schemas are required.
func (l *loader) schemaFile(f field, types *schema.Types, by extend) []access.Extension {
	required := false
	if f.isBlock() {
		b, _ := f.open("file", "required")
		required = b.truth("required")
		if f, _ = b.need("file"); f.value == nil {
			return nil
		}
	}
	file, ok := f.text()
	if !ok {
		return nil
	}
	data, err := l.read(beside(f, file))
	if err != nil {
		f.say("the file cannot be read: %v", err)
		return nil
	}
	defined, faults := schema.ParseDefinitions(data)
	for _, fault := range faults {
		f.say("%s:%s", file, fault)
	}
	var all []access.Extension
	for _, s := range defined {
		extended, err := by(*types, schema.Extension{Schema: s, Required: required})
		if err != nil {
			f.say("%s: %v", file, err)
			continue
		}
		*types = extended
		text, err := json.Marshal(s)
		if err != nil || len(text) > schema.MaxDefinition {
			f.say("%s: the schema %s is larger than %d KiB once every characteristic is written out", file, s.ID, schema.MaxDefinition>>10)
			continue
		}
		all = append(all, access.Extension{Schema: text, Required: required})
	}
	return all
}

// beside is where a file lies that a field names: relative to the field's own file.
func beside(f field, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(filepath.Dir(f.report.name), file)
}
