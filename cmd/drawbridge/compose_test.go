package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/drawbridge-id/drawbridge/config"
)

// compose is docker-compose.yml, as far as it is used.
type compose struct {
	Services map[string]service
	Volumes  map[string]any
}

type service struct {
	Image       string
	Command     []string
	Environment map[string]string
	NetworkMode string `yaml:"network_mode"`
	Ports       []string
	Volumes     []string
	Healthcheck struct{ Test []string }
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Restart     string
}

const checkout = "../.."

func readCompose(t *testing.T) compose {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(checkout, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var c compose
	if err := yaml.Unmarshal(body, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// owner is the service whose network the others share.
const owner = "address"

var pinned = regexp.MustCompile(`^[a-z]+:\d+(\.\d+){1,2}-[a-z]+$`)

// docker-compose.yml must never be a lie. What can be seen without starting it is seen here;
// TestComposeLane starts it.
func TestComposeHolds(t *testing.T) {
	c := readCompose(t)
	for name, s := range c.Services {
		if !pinned.MatchString(s.Image) {
			t.Errorf("%s: the image %q is not pinned to a version and a system", name, s.Image)
		}
		if strings.HasPrefix(s.Image, "golang:") && !strings.HasPrefix(s.Image, "golang:"+strings.TrimPrefix(release(runtime.Version()), "go")) {
			t.Errorf("%s: the image %q is not of the Go that tests run with, %s", name, s.Image, runtime.Version())
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: the port %s is open to other machines", name, p)
			}
		}
		if (len(s.Ports) > 0) != (name == owner) {
			t.Errorf("%s publishes %v: %q owns the addresses", name, s.Ports, owner)
		}
		c.checkVolumes(t, name, s)
		for on, condition := range s.DependsOn {
			switch other, there := c.Services[on]; {
			case !there:
				t.Errorf("%s depends on %s, which is nowhere", name, on)
			case condition.Condition == "service_healthy" && len(other.Healthcheck.Test) == 0:
				t.Errorf("%s waits until %s is healthy, and nothing says when it is", name, on)
			}
		}
		if name == owner || name == "build" {
			continue
		}
		if s.NetworkMode != "service:"+owner {
			t.Errorf("%s is in a network of its own (%q): the bridges would not call it, or not without TLS", name, s.NetworkMode)
		}
		if len(s.Healthcheck.Test) == 0 || s.Restart == "" {
			t.Errorf("%s: nobody asks how it is, or starts it again", name)
		}
	}
}

// release is a version of Go without what a build adds to it.
func release(version string) string {
	return regexp.MustCompile(`^go\d+\.\d+(\.\d+)?`).FindString(version)
}

func (c compose) checkVolumes(t *testing.T, name string, s service) {
	t.Helper()
	for _, v := range s.Volumes {
		from, _, _ := strings.Cut(v, ":")
		if strings.HasPrefix(from, ".") {
			if _, err := os.Stat(filepath.Join(checkout, from)); err != nil {
				t.Errorf("%s mounts %s, which is not there", name, from)
			}
			continue
		}
		if _, declared := c.Volumes[from]; !declared {
			t.Errorf("%s: the volume %s is not declared", name, from)
		}
	}
	for volume := range c.Volumes {
		if !slices.ContainsFunc(slices.Collect(maps.Values(c.Services)), func(s service) bool {
			return slices.ContainsFunc(s.Volumes, func(v string) bool { return strings.HasPrefix(v, volume+":") })
		}) {
			t.Errorf("nobody uses the volume %s", volume)
		}
	}
}

// theirs are the variables of the images that are not ours.
var theirs = map[string][]string{
	"postgres": {"POSTGRES_PASSWORD", "POSTGRES_INITDB_ARGS"}, "redis": {"REDISCLI_AUTH"}, "build": {"CGO_ENABLED", "GOCACHE"},
}

// The programs of ours run commands that are documented, with variables that the configuration
// knows, on a configuration that holds with them; what they are told to use is what the others
// were told to be.
func TestComposeTellsTheBridgesWhatIsSo(t *testing.T) {
	c := readCompose(t)
	page, err := os.ReadFile(filepath.Join(checkout, "docs/commands.md"))
	if err != nil {
		t.Fatal(err)
	}
	bridges := map[string]bool{} // by what only one may use
	for name, s := range c.Services {
		if len(s.Command) == 0 || filepath.Base(s.Command[0]) != "drawbridge" {
			for v := range s.Environment {
				if !slices.Contains(theirs[name], v) {
					t.Errorf("%s: nothing says what %s is", name, v)
				}
			}
			continue
		}
		words := "drawbridge " + strings.Join(s.Command[1:], " ")
		if !strings.Contains(string(page), words+"\n") {
			t.Errorf("docs/commands.md does not show how %s runs: %s", name, words)
		}
		cfg := c.configured(t, name, s)
		if s.Command[2] == "bridge" {
			for _, own := range []string{cfg.Server.Listen, cfg.Server.MetricsListen, cfg.Server.Data} {
				if bridges[own] {
					t.Errorf("two bridges use %s", own)
				}
				bridges[own] = true
			}
		}
	}
	if len(bridges) != 6 {
		t.Errorf("of two bridges there are the addresses and folders %v", bridges)
	}
}

// configured is the configuration of a service of ours, with its environment.
func (c compose) configured(t *testing.T, name string, s service) *config.Config {
	t.Helper()
	file := filepath.Join(checkout, s.Command[slices.Index(s.Command, "--config")+1])
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	environ := []string{}
	for k, v := range s.Environment {
		environ = append(environ, k+"="+v)
		if !strings.HasPrefix(k, "DRAWBRIDGE_") && !strings.Contains(string(text), "_env: "+k+"\n") {
			t.Errorf("%s: %s means nothing in %s", name, k, file)
		}
	}
	cfg, err := config.Load(file, environ)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return cfg
}

// Whoever reads a secret there sees that it is the demo's.
func TestComposeHasNoSecretButTheDemos(t *testing.T) {
	secret := regexp.MustCompile(`(?i)(?:[\w.-]*(?:password|secret|auth|requirepass)(?:_env)?\w*:? +'?)([^\s',}]+)`)
	files := []string{"docker-compose.yml"}
	entries, err := os.ReadDir(filepath.Join(checkout, "examples/compose"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		files = append(files, "examples/compose/"+e.Name())
	}
	found := 0
	for _, file := range files {
		body, err := os.ReadFile(filepath.Join(checkout, file))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(body)) {
			bare, _, _ := strings.Cut(line, "#")
			if strings.HasPrefix(strings.TrimSpace(bare), "--") {
				continue
			}
			for _, m := range secret.FindAllStringSubmatch(bare, -1) {
				found++
				if !strings.HasSuffix(m[1], "-of-the-demo-only") && !strings.HasPrefix(m[1], "DEMO_") {
					t.Errorf("%s: %q does not say that it is the demo's", file, strings.TrimSpace(m[0]))
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("found only %d secrets: the files are not written as they were", found)
	}
}
