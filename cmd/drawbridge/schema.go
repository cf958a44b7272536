package main

import (
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/config"
)

func (c *cli) schema() *cobra.Command {
	cmd := family("schema", "Print the form of what the bridge reads")
	cmd.AddCommand(&cobra.Command{Use: "config", Short: "Print the JSON Schema of the configuration, for editors", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.printed(config.Schema(), nil) }})
	return cmd
}

// serveSchema answers with the schema of the configuration, which is public: editors fetch
// it by the first line of a file.
func serveSchema() http.Handler {
	schema := config.Schema()
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/schema+json")
		h.Set("Content-Length", strconv.Itoa(len(schema)))
		h.Set("Cache-Control", "public, max-age=3600")
		h.Set("Access-Control-Allow-Origin", "*")
		_, _ = w.Write(schema) //nolint:errcheck // nobody is left to tell
	})
}
