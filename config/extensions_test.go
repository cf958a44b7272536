package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func ownSchema(entries string) string {
	return small + `connections:
  southern:
    idp: entra
    name: Southern Telematics
    ceiling: { scope: southern, grants: [standard] }
    scim: { extensions: { ` + entries + ` } }
`
}

// The sample schema is read from beside the configuration, as every user would name it.
func TestTheSampleSchemaBelongsToItsConnection(t *testing.T) {
	dir := t.TempDir()
	sample, err := os.ReadFile("../examples/schemas/driver.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "driver.json"), sample, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "drawbridge.yaml")
	if err := os.WriteFile(file, []byte(ownSchema("user: [ { file: driver.json, required: true } ]")), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	own := c.Policy.Connections[0].SCIM
	if len(own.UserExtensions) != 1 || len(own.GroupExtensions) != 0 || !own.UserExtensions[0].Required || !strings.Contains(string(own.UserExtensions[0].Schema), `"driverId"`) {
		t.Errorf("%+v", own)
	}
	again, err := Load(file, nil)
	if err != nil || !reflect.DeepEqual(again.Policy, c.Policy) {
		t.Error("read again, it is another policy")
	}
}

func TestOwnSchemasAreFewAndSmall(t *testing.T) {
	var many, files []string
	for i := range mostExtensions + 1 {
		many = append(many, fmt.Sprintf(`{"id":"urn:example:scim:n%d","attributes":[{"name":"a"}]}`, i))
		files = append(files, fmt.Sprintf("f%d.json", i))
	}
	wide := strings.Repeat(`{"name":"a","description":"`+strings.Repeat("d", 1900)+`","type":"complex","subAttributes":[{"name":"b"}]},`, 140)
	contents := map[string]string{
		"many.json":  "[" + strings.Join(many, ",") + "]",
		"large.json": `{"id":"urn:example:scim:large","attributes":[` + wide + `{"name":"z"}]}`,
		"wide.json":  `{"id":"urn:example:scim:wide","attributes":[` + strings.Repeat(`{"name":"a"},`, 101) + `{"name":"z"}]}`,
	}
	for entries, want := range map[string]string{
		"user: [ many.json ]":                             "these files hold more than 8 schemas",
		"user: [ " + strings.Join(files, ", ") + " ]":     "at most 8 files",
		"group: [ large.json ]":                           "large.json:1:1: more than 256 KiB",
		"group: [ wide.json ]":                            "more than 100 attributes",
		"user: [ /etc/own.json ]":                         "cannot be read: /etc/own.json",
		"user: [ ../own.json ], group: [ { file: [] } ] ": "cannot be read: ../own.json",
	} {
		_, err := Parse("drawbridge.yaml", []byte(ownSchema(entries)), nil, func(path string) ([]byte, error) {
			if text, ok := contents[path]; ok {
				return []byte(text), nil
			}
			return nil, fmt.Errorf("%s", path)
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v", entries, err)
		}
	}
}
