package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A restart with the same --data signs nobody out: browser sessions, refresh
// families, access tokens and the application's own sessions go on.
func TestARestartSignsNobodyOut(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	first, b := startDemo(t, data), newBrowser(t)
	wantPage(t, first.signInAtApp(t, b, "tundra-okta", "liv@tundra.example"), http.StatusOK, "You work as")
	held, err := first.client("tundra-okta").SignIn(t.Context(), "liv@tundra.example")
	if err != nil {
		t.Fatal(err)
	}
	first.stop()
	again := startDemo(t, data)
	if again.Issuer != first.Issuer || again.AppURL != first.AppURL {
		t.Fatalf("the addresses moved: %s, then %s", first.Issuer, again.Issuer)
	}
	c := again.client("tundra-okta")
	if said, err := c.Introspect(t.Context(), held.AccessToken); err != nil || said["active"] != true {
		t.Errorf("an access token of before: %v, %v", said, err)
	}
	next, err := c.Refresh(t.Context(), held.RefreshToken)
	if err != nil || next.RefreshToken == held.RefreshToken {
		t.Errorf("a refresh family of before: %v", err)
	}
	wantPage(t, get(t, b, again.AppURL+"/"), http.StatusOK, "You work as", "Tromsø")
	wantPage(t, get(t, b, again.MeURL), http.StatusOK, "You are using")
}

// startBinary runs the program at path as a process, with more arguments: a built one, or
// this test's own binary, which is the program where it is called so (TestMain). kill ends
// it as kill -9 does.
func startBinary(t *testing.T, path, data string, more ...string) (d *running, kill func()) {
	t.Helper()
	d, end := startProcess(t, path, data, more...)
	return d, func() { _ = end(os.Kill) } // it was killed
}

// startProcess is startBinary; end ends it by a signal, and says how it ended.
func startProcess(t *testing.T, path, data string, more ...string) (d *running, end func(os.Signal) error) {
	t.Helper()
	more = append(more, demoFlags(t, data)...)
	cmd := exec.Command(path, append([]string{"demo", "--listen", "127.0.0.1:0", "--json", "--data", data}, more...)...) //nolint:gosec // our own program
	cmd.Args[0] = "drawbridge"
	d = &running{t: t, data: data, log: &journal{}}
	cmd.Stderr = d.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	var ended error
	end = func(by os.Signal) error {
		once.Do(func() {
			if err := cmd.Process.Signal(by); err != nil {
				t.Error(err)
			}
			ended = cmd.Wait()
		})
		return ended
	}
	d.stop = func() { _ = end(os.Kill) }
	t.Cleanup(d.stop)
	d.hear(out)
	return d, end
}

// scimCall sends one SCIM request and decodes the answer.
func scimCall(t *testing.T, method, at, token string, body, into any) int {
	t.Helper()
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, at, &b)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/scim+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0 // killed under way: nothing was acknowledged
	}
	defer res.Body.Close() //nolint:errcheck // read by the decoder
	if into != nil && json.NewDecoder(res.Body).Decode(into) != nil {
		return 0
	}
	return res.StatusCode
}

// writeUntilKilled creates people from several connections at once until the
// process dies, and says who was acknowledged.
func writeUntilKilled(t *testing.T, c scimTarget, kill func()) []string {
	var mu sync.Mutex // guards acknowledged
	var acknowledged []string
	midst := make(chan struct{}) // closed in the middle of the writing
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for n := 0; ; n++ {
				name := fmt.Sprintf("writer%d.%d@tundra.example", w, n)
				body := map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:User"}, "userName": name, "active": true}
				var made struct {
					ID string `json:"id"`
				}
				if scimCall(t, http.MethodPost, c.url+"/Users", c.token, body, &made) != http.StatusCreated {
					return
				}
				mu.Lock()
				if acknowledged = append(acknowledged, made.ID); len(acknowledged) == 40 {
					close(midst)
				}
				mu.Unlock()
			}
		})
	}
	select {
	case <-midst:
	case <-time.After(time.Minute): // it does not write: the caller says so
	}
	kill()
	writers.Wait()
	return acknowledged
}

type scimTarget struct{ url, token string }

// I-9: kill -9 in the middle of writing loses no acknowledged write, and neither
// sessions nor refresh families.
func TestI9KillLosesNoAcknowledgedWrite(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	d, kill := startBinary(t, program, data)
	c := d.client("tundra-okta")
	held, err := c.SignIn(t.Context(), "liv@tundra.example")
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := c.Refresh(t.Context(), held.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	was := d.connection("tundra-okta")
	acknowledged := writeUntilKilled(t, scimTarget{was.SCIMURL, was.SCIMToken}, kill)
	if len(acknowledged) < 10 {
		t.Fatalf("only %d writes before the kill", len(acknowledged))
	}
	again, _ := startBinary(t, program, data)
	is := again.connection("tundra-okta")
	lost := 0
	for _, id := range acknowledged {
		if scimCall(t, http.MethodGet, is.SCIMURL+"/Users/"+id, is.SCIMToken, nil, nil) != http.StatusOK {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged writes are lost", lost, len(acknowledged))
	}
	afterwards := again.client("tundra-okta")
	if said, err := afterwards.Introspect(t.Context(), rotated.AccessToken); err != nil || said["active"] != true {
		t.Errorf("a token of before the kill: %v, %v", said, err)
	}
	next, err := afterwards.Refresh(t.Context(), rotated.RefreshToken)
	if err != nil {
		t.Fatalf("the refresh family of before the kill: %v", err)
	}
	if _, err := afterwards.Refresh(t.Context(), next.RefreshToken); err != nil {
		t.Errorf("and its next: %v", err)
	}
	_, err = afterwards.Refresh(t.Context(), held.RefreshToken)
	wantOAuth(t, err, "invalid_grant") // reuse is noticed across the kill
}

// A bridge that is told to stop in the middle of writing finishes what it has begun: who was
// answered is there, and nobody is there who was not answered.
func TestAStopFinishesWhatItHasBegun(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	d, end := startProcess(t, program, data)
	was := d.connection("tundra-okta")
	acknowledged := writeUntilKilled(t, scimTarget{was.SCIMURL, was.SCIMToken}, func() {
		if err := end(syscall.SIGTERM); err != nil {
			t.Errorf("it ended with %v\n%s", err, d.log)
		}
	})
	again, _ := startProcess(t, program, data)
	is := again.connection("tundra-okta")
	var found struct {
		TotalResults int `json:"totalResults"`
	}
	at := is.SCIMURL + "/Users?count=0&filter=" + url.QueryEscape(`userName sw "writer"`)
	if code := scimCall(t, http.MethodGet, at, is.SCIMToken, nil, &found); code != http.StatusOK {
		t.Fatal(code)
	}
	if len(acknowledged) < 40 || found.TotalResults != len(acknowledged) {
		t.Errorf("%d people were acknowledged, and %d are there", len(acknowledged), found.TotalResults)
	}
}
