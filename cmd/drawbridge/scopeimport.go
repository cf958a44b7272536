package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
)

func (c *cli) scopeImport() *cobra.Command {
	var apply bool
	cmd := &cobra.Command{Use: "import FILE", Short: "Add the scopes of a table, and say what it says of those that are there", Args: cobra.ExactArgs(1),
		Long: "import reads CSV with the columns path, name, timezone, location and id (path is needed; name for what is new), or\n" +
			"YAML as scopes_file has it. It says all that is wrong at once, and what it would do; --apply does it. What the file\n" +
			"does not name stays as it is. Interrupted, it goes on where it was; done again, it does nothing.",
		RunE: func(cmd *cobra.Command, args []string) error { return c.importScopes(cmd.Context(), args[0], apply) }}
	cmd.Flags().BoolVar(&apply, "apply", false, "do it, and not only say what would be done")
	return cmd
}

// tableRow is a row of a table of scopes, with the line on which it stands.
type tableRow struct {
	bridge.ImportRow
	line int
}

// maxTableRows bounds a table of scopes.
const maxTableRows = 1_000_000

// importPlan is what an import would do.
type importPlan struct {
	Add     []bridge.ImportRow    `json:"-"`
	Change  []bridge.ImportChange `json:"-"`
	Adds    map[string]int        `json:"adds"` // by level
	Changes int                   `json:"changes"`
	Same    int                   `json:"same"`
	Applied bool                  `json:"applied"`
	Policy  int64                 `json:"policy,omitempty"`
}

func (c *cli) importScopes(ctx context.Context, file string, apply bool) error {
	data, err := readTableFile(file)
	if err != nil {
		return failed(exitUsage, "%w", err)
	}
	rows, faults := readTable(file, data)
	tree, inStore, err := c.wholeTree(ctx)
	if err != nil {
		return err
	}
	if !inStore {
		return failed(exitNo, "the scope tree stands in the configuration file; drawbridge scope export shows it, and \"scopes: store\" in its place keeps it in the store")
	}
	plan, more := planImport(tree, rows)
	if faults = append(faults, more...); len(faults) > 0 {
		return tableFaults(file, faults)
	}
	if apply {
		if plan.Policy, err = c.applyImport(ctx, plan, file, data); err != nil {
			return err
		}
		plan.Applied = true
	}
	if c.json {
		return c.print(plan)
	}
	fmt.Fprintln(c.out, plan)
	return nil
}

func (p *importPlan) String() string {
	var adds []string
	for _, l := range []access.Level{access.ServiceProvider, access.Account, access.Fleet} {
		if n := p.Adds[l.String()]; n > 0 {
			word := strings.ReplaceAll(l.String(), "_", " ")
			adds = append(adds, plural(n, word, word+"s"))
		}
	}
	what := "nothing"
	if len(adds) > 0 {
		what = strings.Join(adds, ", ")
	}
	said := fmt.Sprintf("%s to add, %s to describe anew; %s so already.", what, plural(p.Changes, "scope", "scopes"), plural(p.Same, "is", "are"))
	if p.Applied {
		return fmt.Sprintf("%s Done: policy version %d.", said, p.Policy)
	}
	return said + " Nothing was changed; --apply does it."
}

// tableFault is what is wrong on a line of a table; line 0 is the whole of it.
type tableFault struct {
	line int
	text string
}

// tableFaults tells all that is wrong with a table.
func tableFaults(file string, faults []tableFault) error {
	const most = 100
	slices.SortStableFunc(faults, func(a, b tableFault) int { return a.line - b.line })
	var said []string
	for i, f := range faults {
		if i == most {
			said = append(said, fmt.Sprintf("… and %d more", len(faults)-most))
			break
		}
		if f.line > 0 {
			f.text = fmt.Sprintf("%s:%d: %s", file, f.line, f.text)
		}
		said = append(said, f.text)
	}
	return failed(exitUsage, "%s\n%s. Nothing was changed.", strings.Join(said, "\n"), plural(len(faults), "problem", "problems"))
}

// readTableFile reads a regular file of at most 256 MiB.
func readTableFile(file string) ([]byte, error) {
	const most = 256 << 20
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, fmt.Errorf("%s is not a regular file of at most %d MiB", file, most>>20)
	}
	return os.ReadFile(file)
}

// readTable reads CSV or YAML, by the file's ending.
func readTable(file string, data []byte) ([]tableRow, []tableFault) {
	if ext := strings.ToLower(filepath.Ext(file)); ext == ".yaml" || ext == ".yml" {
		return readTree(file, data)
	}
	return readCSV(data)
}

func readTree(file string, data []byte) ([]tableRow, []tableFault) {
	scopes, err := config.ScopesOf(file, data)
	if err != nil {
		return nil, []tableFault{{text: strings.TrimSpace(err.Error())}}
	}
	tree, err := access.NewTree(scopes)
	if err != nil {
		return nil, []tableFault{{text: err.Error()}}
	}
	var rows []tableRow
	for _, s := range tree.All()[1:] {
		r := tableRow{ImportRow: bridge.ImportRow{Path: tree.Path(s.ID), Name: s.Name, TimeZone: s.TimeZone, Location: s.Location}}
		if !strings.Contains(string(s.ID), ":") { // one of the file's, not made of its path
			r.ID = s.ID
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func readCSV(data []byte) (rows []tableRow, faults []tableFault) {
	say := func(line int, format string, args ...any) {
		faults = append(faults, tableFault{line, fmt.Sprintf(format, args...)})
	}
	table := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	table.FieldsPerRecord = -1
	head, err := table.Read()
	if err != nil {
		say(1, "the first line names the columns: %s", strings.Join(scopeColumns, ","))
		return nil, faults
	}
	at := map[string]int{}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := at[name]; twice || !slices.Contains(scopeColumns, name) {
			say(1, "column %q is unknown or comes twice; there are %s", name, strings.Join(scopeColumns, ", "))
		}
		at[name] = i
	}
	if _, there := at["path"]; !there {
		say(1, "the column path is missing")
	}
	if len(faults) > 0 {
		return nil, faults
	}
	for {
		record, err := table.Read()
		if errors.Is(err, io.EOF) {
			return rows, faults
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			say(bad.Line, "this is not CSV: %v", bad.Err)
			return rows, faults
		}
		line, _ := table.FieldPos(0)
		if len(record) != len(head) {
			say(line, "%s, and there are %s", plural(len(record), "field", "fields"), plural(len(head), "column", "columns"))
			continue
		}
		if len(rows) >= maxTableRows {
			say(line, "more than %d rows", maxTableRows)
			return rows, faults
		}
		cell := func(name string) string {
			if i, there := at[name]; there {
				return strings.TrimSpace(record[i])
			}
			return ""
		}
		rows = append(rows, tableRow{line: line, ImportRow: bridge.ImportRow{Path: cell("path"), Name: cell("name"), TimeZone: cell("timezone"), Location: cell("location"), ID: access.ScopeID(cell("id"))}})
	}
}

// wholeTree asks for all scopes.
func (c *cli) wholeTree(ctx context.Context) (tree *access.Tree, inStore bool, err error) {
	var all []access.Scope
	err = c.eachScope(ctx, ".", math.MaxInt32, func(l bridge.ScopeList) error {
		inStore = l.InStore
		for _, v := range l.Scopes {
			all = append(all, v.Scope())
		}
		return nil
	})
	if err == nil {
		tree, err = access.NewTree(all)
	}
	return tree, inStore, err
}

// planImport compares a table with the tree, and says all that is wrong with it.
func planImport(tree *access.Tree, rows []tableRow) (*importPlan, []tableFault) {
	p := &importPlan{Adds: map[string]int{}}
	var faults []tableFault
	levels := map[string]access.Level{} // of what is new
	seen, ids := map[string]int{}, map[access.ScopeID]int{}
	slices.SortStableFunc(rows, func(a, b tableRow) int { return strings.Count(a.Path, "/") - strings.Count(b.Path, "/") }) // parents first
	for _, r := range rows {
		say := func(format string, args ...any) {
			faults = append(faults, tableFault{r.line, r.Path + ": " + fmt.Sprintf(format, args...)})
		}
		if line, twice := seen[r.Path]; twice {
			say("the scope stands on line %d already", line)
			continue
		}
		seen[r.Path] = r.line
		if line, twice := ids[r.ID]; twice && r.ID != "" {
			say("the id %s stands on line %d already", r.ID, line)
		}
		ids[r.ID] = r.line
		if s, there := tree.Find(r.Path); there {
			if change, err := compared(tree, s, r); err != nil {
				say("%v", err)
			} else if change == nil {
				p.Same++
			} else {
				p.Change, p.Changes = append(p.Change, *change), p.Changes+1
			}
			continue
		}
		level, err := addable(tree, levels, r)
		if err != nil {
			say("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		if level != 0 {
			levels[r.Path] = level
			p.Add = append(p.Add, r.ImportRow)
			p.Adds[level.String()]++
		}
	}
	return p, faults
}

// compared says what a row says anew of a scope that is there; nil is nothing. An empty
// field says nothing.
func compared(tree *access.Tree, s access.Scope, r tableRow) (*bridge.ImportChange, error) {
	switch {
	case s.Level == access.Host:
		return nil, errors.New("this is the host, which is not imported")
	case r.ID != "" && r.ID != s.ID:
		return nil, fmt.Errorf("there it has the id %s, and ids never change", s.ID)
	case !tree.Live(s.ID):
		return nil, fmt.Errorf("it was retired on %s", tree.RetiredSince(s.ID).Local().Format(time.DateOnly))
	case r.TimeZone != "" && !isZone(r.TimeZone):
		return nil, fmt.Errorf("%q is not a time zone such as Australia/Melbourne", r.TimeZone)
	}
	change, changed := &bridge.ImportChange{Scope: s.ID}, false
	for _, x := range []struct {
		to    **string
		is    string
		wants string
	}{{&change.Name, s.Name, r.Name}, {&change.TimeZone, s.TimeZone, r.TimeZone}, {&change.Location, s.Location, r.Location}} {
		if x.wants != "" && x.wants != x.is {
			*x.to, changed = &x.wants, true
		}
	}
	if !changed {
		return nil, nil
	}
	_, err := tree.DescribedScope(s.ID, access.Description{Name: change.Name, TimeZone: change.TimeZone, Location: change.Location})
	return change, err
}

func isZone(name string) bool {
	_, err := time.LoadLocation(name)
	return err == nil && name != "Local"
}

// addable is the level that a new scope would have; levels are those of new ones.
func addable(tree *access.Tree, levels map[string]access.Level, r tableRow) (level access.Level, err error) {
	under, slug := splitPath(r.Path)
	s := access.Scope{ID: r.ID, Slug: slug, Name: r.Name, TimeZone: r.TimeZone, Location: r.Location}
	if level = levels[under]; level != 0 {
		s.Level = level + 1
	} else {
		parent, there := tree.Find(under)
		if !there {
			return 0, fmt.Errorf("there is no scope %q to put it under, neither in the tree nor in the file", under)
		}
		s.Parent, s.Level = parent.ID, parent.Level+1
		if err := tree.CheckNew(s); err != nil {
			return s.Level, err
		}
	}
	if _, taken := tree.Scope(s.ID); taken {
		return s.Level, fmt.Errorf("another scope has the id %s", s.ID)
	}
	if s.TimeZone != "" && !isZone(s.TimeZone) {
		return s.Level, fmt.Errorf("%q is not a time zone such as Australia/Melbourne", s.TimeZone)
	}
	return s.Level, access.CheckScope(s)
}

// applyImport sends what is new in parts, and then puts it in force with what is said anew.
func (c *cli) applyImport(ctx context.Context, p *importPlan, file string, data []byte) (policy int64, err error) {
	var state bridge.ImportState
	if len(p.Add) > 0 {
		sum := sha256.Sum256(data)
		if err := c.ask(ctx, http.MethodPost, "/scopes/imports", map[string]string{"digest": hex.EncodeToString(sum[:])}, &state); err != nil {
			return 0, err
		}
		shown := c.showSteps("importing scopes", int64(len(p.Add)))
		defer shown.end()
		for state.Staged < int64(len(p.Add)) {
			part := p.Add[state.Staged:min(int64(len(p.Add)), state.Staged+bridge.ImportPart)]
			in := map[string]any{"from": state.Staged, "scopes": part}
			if err := c.ask(ctx, http.MethodPost, fmt.Sprintf("/scopes/imports/%d/scopes", state.Import), in, &state); err != nil {
				return 0, err
			}
			shown.at(state.Staged)
		}
	}
	for changes := p.Change; ; {
		part := changes[:min(len(changes), bridge.MaxImportChanges)]
		changes = changes[len(part):]
		var done bridge.Imported
		if err := c.ask(ctx, http.MethodPost, fmt.Sprintf("/scopes/imports/%d/commit", state.Import), map[string]any{"changes": part, "file": file, "author": authorOr(c.author)}, &done); err != nil {
			return 0, err
		}
		if policy, state.Import = done.Policy, 0; len(changes) == 0 {
			return policy, nil
		}
	}
}

// steps shows how far something has come: a bar on a terminal, a line each five seconds
// elsewhere.
type steps struct {
	c     *cli
	what  string
	total int64
	told  time.Time
}

func (c *cli) showSteps(what string, total int64) *steps {
	return &steps{c: c, what: what, total: total, told: time.Now()}
}

func (s *steps) at(done int64) {
	every, form := 5*time.Second, "%s %d/%d %s\n"
	if isTerminal(s.c.err) {
		every, form = 100*time.Millisecond, "\r\x1b[K%s %d/%d %s"
	}
	if now := time.Now(); now.Sub(s.told) >= every {
		full := int(20 * done / s.total)
		fmt.Fprintf(s.c.err, form, s.what, done, s.total, "["+strings.Repeat("#", full)+strings.Repeat(".", 20-full)+"]")
		s.told = now
	}
}

func (s *steps) end() {
	if isTerminal(s.c.err) {
		fmt.Fprint(s.c.err, "\r\x1b[K")
	}
}
