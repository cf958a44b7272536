package doctest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// command is one documented command line.
type command struct {
	page string
	line string
	args []string // without the program
	exit int      // documented by a comment, "# exit 2"; otherwise 0
}

var (
	fence = regexp.MustCompile("(?ms)^[ \t]*```(\\w+)\n(.*?)^[ \t]*```$")
	exits = regexp.MustCompile(`#.*\bexit (\d)`)
)

// documented splits the shell blocks of every page into commands of the program,
// targets of make, and everything else.
func documented(t *testing.T) (ours, targets, others []command) {
	t.Helper()
	for _, page := range pages(t) {
		for _, block := range fence.FindAllStringSubmatch(read(t, page), -1) {
			if block[1] != "sh" {
				continue
			}
			for line := range strings.Lines(strings.ReplaceAll(block[2], "\\\n", " ")) {
				c := command{page: page, line: strings.TrimSpace(line)}
				if m := exits.FindStringSubmatch(line); m != nil {
					c.exit = int(m[1][0] - '0')
				}
				text, _, _ := strings.Cut(line, " #")
				switch w := split(text); {
				case len(w) == 0:
				case w[0] == "drawbridge" || w[0] == "bin/drawbridge":
					c.args = w[1:]
					ours = append(ours, c)
				case len(w) > 2 && w[0] == "go" && w[1] == "run" && w[2] == "./cmd/drawbridge":
					c.args = w[3:]
					ours = append(ours, c)
				case w[0] == "make":
					c.args = w[1:]
					targets = append(targets, c)
				default:
					c.args = w
					others = append(others, c)
				}
			}
		}
	}
	return ours, targets, others
}

// split is a shell's splitting, as far as the pages use it: blanks and quotes.
func split(line string) []string {
	var out []string
	word, open := "", rune(0)
	begun := false
	for _, r := range line + "\n" {
		switch {
		case open != 0 && r == open:
			open = 0
		case open == 0 && (r == '"' || r == '\''):
			open, begun = r, true
		case open == 0 && (r == ' ' || r == '\n' || r == '\t'):
			if begun {
				out = append(out, word)
			}
			word, begun = "", false
		default:
			word, begun = word+string(r), true
		}
	}
	return out
}

// program is the built binary and a folder to run it in that looks like a checkout.
type program struct {
	binary, folder string
	env            []string
}

func build(t *testing.T) program {
	t.Helper()
	p := program{binary: filepath.Join(t.TempDir(), "drawbridge"), folder: t.TempDir()}
	if runtime.GOOS == "windows" {
		p.binary += ".exe"
	}
	cmd := exec.Command("go", "build", "-o", p.binary, "./cmd/drawbridge")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.CopyFS(filepath.Join(p.folder, "examples"), os.DirFS(filepath.Join(root, "examples"))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.folder, "drawbridge.yaml"), []byte(read(t, "examples/drawbridge.yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, kv := range os.Environ() { // no demo of somebody else's, no configuration of the machine's
		if name, _, _ := strings.Cut(kv, "="); name != "HOME" && name != "XDG_CACHE_HOME" && !strings.HasPrefix(name, "DRAWBRIDGE_") {
			p.env = append(p.env, kv)
		}
	}
	p.env = append(p.env, "HOME="+p.folder, "XDG_CACHE_HOME="+p.folder)
	return p
}

// run runs a command and gives its output, both streams, and its exit code.
func (p program) run(t *testing.T, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.binary, args...)
	cmd.Dir, cmd.Env = p.folder, p.env
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) || ctx.Err() != nil {
		t.Fatalf("drawbridge %s: %v", strings.Join(args, " "), err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

var usage = regexp.MustCompile(`(?m)^  drawbridge(.*)$`)

// resolve says what is wrong with a command line, by the program's own help.
func (p program) resolve(t *testing.T, args []string) string {
	t.Helper()
	help, code := p.run(t, append(slices.Clone(args), "--help")...)
	if code != 0 {
		return help
	}
	words, want := positional(args, help), usage.FindStringSubmatch(help)
	if want == nil {
		return "its help has no usage line"
	}
	least, most := 0, 0
	for _, w := range strings.Fields(want[1]) {
		switch {
		case w == "[flags]" || strings.HasPrefix(w, "--") || w == "FILE" && strings.Contains(want[1], "--config"):
		case w == "[command]":
		case strings.HasPrefix(w, "["):
			most++
		case w == strings.ToUpper(w):
			least, most = least+1, most+1
		case len(words) == 0 || words[0] != w:
			return "there is no such command"
		default:
			words = words[1:]
		}
	}
	if len(words) < least || len(words) > most {
		return "usage: drawbridge" + want[1]
	}
	return ""
}

// positional leaves out flags and their values.
func positional(args []string, help string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		flag, _, whole := strings.Cut(args[i], "=")
		if !strings.HasPrefix(flag, "--") {
			out = append(out, args[i])
			continue
		}
		if takesValue(help, flag) && !whole {
			i++
		}
	}
	return out
}

func takesValue(help, flag string) bool {
	return regexp.MustCompile(`(?m)^\s+(-\w, )?` + flag + ` (string|stringArray|strings|int|duration)\b`).MatchString(help)
}

func TestEveryDocumentedCommandExists(t *testing.T) {
	ours, targets, others := documented(t)
	if len(ours) < 25 || len(targets) < 8 {
		t.Fatalf("found %d commands and %d targets: the pages are not read as they were", len(ours), len(targets))
	}
	p := build(t)
	t.Run("commands", func(t *testing.T) {
		tried := map[string]bool{}
		for _, c := range ours {
			if key := strings.Join(c.args, " "); !tried[key] {
				tried[key] = true
				if wrong := p.resolve(t, c.args); wrong != "" {
					t.Errorf("%s: %s\n%s", c.page, c.line, wrong)
				}
			}
		}
	})
	t.Run("targets", func(t *testing.T) {
		makefile := read(t, "Makefile")
		for _, c := range targets {
			for _, target := range c.args {
				if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:`).MatchString(makefile) {
					t.Errorf("%s: %s: the Makefile has no %s", c.page, c.line, target)
				}
			}
		}
	})
	t.Run("others", func(t *testing.T) {
		for _, c := range others {
			if !slices.Contains([]string{"cp", "curl", "export", "go"}, c.args[0]) {
				t.Errorf("%s: %s: nothing checks this command", c.page, c.line)
			}
		}
	})
	t.Run("the page of commands", func(t *testing.T) { p.walk(t, nil) })
	t.Run("run", func(t *testing.T) { p.play(t, ours) })
}

var available = regexp.MustCompile(`(?m)^  ([a-z-]+) +\S`)

// walk compares docs/commands.md with the tree of commands, from one of them down.
func (p program) walk(t *testing.T, path []string) {
	help, _ := p.run(t, append(slices.Clone(path), "--help")...)
	if path != nil {
		p.described(t, path, help)
	}
	_, list, found := strings.Cut(help, "Available Commands:\n")
	if !found {
		return
	}
	list, _, _ = strings.Cut(list, "\n\n")
	for _, m := range available.FindAllStringSubmatch(list, -1) {
		if m[1] != "help" && (len(path) == 0 || path[0] != "completion") {
			p.walk(t, append(slices.Clone(path), m[1]))
		}
	}
}

var flagName = regexp.MustCompile(`--[a-z-]+`)

func (p program) described(t *testing.T, path []string, help string) {
	title := strings.Repeat("#", 1+len(path)) + " `drawbridge " + strings.Join(path, " ") + "`"
	text, _, _ := strings.Cut(section(t, "docs/commands.md", title), "\n#") // without its subcommands
	everywhere := section(t, "docs/commands.md", "## Finding the bridge")
	for _, flag := range flagName.FindAllString(help, -1) {
		if !strings.Contains(text, flag) && !strings.Contains(everywhere, flag) {
			t.Errorf("docs/commands.md: %s does not explain %s", title, flag)
		}
	}
	_, own, found := strings.Cut(help, "\nFlags:\n")
	if own, _, _ = strings.Cut(own, "\n\n"); !found {
		own = ""
	}
	for _, cell := range column(text, 0) {
		for _, flag := range flagName.FindAllString(cell, -1) {
			if !strings.Contains(own, flag) {
				t.Errorf("docs/commands.md: %s has no flag %s", title, flag)
			}
		}
	}
}

// startDemo starts a demo that keeps its state where serve would, so that the
// commands of the pages find it, and gives what it announces.
func (p program) startDemo(t *testing.T) announcement {
	t.Helper()
	cmd := exec.Command(p.binary, "demo", "--listen", "127.0.0.1:0", "--json", "--data", "data")
	cmd.Dir, cmd.Env = p.folder, p.env
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // its own end is tested elsewhere
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var a announcement
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err != nil {
		t.Fatalf("the demo did not announce itself: %v\n%s", err, log.String())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
	return a
}

// play runs every command that a running bridge answers, as the pages have them.
func (p program) play(t *testing.T, ours []command) {
	a := p.startDemo(t)
	p.asDiscovered(t, a)
	ran := 0
	for _, c := range ours {
		args, runs := p.prepare(t, c)
		if !runs {
			continue
		}
		ran++
		if out, code := p.run(t, args...); code != c.exit {
			t.Errorf("%s: %s: exit code %d, documented %d\n%s", c.page, c.line, code, c.exit, out)
		}
	}
	for _, who := range regexp.MustCompile("`(\\w+@(banksia|southern|tundra|lantern)\\.example)`").FindAllStringSubmatch(read(t, "README.md"), -1) {
		if out, code := p.run(t, "explain", who[1]); code != 0 {
			t.Errorf("README.md: %s is nobody in the demo: %s", who[1], out)
		}
	}
	if ran < 15 {
		t.Errorf("only %d commands were run", ran)
	}
}

// prepare says whether a command may be run for real, and fills in what a page
// cannot know.
func (p program) prepare(t *testing.T, c command) (args []string, runs bool) {
	args = slices.Clone(c.args)
	switch c.args[0] {
	case "check", "explain", "who-can-see", "who-has", "who-was-in", "version", "completion":
	case "connection":
		if len(args) > 3 && args[1] == "client" {
			p.fillClient(t, args)
		}
	case "session":
		if at := slices.Index(args, "SESSION-ID"); at >= 0 {
			return nil, false // nobody is signed in
		}
	case "doctor":
		return args, c.exit == 0 // what it finds before a token is there is another bridge's
	case "token":
		if c.args[1] == "create" {
			p.revokeAll(t, c.args[2])
		}
		if at := slices.Index(args, "TOKEN-ID"); at >= 0 {
			args[at] = p.newestToken(t, args[2])
		}
	case "demo":
		if len(c.args) < 2 || !slices.Contains([]string{"disable", "enable", "token"}, c.args[1]) {
			return nil, false
		}
		args = append(args, "--data", "data")
	default:
		return nil, false
	}
	return args, true
}

// fillClient makes room for a client, or fills in the ids of one made for it.
func (p program) fillClient(t *testing.T, args []string) {
	t.Helper()
	connection := args[3]
	out, code := p.run(t, "connection", "client", "list", connection, "--json")
	var all []clientRow
	if err := json.Unmarshal([]byte(out), &all); code != 0 || err != nil {
		t.Fatalf("client list: %d %v\n%s", code, err, out)
	}
	for _, k := range all {
		if k.Revoked == nil && args[2] != "list" {
			if out, code := p.run(t, "connection", "client", "revoke", connection, k.ID); code != 0 {
				t.Fatalf("client revoke: %d %s", code, out)
			}
		}
	}
	at := slices.Index(args, "CLIENT-ID")
	if at < 0 {
		return
	}
	out, code = p.run(t, "connection", "client", "create", connection, "--json")
	var made clientRow
	if err := json.Unmarshal([]byte(out), &made); code != 0 || err != nil || len(made.Secrets) != 1 {
		t.Fatalf("client create: %d %v\n%s", code, err, out)
	}
	args[at] = made.ID
	if at := slices.Index(args, "SECRET-ID"); at >= 0 {
		args[at] = made.Secrets[0].ID
	}
}

type clientRow struct {
	ID      string                `json:"id"`
	Secrets []struct{ ID string } `json:"secrets"`
	Revoked *time.Time            `json:"revoked"`
}

type tokenRow struct {
	ID      string     `json:"id"`
	Note    string     `json:"note"`
	Revoked *time.Time `json:"revoked"`
}

// tokens are the live ones that the pages' commands made.
func (p program) tokens(t *testing.T, connection string) []tokenRow {
	t.Helper()
	out, code := p.run(t, "token", "list", connection, "--json")
	var all []tokenRow
	if err := json.Unmarshal([]byte(out), &all); code != 0 || err != nil {
		t.Fatalf("token list: %d %v\n%s", code, err, out)
	}
	return slices.DeleteFunc(all, func(r tokenRow) bool { return r.Revoked != nil || r.Note == "demo" })
}

func (p program) revokeAll(t *testing.T, connection string) {
	for _, r := range p.tokens(t, connection) {
		if out, code := p.run(t, "token", "revoke", connection, r.ID); code != 0 {
			t.Fatal(out)
		}
	}
}

func (p program) newestToken(t *testing.T, connection string) string {
	all := p.tokens(t, connection)
	if len(all) == 0 {
		t.Fatalf("a page revokes a token of %s before it makes one", connection)
	}
	return all[len(all)-1].ID
}

// The exit codes of the page are the program's constants.
func TestEveryExitCodeIsExplained(t *testing.T) {
	var real []string
	for _, f := range parsed(t, "cmd/drawbridge") {
		for name, value := range intConstants(f) {
			if strings.HasPrefix(name, "exit") {
				real = append(real, strconv.Itoa(value))
			}
		}
	}
	differ(t, "docs/commands.md, exit codes", column(section(t, "docs/commands.md", "## Exit codes"), 0), real)
}
