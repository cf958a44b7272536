package request

import (
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// What is added to the workflows can be asked for in plain words, and alone.
func TestEveryWorkflowCanBeSaid(t *testing.T) {
	for _, w := range access.Workflows() {
		if !slices.ContainsFunc(PlainWords(), func(word string) bool {
			got, err := ParseWorkflow(word)
			return err == nil && slices.Equal(got, []access.Workflow{w})
		}) {
			t.Errorf("no plain word is %s alone", w)
		}
	}
}
