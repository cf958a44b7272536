package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/drawbridge-id/drawbridge/mapping"
)

// TestYAML writes a test as an entry of the key tests, each line indented by so much.
func TestYAML(t mapping.TestSource, indent string) string {
	var b strings.Builder
	line := func(in, format string, args ...any) {
		fmt.Fprintf(&b, "%s%s"+format+"\n", append([]any{indent, in}, args...)...)
	}
	line("- ", "name: %s", plainText(t.Name))
	line("  ", "as:")
	line("    ", "from: %s", plainText(string(t.As.From)))
	if len(t.As.Groups) > 0 {
		line("    ", "groups: %s", inBrackets(t.As.Groups, groupText))
	}
	if t.As.Inactive {
		line("    ", "inactive: true")
	}
	if c := t.As.Certification; c.Level != "" {
		until := ""
		if !c.Until.IsZero() {
			until = ", until: " + instantText(c.Until)
		}
		line("    ", "certification: { level: %s%s }", plainText(c.Level), until)
	}
	for _, name := range slices.Sorted(maps.Keys(t.As.Attributes)) {
		line("    ", "%s: %s", plainText(name), valueText(t.As.Attributes[name]))
	}
	if !t.At.IsZero() {
		line("  ", "at: %s", instantText(t.At))
	}
	if t.Primary != nil {
		line("  ", "primary: %s", plainText(*t.Primary))
	}
	if t.Guests != nil {
		line("  ", "guests: %s", inBrackets(*t.Guests, plainText))
	}
	if len(t.Sees) > 0 {
		line("  ", "sees: %s", inBrackets(t.Sees, plainText))
	}
	if len(t.NeverSees) > 0 {
		line("  ", "never_sees: %s", inBrackets(t.NeverSees, plainText))
	}
	if t.MaySignIn != nil {
		line("  ", "may_sign_in: %t", *t.MaySignIn)
	}
	return b.String()
}

func inBrackets[T any](items []T, text func(T) string) string {
	if len(items) == 0 {
		return "[]"
	}
	all := make([]string, len(items))
	for i, item := range items {
		all[i] = text(item)
	}
	return "[ " + strings.Join(all, ", ") + " ]"
}

func groupText(g mapping.TestGroup) string {
	if g.GroupID == "" && g.Since.IsZero() {
		return plainText(g.Group)
	}
	var parts []string
	if g.Group != "" {
		parts = append(parts, "group: "+plainText(g.Group))
	}
	if g.GroupID != "" {
		parts = append(parts, "group_id: "+plainText(g.GroupID))
	}
	if !g.Since.IsZero() {
		parts = append(parts, "since: "+instantText(g.Since))
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

func instantText(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

func valueText(v any) string {
	switch v := v.(type) {
	case string:
		return plainText(v)
	case time.Time:
		return plainText(instantText(v))
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 { // a whole number that came as JSON
			return strconv.FormatInt(int64(v), 10)
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case []any:
		return inBrackets(v, valueText)
	}
	return fmt.Sprint(v)
}

// plainForm is text that means itself without quotes, in a list as well. It ends like a
// word, so that nothing behind it is read as part of it.
var plainForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 _./@()+-]*[A-Za-z0-9)]$`)

// plainText is text as YAML: as it is where it means itself, else in quotes as in JSON.
func plainText(s string) string {
	words := []string{"true", "false", "null", "yes", "no", "on", "off"}
	if plainForm.MatchString(s) && !slices.Contains(words, strings.ToLower(s)) {
		return s
	}
	var quoted bytes.Buffer
	enc := json.NewEncoder(&quoted)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return strings.TrimSpace(quoted.String())
}

// WithTest is a configuration file with one more test behind those that it has. All
// that stood in it stands there as before, comments and blank lines too. A test whose
// name is taken gets a number.
func WithTest(file []byte, t mapping.TestSource) ([]byte, error) {
	doc, err := parser.ParseBytes(file, 0)
	if err != nil {
		return nil, fmt.Errorf("config: the file is not YAML: %w", err)
	}
	if len(doc.Docs) != 1 {
		return nil, fmt.Errorf("config: the file holds %d documents; it must be one", len(doc.Docs))
	}
	root, ok := doc.Docs[0].Body.(*ast.MappingNode)
	if one, single := doc.Docs[0].Body.(*ast.MappingValueNode); single {
		root, ok = &ast.MappingNode{Values: []*ast.MappingValueNode{one}}, true
	}
	if !ok {
		return nil, fmt.Errorf("config: the file holds no keys")
	}
	before, err := testNames(file)
	if err != nil {
		return nil, err
	}
	name := t.Name
	for n := 2; slices.Contains(before, t.Name); n++ {
		t.Name = fmt.Sprintf("%s (%d)", name, n)
	}
	after, err := insertTest(file, root, t)
	if err != nil {
		return nil, err
	}
	return after, undisturbed(file, after, len(before))
}

func insertTest(file []byte, root *ast.MappingNode, t mapping.TestSource) ([]byte, error) {
	lines := strings.SplitAfter(string(file), "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	} else {
		lines[last] += "\n"
	}
	at := slices.IndexFunc(root.Values, func(v *ast.MappingValueNode) bool { return v.Key.String() == "tests" })
	if at < 0 {
		return []byte(strings.Join(lines, "") + "\ntests:\n" + TestYAML(t, "  ")), nil
	}
	list, isList := root.Values[at].Value.(*ast.SequenceNode)
	_, empty := root.Values[at].Value.(*ast.NullNode)
	if !empty && (!isList || list.IsFlowStyle) {
		return nil, fmt.Errorf("config: the tests stand in one line; write them one below the other, or add the test by hand")
	}
	end, indent := len(lines), "  "
	if at+1 < len(root.Values) {
		end = root.Values[at+1].Key.GetToken().Position.Line - 1
	}
	if isList && len(list.Values) > 0 {
		indent = strings.Repeat(" ", list.Start.Position.Column-1)
	}
	for first := root.Values[at].Key.GetToken().Position.Line; end > first; end-- { // what stands above the next key belongs to it
		if l := strings.TrimRight(lines[end-1], " \t\r\n"); l != "" && !strings.HasPrefix(l, "#") && l != "..." {
			break
		}
	}
	return []byte(strings.Join(lines[:end], "") + TestYAML(t, indent) + strings.Join(lines[end:], "")), nil
}

// testNames are the names of the tests in a file.
func testNames(file []byte) ([]string, error) {
	var has map[string]any
	if err := yaml.Unmarshal(file, &has); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	tests, _ := has["tests"].([]any)
	names := make([]string, len(tests))
	for i, t := range tests {
		one, _ := t.(map[string]any)
		names[i], _ = one["name"].(string)
	}
	return names, nil
}

// undisturbed proves that a file says what it said, and one more test.
func undisturbed(before, after []byte, tests int) error {
	var was, is map[string]any
	if err := yaml.Unmarshal(before, &was); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if err := yaml.Unmarshal(after, &is); err != nil {
		return fmt.Errorf("config: adding the test would break the file: %w", err)
	}
	had, _ := was["tests"].([]any)
	has, _ := is["tests"].([]any)
	delete(was, "tests")
	delete(is, "tests")
	if len(has) != tests+1 || !reflect.DeepEqual(had, has[:len(had)]) && len(had) > 0 || !reflect.DeepEqual(was, is) {
		return fmt.Errorf("config: adding the test would change what else the file says; add it by hand")
	}
	return nil
}
