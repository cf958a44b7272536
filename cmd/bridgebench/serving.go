package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"
)

// serving is one `drawbridge serve` among others.
type serving struct {
	Name, Public, Operations, Data string
	bridge                         // its process
}

// deployed is what a configuration of nodes is made from.
type deployed struct {
	*serving
	Issuer, RootKey, Database, Redis string
	Connections                      []string
}

var configuration = template.Must(template.New("").Parse(`version: 1
vendor: { name: Lantern Fleet Safety, support: { name: Lantern Support, email: support@lantern.example } }
server: { listen: "{{.Public}}", public_url: "http://{{.Issuer}}", metrics_listen: "{{.Operations}}", data: "{{.Data}}", node: {{.Name}}, leave: 1s, log: { level: warn } }
keys: { root: { file: "{{.RootKey}}" } }
database: { url: "{{.Database}}" }
hot: { redis: "redis://{{.Redis}}" }
scopes:
  southern:
    name: Southern Telematics
    accounts:
{{- range .Connections}}
      {{.}}: { name: Customer {{.}}, fleets: { depot: { name: Depot, timezone: Australia/Melbourne, location: Geelong } } }
{{- end}}
connections:
{{- range .Connections}}
  {{.}}: { idp: okta, name: Customer {{.}}, domains: [ {{.}}.example ], root: southern/{{.}}, contact: it@{{.}}.example, ceiling: { scope: southern/{{.}}, grants: [ standard ] },
    sign_in: { issuer: "https://login.example/{{.}}", client_id: bridge, client_secret: sample-secret-for-loopback-only } }
{{- end}}
rules:
{{- range .Connections}}
  - { id: {{.}}, from: {{.}}, group: Drivers, give: standard @ southern/{{.}}/depot }
{{- end}}
`))

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("c%05d", i)
	}
	return all
}

// serve starts so many nodes on a database of their own, one after the other, and waits for each.
func (d *deployment) serve(ctx context.Context, database string, nodes, connections int) (all []*serving, took time.Duration, err error) {
	defer func() {
		if err != nil {
			err, all = errors.Join(err, end(all)), nil
		}
	}()
	address, err := d.database(ctx, database)
	if err != nil {
		return nil, 0, err
	}
	in := deployed{RootKey: filepath.Join(d.folder, database+".key"), Database: address, Redis: d.redis, Connections: names(connections)}
	for i := range nodes {
		s := &serving{Name: fmt.Sprintf("n%d", i+1), Data: filepath.Join(d.folder, fmt.Sprintf("%s-n%d", database, i+1))}
		if s.Public, err = freeAddress(); err == nil {
			s.Operations, err = freeAddress()
		}
		if err != nil {
			return all, 0, err
		}
		if in.serving = s; i == 0 {
			in.Issuer = s.Public
		}
		if took, err = s.start(ctx, d.program, in); s.cmd != nil {
			all = append(all, s)
		}
		if err != nil {
			return all, 0, err
		}
	}
	return all, took, nil
}

func (s *serving) start(ctx context.Context, program string, in deployed) (time.Duration, error) {
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return 0, err
	}
	var b bytes.Buffer
	if err := configuration.Execute(&b, in); err != nil {
		return 0, err
	}
	file := filepath.Join(s.Data, "drawbridge.yaml")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		return 0, err
	}
	said := &bytes.Buffer{}
	cmd := exec.CommandContext(ctx, program, "serve", "--config", file)
	cmd.Stderr = said
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	s.cmd = cmd
	for {
		resp, err := http.Get("http://" + s.Operations + "/readyz")
		if err == nil {
			if err := resp.Body.Close(); err != nil {
				return 0, err
			}
			if resp.StatusCode == http.StatusOK {
				return time.Since(began), nil
			}
		}
		if ctx.Err() != nil || time.Since(began) > 2*time.Minute {
			return 0, fmt.Errorf("%s is not ready: %w", s.Name, errors.Join(err, s.halt(), errors.New(said.String())))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func end(all []*serving) (err error) {
	for _, s := range all {
		err = errors.Join(err, s.halt())
	}
	return err
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// token makes a SCIM token of a connection, by the admin API.
func (s *serving) token(connection string) (string, error) {
	said, err := os.ReadFile(filepath.Join(s.Data, "server.json"))
	if err != nil {
		return "", err
	}
	var a struct {
		APIURL     string `json:"api_url"`
		AdminToken string `json:"admin_token"`
	}
	if err := json.Unmarshal(said, &a); err != nil {
		return "", err
	}
	req, err := http.NewRequest(http.MethodPost, a.APIURL+"/connections/"+connection+"/tokens", strings.NewReader(`{"note":"bridgebench","days":1}`))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+a.AdminToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return "", err
	}
	var made struct{ Secret string }
	return made.Secret, errors.Join(json.Unmarshal(answer, &made), func() error {
		if resp.StatusCode/100 != 2 {
			return fmt.Errorf("a token of %s: %s %.300s", connection, resp.Status, answer)
		}
		return nil
	}())
}

// left is what bench deprovision prints.
type left struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

func (s *serving) deprovision(ctx context.Context, people int) (l left, err error) {
	said, err := exec.CommandContext(ctx, s.program, "bench", "deprovision", names(1)[0], "--people", strconv.Itoa(people), "--json", "--data", s.Data).Output()
	if err != nil {
		return l, fmt.Errorf("bench deprovision: %w", err)
	}
	return l, json.Unmarshal(said, &l)
}

// leavers measures how long it takes until no node accepts a person: with three that run, and
// with one of them stopped where it stands.
func (d *deployment) leavers(ctx context.Context, t *table) (err error) {
	all, _, err := d.serve(ctx, "three", 3, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end(all)) }()
	first, third := all[0], all[2]
	first.program = d.program
	l, err := first.deprovision(ctx, d.left)
	if err != nil {
		return err
	}
	ms := func(f float64) string { return short(time.Duration(f * float64(time.Millisecond))) }
	t.row(fmt.Sprintf("deactivation until none of three nodes accepts the person, %d people", d.left), "max "+ms(l.Max), ms(l.P50), ms(l.P99))
	worst := 0.0
	for range d.cuts {
		if err := third.signal(ctx, "STOP"); err != nil {
			return err
		}
		l, err := first.deprovision(ctx, 1)
		if err := errors.Join(err, third.signal(ctx, "CONT")); err != nil {
			return err
		}
		worst = max(worst, l.Max)
		time.Sleep(2 * time.Second) // it takes its lease again
	}
	t.row(fmt.Sprintf("the same with one node stopped, right after that, %d times", d.cuts), "max "+ms(worst), "", "")
	return nil
}

// signal is by kill, whose names every Unix has.
func (s *serving) signal(ctx context.Context, name string) error {
	if s.cmd == nil || s.cmd.Process == nil {
		return syscall.ESRCH
	}
	return exec.CommandContext(ctx, "kill", "-"+name, strconv.Itoa(s.cmd.Process.Pid)).Run()
}
