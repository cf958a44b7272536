package traffic

import (
	"errors"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/patch"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// A name may stand wherever a client's mistake puts it; the refusal that quotes it is
// kept without it.
func TestNoRefusalShowsANameThatWasSent(t *testing.T) {
	const name = "Lindgren"
	refused := map[string]func(text string) error{
		"filter": func(text string) error { _, err := filter.Parse(schema.Users(), text); return err },
		"path":   func(text string) error { _, err := filter.ParsePath(schema.Users(), text); return err },
		"sort":   func(text string) error { _, err := filter.ParseSort(schema.Users(), text, ""); return err },
		"order":  func(text string) error { _, err := filter.ParseSort(schema.Users(), "userName", text); return err },
		"body":   func(text string) error { _, err := schema.Users().Decode([]byte(text), schema.Leniency{}); return err },
		"patch": func(text string) error {
			_, err := patch.Compile(schema.Users(), []byte(text), schema.Leniency{})
			return err
		},
	}
	for kind, texts := range map[string][]string{
		"filter": {name, name + " pr", "userName=" + name, "userName eq " + name + " " + name, `userName eq "` + name + `" and ` + name + " pr", "userName " + name, `userName eq "` + name,
			"emails." + name + " pr", `emails[type eq "work"].` + name + ` eq "x"`, `emails[` + name + ` eq "x"]`, "active eq " + name, `meta.created gt "` + name + `"`},
		"path":  {name, name + "[value pr]", `emails[type eq "work"].` + name, "emails[" + name + "]", `emails[value eq "` + name, "name." + name, `emails[value eq "x"] ` + name},
		"sort":  {name},
		"order": {name},
		"body": {`{"` + name + `":1}`, `"` + name + `"`, `{"userName":"` + name, `{"active":"` + name + `"}`, `{"meta":{"created":"` + name + `"},"userName":["` + name + `"]}`, `{"userName":"a","userName":"` + name + `"}`,
			`{"` + name + `":1,"` + name + `":2}`},
		"patch": {`{"Operations":[{"op":"` + name + `"}]}`, `{"Operations":[{"op":"add","path":"` + name + `","value":1}]}`, `{"Operations":[{"op":"add","path":"emails[` + name + ` pr]","value":1}]}`,
			`{"Operations":[{"op":"add","value":{"` + name + `":1}}]}`, `{"Operations":"` + name + `"}`},
	} {
		for _, text := range texts {
			err := refused[kind](text)
			said, ok := errors.AsType[*schema.Error](err)
			if !ok {
				t.Errorf("%s %s: %v", kind, text, err)
				continue
			}
			if kept := refusal(schema.Users(), said.Path, said.Detail); strings.Contains(kept, name) {
				t.Errorf("%s %s\nis kept as: %s", kind, text, kept)
			}
		}
	}
}
