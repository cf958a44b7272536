// Package examples holds the sample configuration, so that the demo runs from the
// program alone.
package examples

import _ "embed" // the sample is part of the program

// Drawbridge is examples/drawbridge.yaml: the sample organisation.
//
//go:embed drawbridge.yaml
var Drawbridge []byte
