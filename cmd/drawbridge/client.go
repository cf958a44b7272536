package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/api"
	asking "github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/steward"
)

// address is how the command line finds a running bridge: a file, readable by its
// owner alone, that the bridge writes into its data folder when it starts.
type address struct {
	APIURL     string `json:"api_url"`
	AdminToken string `json:"admin_token"`
}

const addressFile = "server.json"

func (a address) write(folder string) error {
	body, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(folder, addressFile)
	if err := os.WriteFile(path+".new", body, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// withdraw takes the address away when the bridge stops, unless another bridge has
// put its own there since.
func (a address) withdraw(folder string) error {
	path := filepath.Join(folder, addressFile)
	body, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var there address
	if err == nil {
		err = json.Unmarshal(body, &there)
	}
	if err != nil || there != a {
		return err
	}
	return os.Remove(path)
}

// find reads the address of the running bridge: from flags, else from the data
// folder named, else from the folder of those that serve and demo use by default
// whose bridge was started last.
func (c *cli) find() (address, error) {
	if c.url != "" {
		token, err := os.ReadFile(c.token)
		if err != nil {
			return address{}, failed(exitUsage, "--url needs --token-file with the administrator's token: %w", err)
		}
		return address{APIURL: strings.TrimSuffix(c.url, "/"), AdminToken: strings.TrimSpace(string(token))}, nil
	}
	folders := []string{c.data}
	if c.data == "" {
		folders = []string{"data", demoFolder()}
	}
	folder, found := latest(folders)
	if !found {
		return address{}, failed(exitUnreachable, "no bridge is running here: there is no %s in %s. Start one (drawbridge demo, drawbridge serve), or name its folder with --data", addressFile, strings.Join(folders, " or "))
	}
	body, err := os.ReadFile(filepath.Join(folder, addressFile))
	if err != nil {
		return address{}, failed(exitNotAllowed, "cannot read the address of the bridge: %w", err)
	}
	var a address
	if err := json.Unmarshal(body, &a); err != nil {
		return address{}, failed(exitUsage, "%s: %w", filepath.Join(folder, addressFile), err)
	}
	if c.token == "" {
		return a, nil
	}
	token, err := os.ReadFile(c.token) // somebody acts at the bridge on this machine by a token of their own
	if err != nil {
		return address{}, failed(exitUsage, "cannot read the token: %w", err)
	}
	a.AdminToken = strings.TrimSpace(string(token))
	return a, nil
}

// latest is the folder that a bridge announced itself in last: an address that an
// ended bridge left behind must not hide the one that runs. One that may not be
// looked at counts as the oldest: reading it says why.
func latest(folders []string) (folder string, found bool) {
	var newest time.Time
	for _, f := range folders {
		var at time.Time
		switch info, err := os.Stat(filepath.Join(f, addressFile)); {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil:
			at = info.ModTime()
		}
		if !found || at.After(newest) {
			folder, newest, found = f, at, true
		}
	}
	return folder, found
}

// ask sends one request to the admin API and decodes the answer into out, which
// may be nil.
func (c *cli) ask(ctx context.Context, method, path string, in, out any) error {
	a, err := c.find()
	if err != nil {
		return err
	}
	return c.call(ctx, method, a.APIURL+path, a.AdminToken, in, out)
}

func (c *cli) call(ctx context.Context, method, target, token string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return failed(exitUsage, "%s is not an address: %w", target, err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	client := &http.Client{Timeout: 30 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		var u *url.Error
		errors.As(err, &u)
		return failed(exitUnreachable, "no bridge answers at %s: %w. Is it running?", req.URL.Host, u.Err)
	}
	defer resp.Body.Close()
	return c.answer(resp, out)
}

// answer decodes an answer, or turns a problem into the exit code it means. Where the
// answer is to be shown as text, its texts are legible.
func (c *cli) answer(resp *http.Response, out any) error {
	const most = 64 << 20
	body, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return failed(exitUnreachable, "the bridge broke off its answer: %w", err)
	}
	if resp.StatusCode >= 300 {
		return declined(resp, body)
	}
	if out == nil {
		return nil
	}
	if !c.json {
		body, err = legibleTexts(body)
	}
	if err == nil {
		err = json.Unmarshal(body, out)
	}
	if err != nil {
		return failed(exitUnreachable, "what answers there is not a bridge: %w", err)
	}
	return nil
}

// confirmed are the refusals that somebody can confirm, with the flag that does.
var confirmed = map[string]string{
	asking.ReasonLast:           "--successor names one, --confirm-last confirms it",
	steward.ReasonRemovesMore:   "--confirm-more confirms it",
	steward.ReasonUndecidedLeft: "--confirm confirms it",
}

// declined is an answer that is a problem: its sentence, with what is wrong where, and the
// exit code that it means. Of what can be confirmed it says how.
func declined(resp *http.Response, body []byte) error {
	var p struct {
		Detail, Reason string
		Errors         []struct{ Location, Message string }
	}
	if err := json.Unmarshal(body, &p); err != nil || p.Detail == "" {
		p.Detail = "the bridge answered " + resp.Status
	}
	for _, e := range p.Errors {
		p.Detail += fmt.Sprintf("; %s: %s", e.Location, e.Message)
	}
	if flag, can := confirmed[p.Reason]; can {
		return failed(exitGuard, "%s (%s)", legible(p.Detail), flag)
	}
	return failed(exitCodeOf(resp.StatusCode), "%s", legible(p.Detail))
}

func exitCodeOf(status int) int {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return exitNotAllowed
	case status == http.StatusNotFound || status == http.StatusConflict:
		return exitNo
	case status == http.StatusPreconditionFailed:
		return exitStale
	case status >= http.StatusInternalServerError:
		return exitUnreachable
	}
	return exitUsage
}

// apiURL is the admin API of a bridge at that origin.
func apiURL(origin string) string { return origin + api.Prefix }
