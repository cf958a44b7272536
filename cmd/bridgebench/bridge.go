package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// bridge is a demo that this program started.
type bridge struct {
	program, dir string
	engines      []string // flags that say where the demo keeps its state, if not in its folder
	beside       beside
	cmd          *exec.Cmd
	firstStart   time.Duration
	demo         demo
}

// demo is the first line that `drawbridge demo --json` prints.
type demo struct {
	Issuer      string `json:"issuer"`
	Connections []struct {
		ID        string   `json:"id"`
		IdP       string   `json:"idp"`
		SCIMURL   string   `json:"scim_url"`
		SCIMToken string   `json:"scim_token"`
		People    []string `json:"people"`
	} `json:"connections"`
	Clients []client `json:"clients"`
}

// client is an application at the bridge.
type client struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	RedirectURI  string `json:"redirect_uri"`
}

func start(ctx context.Context, program string, engines ...string) (*bridge, error) {
	dir, err := os.MkdirTemp("", "bridgebench-")
	if err != nil {
		return nil, err
	}
	b := &bridge{program: program, dir: dir, engines: engines}
	b.firstStart, err = b.launch(ctx)
	if err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

// launch starts the program and waits for its first line.
func (b *bridge) launch(ctx context.Context) (time.Duration, error) {
	b.cmd = exec.CommandContext(ctx, b.program, append([]string{"demo", "--json", "--listen", "127.0.0.1:0", "--data", b.dir}, b.engines...)...)
	b.cmd.Stderr = os.Stderr // what it has to say explains what a load was answered
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := b.cmd.Start(); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("the bridge did not start: %w", errors.Join(err, b.cmd.Wait()))
	}
	return time.Since(began), json.Unmarshal([]byte(line), &b.demo)
}

// halt ends the program and waits for it.
func (b *bridge) halt() error {
	if b.cmd == nil || b.cmd.Process == nil {
		return nil
	}
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := b.cmd.Wait()
	b.cmd = nil
	return err
}

func (b *bridge) stop() {
	if err := errors.Join(b.halt(), os.RemoveAll(b.dir)); err != nil {
		fmt.Fprintln(os.Stderr, "bridgebench: cleaning up:", err)
	}
}

// scim is the host, path prefix and Authorization header of a connection.
func (b *bridge) scim(connection string) (host, prefix, auth string, err error) {
	for _, c := range b.demo.Connections {
		if c.ID == connection {
			u, err := url.Parse(c.SCIMURL)
			return u.Host, strings.TrimSuffix(u.Path, "/"), "Bearer " + c.SCIMToken, err
		}
	}
	return "", "", "", fmt.Errorf("the demo has no connection %s", connection)
}

func (b *bridge) host() (string, error) {
	u, err := url.Parse(b.demo.Issuer)
	return u.Host, err
}

// rss is the program's resident memory in bytes.
func (b *bridge) rss() (int64, error) {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("no VmRSS")
}
