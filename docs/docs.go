// Package docs carries the pages that the program itself reads from.
package docs

import _ "embed"

// Configuration is docs/configuration.md: what every key of the file means.
//
//go:embed configuration.md
var Configuration string
