package request

import (
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

func TestPlainWords(t *testing.T) {
	for text, want := range map[string][]access.Workflow{
		"live view":            {access.LiveView},
		"Live  View":           {access.LiveView},
		"live_view":            {access.LiveView},
		"playback":             {access.Playback},
		"in-vehicle dashboard": {access.IVSDashboard},
		"recordings":           {access.RecordingsDownload},
		"users.manage":         {access.UsersManage},
		"administration":       {access.SettingsManage, access.AddressesManage, access.UsersManage},
	} {
		if got, err := ParseWorkflow(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
	if _, err := ParseWorkflow("playbak"); err == nil || !strings.Contains(err.Error(), `did you mean "playback"?`) {
		t.Errorf("a typo: %v", err)
	}
	if _, err := ParseWorkflow("telepathy"); err == nil || !strings.Contains(err.Error(), "live view, playback, reports") {
		t.Errorf("nothing like it: %v", err)
	}
}

// Every workflow has a word of its own, which leads back to it.
func TestEveryWorkflowHasAPlainWord(t *testing.T) {
	for _, w := range access.Workflows() {
		got, err := ParseWorkflow(PlainWord(w))
		if err != nil || !slices.Equal(got, []access.Workflow{w}) || PlainWord(w) == string(w) && strings.Contains(string(w), "_") {
			t.Errorf("%s is called %q, which is %v %v", w, PlainWord(w), got, err)
		}
	}
}

func FuzzParseWorkflow(f *testing.F) {
	f.Add("live view")
	f.Add("playbak")
	f.Add("\x00_ ")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := ParseWorkflow(text); (len(got) == 0) == (err == nil) {
			t.Fatalf("%q: %v %v", text, got, err)
		}
	})
}
