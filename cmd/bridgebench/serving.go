package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
	"time"
)

// serving is one node among others.
type serving struct {
	Name, Public, Operations, Data string
	Database, Redis                string // where it finds them
	links                          []*link
	bridge                         // its process
}

// deployed is what a configuration of nodes is made from.
type deployed struct {
	*serving
	Issuer, RootKey string
	Provider        string // the identity provider of each; "": one that is never asked
	Connections     []string
}

var configuration = template.Must(template.New("").Parse(`version: 1
vendor: { name: Lantern Fleet Safety, support: { name: Lantern Support, email: support@lantern.example } }
server: { listen: "{{.Public}}", public_url: "http://{{.Issuer}}", metrics_listen: "{{.Operations}}", data: "{{.Data}}", node: {{.Name}}, drain: 1s, log: { level: warn } }
keys: { root: { file: "{{.RootKey}}" } }
database: { url: "{{.Database}}" }
hot: { url: "redis://{{.Redis}}" }
clients:
  - { id: fleet-web, name: Fleet Web, secret: sample-secret-for-loopback-only, redirect_uris: [ "http://127.0.0.1:8080/callback" ], grants: [ standard ] }
scopes:
  southern:
    name: Southern Telematics
    accounts:
{{- range .Connections}}
      {{.}}: { name: Customer {{.}} }
{{- end}}
connections:
{{- range .Connections}}
  {{.}}: { idp: okta, name: Customer {{.}}, domains: [ {{.}}.example ], root: southern/{{.}}, contact: it@{{.}}.example, ceiling: { scope: southern/{{.}}, grants: [ standard ] },
    sign_in: { issuer: "{{or $.Provider "https://login.example"}}", client_id: bridge, client_secret: sample-secret-for-loopback-only } }
{{- end}}
rules:
{{- range .Connections}}
  - { id: {{.}}, from: {{.}}, group: Drivers, give: standard @ southern/{{.}} }
{{- end}}
`))

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("c%05d", i)
	}
	return all
}

// wanted is what is to be started.
type wanted struct {
	database           string // of their own
	nodes, connections int
	provider           string // the connections' identity provider, on loopback
	front              string // the first node's address, which is the issuer; "": a free one
	linked             bool   // each node reaches the servers by links that can be cut
}

// serve starts nodes one after the other, and waits for each. took is how long the last one was on its way.
func (d *deployment) serve(ctx context.Context, want wanted) (all []*serving, took time.Duration, err error) {
	defer func() {
		if err != nil {
			err, all = errors.Join(err, end(all)), nil
		}
	}()
	if _, err := d.database(ctx, want.database); err != nil {
		return nil, 0, err
	}
	in := deployed{RootKey: filepath.Join(d.folder, want.database+".key"), Provider: want.provider, Connections: names(want.connections)}
	for i := range want.nodes {
		s, err := d.place(want, i)
		if s != nil {
			all = append(all, s)
		}
		if err != nil {
			return all, 0, err
		}
		in.serving, in.Issuer = s, cmp.Or(in.Issuer, s.Public)
		if took, err = s.start(ctx, in); err != nil {
			return all, 0, err
		}
	}
	return all, took, nil
}

// place gives a node its name, its addresses and its ways to the servers.
func (d *deployment) place(want wanted, i int) (s *serving, err error) {
	s = &serving{Name: fmt.Sprintf("n%d", i+1), Data: filepath.Join(d.folder, fmt.Sprintf("%s-n%d", want.database, i+1)), Redis: d.redis}
	s.program, s.bridge.beside = d.program, d.beside
	if s.Public = want.front; i > 0 || s.Public == "" {
		if s.Public, err = freeAddress(); err != nil {
			return s, err
		}
	}
	if s.Operations, err = freeAddress(); err != nil {
		return s, err
	}
	at, err := url.Parse(d.owned(want.database))
	if err != nil {
		return s, err
	}
	for _, to := range []*string{&at.Host, &s.Redis} {
		if !want.linked {
			break
		}
		k, err := newLink(*to)
		if err != nil {
			return s, err
		}
		s.links = append(s.links, k)
		*to = k.address()
	}
	s.Database = at.String()
	return s, nil
}

// readyEvery is how often a node that starts is asked whether it is ready: each answer is some work to it.
const readyEvery = 200 * time.Millisecond

func (s *serving) start(ctx context.Context, in deployed) (time.Duration, error) {
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
	cmd := exec.CommandContext(ctx, s.program, "demo", "bridge", "--config", file) // serve, with an identity provider on loopback
	cmd.Stderr = said
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	s.cmd = cmd
	for end := began.Add(8 * time.Minute); ; time.Sleep(readyEvery) {
		err := s.ready()
		if err == nil {
			return time.Since(began), nil
		}
		if state, gone := fieldsOf(cmd.Process.Pid); gone != nil || state[0] == "Z" || ctx.Err() != nil || time.Now().After(end) {
			return 0, fmt.Errorf("%s is not ready: %w", s.Name, errors.Join(err, s.halt(), errors.New(said.String())))
		}
	}
}

// ready is an error until the node may be sent people.
func (s *serving) ready() error {
	resp, err := http.Get("http://" + s.Operations + "/readyz")
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}

func end(all []*serving) (err error) {
	for _, s := range all {
		err = errors.Join(err, s.halt())
		for _, k := range s.links {
			err = errors.Join(err, k.close())
		}
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

// operator is where a node's admin API is, and what opens it.
func (s *serving) operator() (host, prefix, auth string, err error) {
	said, err := os.ReadFile(filepath.Join(s.Data, "server.json"))
	if err != nil {
		return "", "", "", err
	}
	var a struct {
		APIURL     string `json:"api_url"`
		AdminToken string `json:"admin_token"`
	}
	if err := json.Unmarshal(said, &a); err != nil {
		return "", "", "", err
	}
	u, err := url.Parse(a.APIURL)
	if err != nil {
		return "", "", "", err
	}
	return u.Host, u.Path, "Bearer " + a.AdminToken, nil
}

// token makes a SCIM token of a connection.
func (s *serving) token(connection string) (string, error) {
	host, prefix, auth, err := s.operator()
	if err != nil {
		return "", err
	}
	w, err := dial(host)
	if err != nil {
		return "", err
	}
	defer w.close()
	return newToken(w, prefix, auth, connection)
}

// newToken does so over a connection that is there.
func newToken(w *wire, prefix, auth, connection string) (string, error) {
	status, answer, err := w.do("POST", prefix+"/connections/"+connection+"/tokens", auth, "application/json", `{"note":"bridgebench","days":1}`)
	if err := expect(http.StatusCreated, status, answer, err); err != nil {
		return "", err
	}
	return field(answer, "secret")
}
