package demo

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/drawbridge-id/drawbridge/internal/secret"
	"github.com/drawbridge-id/drawbridge/oidc/oidctest"
)

// kept is what Data remembers, so that a restart is the same servers to browsers
// and to the bridge: addresses are part of issuers, and issuers of identities.
type kept struct {
	Addresses map[string]string `json:"addresses"` // "bridge", "app", and connections
	Secrets   map[string]string `json:"client_secrets"`
}

func (s *Servers) keptFile() string { return filepath.Join(s.opts.Data, "demo-addresses.json") }

func (s *Servers) listen() error {
	host, port, err := loopback(s.opts.Listen)
	if err != nil {
		return err
	}
	var was kept
	if err := s.read(s.keptFile(), &was); err != nil {
		return err
	}
	now := kept{Addresses: map[string]string{}, Secrets: map[string]string{}}
	take := func(name string, offset int) (net.Listener, error) {
		fixed := 0
		if port != 0 {
			fixed = port + offset
		}
		l, err := s.take(host, fixed, was.Addresses[name], offset == 0)
		if err == nil {
			now.Addresses[name] = l.Addr().String()
		}
		return l, err
	}
	if s.bridge, err = take("bridge", 0); err != nil {
		return err
	}
	s.at = "http://" + s.bridge.Addr().String()
	l, err := take("app", 1)
	if err != nil {
		return err
	}
	s.app = &server{Listener: l}
	for n, spec := range s.opts.Connections {
		if l, err = take("idp "+spec.ID, 2+n); err != nil {
			return err
		}
		sec := was.Secrets[spec.ID]
		if sec == "" {
			sec = rand.Text()
		}
		now.Secrets[spec.ID] = sec
		s.idps = append(s.idps, &idp{spec: spec, at: &server{Listener: l}, secret: secret.New(sec)})
	}
	if l, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	s.control = &server{Listener: l}
	return s.write(s.keptFile(), now)
}

// loopback refuses every other address: the demo's identity providers sign in
// whoever asks.
func loopback(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("demo: --listen: %w", err)
	}
	if port, err = strconv.Atoi(text); err != nil || port < 0 || port > 65535-64 {
		return "", 0, fmt.Errorf("demo: --listen: %q is not a port that leaves room for the others", text)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", 0, fmt.Errorf("demo: --listen: %q is not a loopback address: the demo signs in whoever asks, so it stays on this machine; use 127.0.0.1", host)
	}
	return host, port, nil
}

// take listens on the fixed port; without one on the address that is remembered;
// else, or when that is taken, on a free port. must: the fixed port or nothing.
func (s *Servers) take(host string, fixed int, remembered string, must bool) (net.Listener, error) {
	want := remembered
	if fixed != 0 {
		want = net.JoinHostPort(host, strconv.Itoa(fixed))
	}
	if want != "" {
		l, err := net.Listen("tcp", want)
		if err == nil {
			return l, nil
		}
		if fixed != 0 && must {
			return nil, fmt.Errorf("demo: %w: choose another address with --listen, or 127.0.0.1:0 for a free one", err)
		}
		s.Moved = s.Moved || remembered != ""
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return l, nil
}

// directory is the one that was kept, or the sample's; kept from then on.
func (s *Servers) directory(spec Spec) (*oidctest.Directory, error) {
	d := spec.directory(s.opts.Now())
	if s.opts.Data == "" {
		return d, nil
	}
	file := filepath.Join(s.opts.Data, "demo-directory-"+spec.ID+".json")
	if err := s.read(file, d); err != nil {
		return nil, err
	}
	var writing sync.Mutex // so that the last change is the last one written
	d.Watch(func() {
		writing.Lock()
		defer writing.Unlock()
		s.problem(s.write(file, d))
	})
	return d, s.write(file, d)
}

// read decodes a file of Data; without one, or without Data, into stays as it is.
func (s *Servers) read(file string, into any) error {
	if s.opts.Data == "" {
		return nil
	}
	b, err := os.ReadFile(file) //nolint:gosec // in the owner's own folder
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("demo: %s cannot be read, delete it to start anew: %w", file, err)
	}
	return nil
}

// write replaces a file of Data, mode 0600, whole or not at all.
func (s *Servers) write(file string, v any) error {
	if s.opts.Data == "" {
		return nil
	}
	return replace(file, v)
}

func replace(file string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".demo-*")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	_, err = f.Write(append(b, '\n')) // CreateTemp made it 0600
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("demo: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
