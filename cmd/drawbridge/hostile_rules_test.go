package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hostileRules are configurations that try to cost more than they are worth, and what
// `drawbridge check` says of each. "" holds.
func hostileRules() map[string]struct{ file, says string } {
	base := func(parts, rules string) string {
		return "version: 1\nvendor: { name: Lantern Fleet Safety }\nserver: { public_url: \"http://127.0.0.1:8443\" }\n" +
			"scopes:\n  southern:\n    name: Southern Telematics\n    accounts:\n      banksia:\n        name: Banksia Freight\n        fleets: { geelong: { name: Geelong, timezone: Australia/Melbourne } }\n" +
			"connections:\n  banksia-entra: { idp: entra, name: Banksia Freight, ceiling: { scope: southern, grants: [ standard ] } }\n" +
			"attributes: { title: title, phones: phoneNumbers }\n" + parts + "rules:\n" + rules
	}
	rule := func(group, when, give string) string {
		return fmt.Sprintf("  - { id: r, from: banksia-entra, group: '%s', when: '%s', give: '%s' }\n", group, when, give)
	}
	asks := func(when string) string { return base("", rule("A", when, "standard @ southern")) }
	doubled := func(n int) string {
		said := "conditions:\n"
		for i := range n {
			said += fmt.Sprintf("  c%d: c%d && c%d && c%d\n", i, i+1, i+1, i+1)
		}
		return said + fmt.Sprintf("  c%d: attr.title == \"x\"\n", n)
	}
	any := strings.Repeat("'GL {fleet}', ", 5000)
	return map[string]struct{ file, says string }{
		"loops in loops":           {asks(`attr.phones.all(a, attr.phones.all(b, attr.phones.all(c, a + b + c != "")))`), "it could cost"},
		"a huge expression":        {asks(`attr.title.matches("` + strings.Repeat("(a+)+", 8000) + `$")`), "1 to 4096 bytes"},
		"repeats of repeats":       {asks(`attr.title.matches("((a{1000}){1000}){1000}")`), "invalid repeat count"},
		"a computed expression":    {asks(`attr.title.matches(attr.title + attr.title)`), "is written out, and not computed"},
		"deep parentheses":         {asks(strings.Repeat("(", 2000) + "true" + strings.Repeat(")", 2000)), "expressions stand inside each other more than"},
		"conditions that multiply": {base(doubled(200), rule("A", "c0", "standard @ southern")), "more than 20 deep"},
		"very many conditions":     {base(doubled(400), rule("A", "true", "standard @ southern")), "there are more than 256"},
		"very many groups of one":  {base("", "  - { id: r, from: banksia-entra, any: [ "+any+" ], give: 'standard @ southern/banksia/{fleet}' }\n"), "any has more than 20 groups"},
		"a name without end":       {base("", rule(strings.Repeat("ﷺ", 20000), "true", "standard @ southern")), "at most 512 bytes"},
		"captures that collide":    {base("", rule("{fleet} {fleet}", "true", "standard @ southern/banksia/{fleet}")), "{fleet} is captured twice"},
		"captures side by side":    {base("", rule("{account}{fleet}", "true", "standard @ southern/{account}/{fleet}")), ""},
		"letters of all kinds":     {base("", rule("\u202eGL {fleet} \u200b😀 İſKå", "true", "standard @ southern/banksia/{fleet}")), ""},
		"a number without end":     {asks(strings.Repeat("9", 4000) + " > 1"), "rule r"},
		"aliases of aliases":       {"x: &a [ y, y ]\nz: &b [ *a, *a, *a, *a, *a, *a, *a, *a, *a ]\nw: &c [ *b, *b, *b, *b, *b, *b, *b, *b, *b ]\n" + asks("true"), "unknown key"},
		"lists in lists":           {asks("true") + "x: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "\n", "x"},
	}
}

// TestHostileRulesAreAnsweredWithAFault: whatever a file asks for, check says what is
// wrong with it where it stands, in so many words, and does nothing without end.
func TestHostileRulesAreAnsweredWithAFault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range hostileRules() {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".yaml")
		if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errOut bytes.Buffer
		code, want := run(context.Background(), []string{"check", path}, nil, nil, &out, &errOut), exitUsage
		if c.says == "" {
			want = exitDone
		}
		said := out.String() + errOut.String()
		if code != want || !strings.Contains(said, c.says) || len(said) > 100<<10 {
			t.Errorf("%s: ended with %d after %d bytes: %.600s", name, code, len(said), said)
		}
	}
}
