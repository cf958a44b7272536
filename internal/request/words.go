package request

import (
	"fmt"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
)

// plainWords are what people call workflows, beside their own names. The first of each is
// what they read.
var plainWords = []struct {
	words []string
	are   []access.Workflow
}{
	{[]string{"live view", "live"}, []access.Workflow{access.LiveView}},
	{[]string{"playback"}, []access.Workflow{access.Playback}},
	{[]string{"reports", "reporting"}, []access.Workflow{access.Reports}},
	{[]string{"events"}, []access.Workflow{access.EventsView}},
	{[]string{"video", "in-cabin video", "media"}, []access.Workflow{access.MediaView}},
	{[]string{"in-vehicle dashboard", "dashboard"}, []access.Workflow{access.IVSDashboard}},
	{[]string{"recordings", "data recordings"}, []access.Workflow{access.RecordingsDownload}},
	{[]string{"settings"}, []access.Workflow{access.SettingsView}},
	{[]string{"address lists", "addresses"}, []access.Workflow{access.AddressesView}},
	{[]string{"event downloads", "events download"}, []access.Workflow{access.EventsDownload}},
	{[]string{"changing settings"}, []access.Workflow{access.SettingsManage}},
	{[]string{"changing address lists"}, []access.Workflow{access.AddressesManage}},
	{[]string{"managing users", "users"}, []access.Workflow{access.UsersManage}},
	{[]string{"administration"}, []access.Workflow{access.SettingsManage, access.AddressesManage, access.UsersManage}},
}

// ParseWorkflow reads what somebody needs to do, in plain words ("live view") or by the name
// of a workflow ("live_view"); "administration" is several.
func ParseWorkflow(text string) ([]access.Workflow, error) {
	said := strings.Join(strings.Fields(strings.ToLower(text)), " ")
	if w := access.Workflow(said); slices.Contains(access.Workflows(), w) {
		return []access.Workflow{w}, nil
	}
	spaced := strings.NewReplacer("_", " ").Replace(said)
	var known []string
	for _, p := range plainWords {
		if slices.Contains(p.words, said) || slices.Contains(p.words, spaced) {
			return slices.Clone(p.are), nil
		}
		known = append(known, p.words...)
	}
	if near := suggest.Closest(said, known); near != "" {
		return nil, fmt.Errorf("%q is nothing that anybody does here; did you mean %q?", text, near)
	}
	return nil, fmt.Errorf("%q is nothing that anybody does here; say one of %s", text, strings.Join(PlainWords(), ", "))
}

// PlainWords are what people may say to ParseWorkflow, one for each thing to do.
func PlainWords() (all []string) {
	for _, p := range plainWords {
		all = append(all, p.words[0])
	}
	return all
}

// PlainWord is what people call a workflow.
func PlainWord(w access.Workflow) string {
	for _, p := range plainWords {
		if len(p.are) == 1 && p.are[0] == w {
			return p.words[0]
		}
	}
	return string(w)
}
