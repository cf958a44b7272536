// Package examples holds the sample configuration, so that the demo runs from the
// program alone.
package examples

import _ "embed" // the sample is part of the program

// Drawbridge is examples/drawbridge.yaml: the sample organisation.
//
//go:embed drawbridge.yaml
var Drawbridge []byte

// Driver is examples/schemas/driver.json: a schema of a customer's own.
//
//go:embed schemas/driver.json
var Driver []byte
