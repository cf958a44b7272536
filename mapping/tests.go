package mapping

// TestResult is how one test of a policy came out.
type TestResult struct {
	Name     string   `json:"name"`
	Pos      Pos      `json:"pos"`
	Passed   bool     `json:"passed"`
	Failures []string `json:"failures,omitempty"` // each what was wanted and what was there
	Decision Decision `json:"decision,omitzero"`  // of the made-up person, with its reasons
}
