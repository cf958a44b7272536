package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

func (c *cli) scopeExport() *cobra.Command {
	var form, under string
	cmd := &cobra.Command{Use: "export", Short: "Write the scope tree as YAML or CSV, with its ids", Args: cobra.NoArgs,
		Long: "export writes the tree as YAML that a configuration file's scopes_file names, or as CSV that scope import reads.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if form == "yaml" && under != "." {
				return failed(exitUsage, "a part of the tree is written as CSV: --form csv")
			}
			w := bufio.NewWriter(c.out)
			write, end := yamlOf(w), w.Flush
			switch form {
			case "yaml":
			case "csv":
				table := csv.NewWriter(w)
				if err := table.Write(scopeColumns); err != nil {
					return err
				}
				write = func(s bridge.ScopeView) error {
					if s.Level == access.Host {
						return nil
					}
					return table.Write([]string{s.Path, s.Name, s.TimeZone, s.Location, string(s.ID)})
				}
				end = func() error { table.Flush(); return w.Flush() }
			default:
				return failed(exitUsage, "--form is yaml or csv, not %q", form)
			}
			err := c.eachScope(cmd.Context(), under, math.MaxInt32, func(l bridge.ScopeList) error {
				for _, s := range l.Scopes {
					if err := write(s); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			return end()
		}}
	cmd.Flags().StringVar(&form, "form", "yaml", "yaml or csv")
	cmd.Flags().StringVar(&under, "under", ".", "only this scope and what lies below it")
	return cmd
}

// scopeColumns are those of a table of scopes.
var scopeColumns = []string{"path", "name", "timezone", "location", "id"}

// yamlOf writes scopes that come depth first as a configuration file has them.
func yamlOf(w io.Writer) func(bridge.ScopeView) error {
	opened := access.Host // the level whose key for what lies inside was written last
	return func(s bridge.ScopeView) error {
		if s.Level == access.Host {
			fmt.Fprintln(w, "scopes:")
			return nil
		}
		inside := map[access.Level]string{access.Account: "accounts", access.Fleet: "fleets"}
		at := "  " + strings.Repeat("    ", int(s.Level-access.ServiceProvider))
		if s.Level > opened && s.Level > access.ServiceProvider {
			fmt.Fprintf(w, "%s%s:\n", at[2:], inside[s.Level])
		}
		opened = s.Level
		fmt.Fprintf(w, "%s%s:\n%s  name: %s\n%s  id: %s\n", at, quotedKey(s.Slug), at, quoted(s.Name), at, quoted(string(s.ID)))
		if s.TimeZone != "" {
			fmt.Fprintf(w, "%s  timezone: %s\n", at, s.TimeZone)
		}
		if s.Location != "" {
			fmt.Fprintf(w, "%s  location: %s\n", at, quoted(s.Location))
		}
		if len(s.Was) > 0 {
			fmt.Fprintf(w, "%s  was: %s\n", at, quoted(s.Was))
		}
		if s.Retired != nil {
			fmt.Fprintf(w, "%s  retired: %s\n", at, s.Retired.UTC().Format(time.RFC3339))
		}
		return nil
	}
}

// quoted is a value as JSON, which YAML reads as well.
func quoted(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // a text or a list of texts
	return strings.TrimSuffix(b.String(), "\n")
}

// quotedKey quotes a slug that YAML would read as something else than a text.
func quotedKey(slug string) string {
	if slug[0] < 'a' || slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, slug) {
		return quoted(slug)
	}
	return slug
}
