package main

import (
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/examples"
)

// A person signs in at the command line by their browser, and other commands act as that
// person by the token.
func TestAPersonSignsInForTheCommandLine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	redirect := "http://" + l.Addr().String() + "/callback"
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	file, token := filepath.Join(t.TempDir(), "drawbridge.yaml"), filepath.Join(t.TempDir(), "ada.token")
	public := "\nclients:\n  - { id: drawbridge-cli, name: Command line, public: true, redirect_uris: [ '" + redirect + "' ] }\n"
	if err := os.WriteFile(file, []byte(strings.Replace(string(examples.Drawbridge), "\nclients:\n", public, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDemo(t, t.TempDir(), "--config", file)
	api := apiURL(d.Issuer)
	var said journal
	ended := make(chan int, 1)
	go func() {
		ended <- run(t.Context(), []string{"sign-in", "--url", api, "--token-file", token, "--redirect", redirect}, os.Environ(), strings.NewReader(""), &said, &said)
	}()
	open := addressTo(t, &said)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	for _, stranger := range []string{"?code=stolen", "?code=stolen&state=guessed&iss=" + d.Issuer} {
		answered(t, browser, redirect+stranger, http.StatusBadRequest)
	}
	answered(t, browser, open+"&connection=banksia-entra&login_hint=ada@banksia.example", http.StatusOK)
	if code := <-ended; code != exitDone || !strings.Contains(said.String(), "users.manage") {
		t.Fatalf("%d:\n%s", code, said.String())
	}
	if info, err := os.Stat(token); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	var out journal
	if code := run(t.Context(), []string{"request", "list", "--url", api, "--token-file", token}, os.Environ(), strings.NewReader(""), &out, &out); code != exitDone {
		t.Errorf("%d:\n%s", code, out.String())
	}
}

var printedAddress = regexp.MustCompile(`http://\S+/oauth2/authorize\S+`)

// addressTo waits for the address that is to be opened.
func addressTo(t *testing.T, said *journal) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if at := printedAddress.FindString(said.String()); at != "" {
			return at
		}
	}
	t.Fatalf("no address was printed:\n%s", said.String())
	return ""
}

func answered(t *testing.T, browser *http.Client, at string, want int) {
	t.Helper()
	res, err := browser.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != want {
		t.Errorf("%s: %d, %v; want %d", at, res.StatusCode, err, want)
	}
}
