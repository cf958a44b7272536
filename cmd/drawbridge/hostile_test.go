package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// What one request may make the process hold, and what it may allocate on its way.
const (
	mayHold     = 4 << 20
	mayAllocate = 32 << 20
)

// attack is one request, byte by byte, and how it has to be answered.
type attack struct {
	name   string
	bytes  string
	status []int
	shape  func(*testing.T, answerOf)
}

// answerOf is what came back over the socket.
type answerOf struct {
	status int
	header http.Header
	body   string
	more   string // what came after the first answer
}

// raw sends bytes as they are and reads until the other end closes.
func raw(t *testing.T, issuer, sent string) answerOf {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(t.Context(), "tcp", strings.TrimPrefix(issuer, "http://"))
	if err != nil {
		t.Fatalf("the process does not answer: %v", err)
	}
	defer conn.Close() //nolint:errcheck // read to its end
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go io.WriteString(conn, sent) //nolint:errcheck // the server may refuse before it has read everything
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		t.Fatalf("half an answer: %v", err)
	}
	more, _ := io.ReadAll(io.LimitReader(r, 64<<10)) //nolint:errcheck // a reset is an end too
	return answerOf{status: res.StatusCode, header: res.Header, body: string(body), more: string(more)}
}

func sentence(s string) bool { return len(strings.Fields(s)) >= 3 }

// scimError is RFC 7644 section 3.12.
func scimError(t *testing.T, a answerOf) {
	t.Helper()
	var e struct {
		Schemas        []string
		Status, Detail string
	}
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || len(e.Schemas) != 1 || e.Schemas[0] != "urn:ietf:params:scim:api:messages:2.0:Error" ||
		e.Status != fmt.Sprint(a.status) || !sentence(e.Detail) || !strings.HasPrefix(a.header.Get("Content-Type"), "application/scim+json") {
		t.Errorf("not SCIM's error: %d %s %s", a.status, a.header.Get("Content-Type"), a.body)
	}
}

// oauthError is RFC 6749 section 5.2.
func oauthError(t *testing.T, a answerOf) {
	t.Helper()
	var e struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || e.Error == "" || !sentence(e.Description) {
		t.Errorf("not OAuth's error: %d %s", a.status, a.body)
	}
}

// pageError is a page for people, which leads nowhere by itself.
func pageError(t *testing.T, a answerOf) {
	t.Helper()
	if !strings.Contains(a.body, "<h1>") || a.header.Get("Location") != "" || a.header.Get("Refresh") != "" {
		t.Errorf("not a page that says no: %d %v %s", a.status, a.header, a.body)
	}
}

// problemError is RFC 9457.
func problemError(t *testing.T, a answerOf) {
	t.Helper()
	var e struct{ Detail string }
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || !sentence(e.Detail) {
		t.Errorf("not a problem: %d %s", a.status, a.body)
	}
}

// httpError is what is refused before it is a request of any protocol.
func httpError(t *testing.T, a answerOf) {
	t.Helper()
	if a.body == "" || a.header.Get("Location") != "" {
		t.Errorf("%d %v %q", a.status, a.header, a.body)
	}
}

// staysHere allows a redirect to another path of the same origin.
func staysHere(t *testing.T, a answerOf) {
	t.Helper()
	to := a.header.Get("Location")
	if to != "" && (to[0] != '/' || len(to) > 1 && (to[1] == '/' || to[1] == '\\')) {
		t.Errorf("%d leads to %q", a.status, to)
	}
}

func request(method, target, header, body string) string {
	return method + " " + target + " HTTP/1.1\r\nHost: bridge.example\r\nConnection: close\r\n" + header +
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

func (d *running) scimAttacks() []attack {
	c := d.connection("tundra-okta")
	path := strings.TrimPrefix(c.SCIMURL, d.Issuer)
	bearer := "Authorization: Bearer " + c.SCIMToken + "\r\nContent-Type: application/scim+json\r\n"
	to := func(name, method, target, body string, status ...int) attack {
		return attack{name, request(method, path+target, bearer, body), status, scimError}
	}
	user := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":`
	deep := strings.Repeat("(", 4000)
	all := []attack{
		to("a filter nested 4000 deep", "GET", "/Users?filter="+deep+"active%20eq%20true"+strings.Repeat(")", 4000), "", 400, 414),
		to("a filter of nots", "GET", "/Users?filter="+strings.Repeat("not(", 2000), "", 400, 414),
		to("a path of 20 KB", "GET", "/Users/"+strings.Repeat("a", 20<<10), "", 400, 404, 414),
		to("arrays nested half a million deep", "POST", "/Users", user+strings.Repeat("[", 500_000), 400),
		to("objects nested a hundred thousand deep", "POST", "/Users", strings.Repeat(`{"a":`, 100_000), 400),
		to("a number without end", "POST", "/Users", user+`1e`+strings.Repeat("9", 200_000)+`}`, 400),
		to("five megabytes", "POST", "/Users", user+`"`+strings.Repeat("a", 5<<20)+`"}`, 413),
		to("a duplicate key", "POST", "/Users", user+`"a","userName":"b"}`, 400),
		to("a duplicate key that differs in case", "POST", "/Users", user+`"a","USERNAME":"b"}`, 400),
		to("invalid UTF-8", "POST", "/Users", user+"\"a\xff\xfe\"}", 400),
		to("a PATCH of 100,000 operations", "PATCH", "/Users/nobody", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+
			strings.TrimSuffix(strings.Repeat(`{"op":"add"},`, 60_000), ",")+`]}`, 400, 404, 413),
		to("a cursor that nobody made", "GET", "/Users?cursor="+strings.Repeat("A", 20<<10), "", 400, 414),
		to("a search nested 4000 deep", "POST", "/.search", `{"filter":"`+deep+`"}`, 400),
		to("a search with five megabytes of names", "POST", "/Users/.search", `{"attributes":["`+strings.Repeat("a", 5<<20)+`"]}`, 413),
		to("count below reason", "GET", "/Users?startIndex=-99999999999999999999", "", 400),
		{"no token", request("GET", path+"/Users", "", ""), []int{401}, scimError},
		{"another customer's token", request("GET", "/scim/v2/banksia-entra/Users", bearer, ""), []int{401}, scimError},
		{"a connection that is not there", request("GET", "/scim/v2/nowhere/Users", bearer, ""), []int{401}, scimError},
		to("a path of 80 KB", "GET", "/Users/"+strings.Repeat("a", 80<<10), "", 414),
		to("a filter of 3,000 terms", "GET", "/Users?filter=active%20eq%20true"+strings.Repeat("%20or%20active%20eq%20true", 3000), "", 414),
		to("two slashes", "GET", "//Users", "", 404),
		to("dots", "GET", "/../southern-entra/Users", "", 404),
		{"a base URL without a connection", request("GET", "/scim/v2", bearer, ""), []int{404}, scimError},
		{"dots by nobody", request("GET", path+"/../southern-entra/Users", "", ""), []int{401}, scimError},
		to("a path out of the protocol", "GET", "/../../../etc/passwd", "", 404),
		{"a path that looks like another host", request("GET", "//elsewhere.example/%2e%2e/x/..", "", ""), []int{301, 307, 308, 400, 404}, staysHere},
	}
	for _, keep := range []int{1, 9, len(c.SCIMToken) / 2, len(c.SCIMToken) - 1} {
		all = append(all, attack{fmt.Sprintf("a token cut after %d", keep),
			request("GET", path+"/Users", "Authorization: Bearer "+c.SCIMToken[:keep]+"\r\n", ""), []int{401}, scimError})
	}
	return all
}

func (d *running) edgeAttacks() []attack {
	form := "Content-Type: application/x-www-form-urlencoded\r\n"
	head := "POST /oauth2/token HTTP/1.1\r\nHost: bridge.example\r\nConnection: close\r\n" + form
	return []attack{
		{"a path of 1 MB", request("GET", "/"+strings.Repeat("a", 1<<20), "", ""), []int{431}, httpError},
		{"a header of 1 MB", request("GET", "/me/", "X-Long: "+strings.Repeat("a", 1<<20)+"\r\n", ""), []int{431}, httpError},
		{"two lengths", head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", []int{400}, httpError},
		{"a length below zero", head + "Content-Length: -1\r\n\r\n", []int{400}, httpError},
		{"an unknown transfer coding", head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", []int{400, 501}, httpError},
		{"a length and a transfer coding", head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /me/ HTTP/1.1\r\nHost: bridge.example\r\n\r\n", []int{400, 401}, httpError},
		{"a header line that is folded into a body", head + "X: y\r\n Content-Length: 5\r\n\r\n", []int{400, 401, 415}, httpError},
		{"no host", "GET /me/ HTTP/1.1\r\nConnection: close\r\n\r\n", []int{400}, httpError},
		{"the token endpoint with 1 MB", request("POST", "/oauth2/token", form, "grant_type="+strings.Repeat("a", 1<<20)), []int{400, 401, 413}, oauthError},
		{"the token endpoint with a parameter twice", request("POST", "/oauth2/token", form, "grant_type=refresh_token&grant_type=authorization_code"), []int{400, 401}, oauthError},
		{"the token endpoint with invalid UTF-8", request("POST", "/oauth2/token", form, "grant_type=%ff%fe&client_id=%c3"), []int{400, 401}, oauthError},
		{"a wrong secret", request("POST", "/oauth2/token", form, "grant_type=refresh_token&refresh_token=x&client_id=fleet-web&client_secret=wrong"), []int{401}, oauthError},
		{"introspection by nobody", request("POST", "/oauth2/introspect", form, "token=x"), []int{401}, oauthError},
		{"userinfo with a token of nobody", request("GET", "/oauth2/userinfo", "Authorization: Bearer eyJhbGciOiJub25lIn0.e30.\r\n", ""), []int{401}, oauthError},
		{"the admin API with a SCIM token", request("GET", "/api/v1/doctor", "Authorization: Bearer "+d.Connections[0].SCIMToken+"\r\n", ""), []int{401}, problemError},
		{"a form of another site", request("POST", "/me/sign-out", form+"Origin: https://elsewhere.example\r\nSec-Fetch-Site: cross-site\r\n", ""), []int{403}, pageError},
		{"an address form of 1 MB", request("POST", "/sign-in", form, "email="+strings.Repeat("a", 1<<20)), []int{400, 413}, pageError},
	}
}

// redirectAttacks are addresses that look like the registered one, and are not.
func (d *running) redirectAttacks() []attack {
	good := d.Clients[0].RedirectURI
	var all []attack
	for _, bad := range []string{"", good + "/", good + "?x=1", good + "#x", good + "%2e%2e", good + "/../callback", strings.ToUpper(good), "//" + strings.TrimPrefix(good, "http://"),
		strings.Replace(good, "127.0.0.1", "127.0.0.1.elsewhere.example", 1), strings.Replace(good, "127.0.0.1", "elsewhere.example@127.0.0.1", 1),
		strings.Replace(good, "127.0.0.1", "localhost", 1), "javascript:alert(1)", "https://elsewhere.example/callback", good + "\r\nX: y", good + "\x00"} {
		q := d.authorize(url.Values{"redirect_uri": {bad}})
		all = append(all, attack{fmt.Sprintf("redirect_uri %q", bad), request("GET", "/oauth2/authorize?"+q.Encode(), "", ""), []int{400}, pageError})
	}
	twice := d.authorize(nil).Encode() + "&redirect_uri=https%3A%2F%2Felsewhere.example%2F"
	return append(all, attack{"redirect_uri twice", request("GET", "/oauth2/authorize?"+twice, "", ""), []int{400}, pageError},
		attack{"an unknown client", request("GET", "/oauth2/authorize?"+d.authorize(url.Values{"client_id": {"nobody"}}).Encode(), "", ""), []int{400}, pageError})
}

// authorize is a good request with some parameters replaced; an empty one is left out.
func (d *running) authorize(with url.Values) url.Values {
	q := url.Values{"response_type": {"code"}, "client_id": {d.Clients[0].ClientID}, "redirect_uri": {d.Clients[0].RedirectURI}, "scope": {"openid"}, "state": {"s"},
		"nonce": {"n"}, "code_challenge": {oauth2.S256ChallengeFromVerifier(strings.Repeat("v", 43))}, "code_challenge_method": {"S256"}}
	for k, v := range with {
		if q[k] = v; v[0] == "" {
			delete(q, k)
		}
	}
	return q
}

// Whatever is sent over a socket is answered in the protocol's own words; the
// process lives, and holds no more than before.
func TestHostileRequestsGetAnAnswerAndNothingElse(t *testing.T) {
	d := startDemo(t, t.TempDir())
	slow := slowHeader(t, d.Issuer)
	for _, group := range [][]attack{d.scimAttacks(), d.edgeAttacks(), d.redirectAttacks()} {
		for _, a := range group {
			t.Run(a.name, func(t *testing.T) { d.withstand(t, a) })
		}
	}
	if err := <-slow; err != nil {
		t.Errorf("a client that never ends its header: %v", err)
	}
	d.lives(t)
}

func (d *running) withstand(t *testing.T, a attack) {
	t.Helper()
	held, allocated := memory()
	got := raw(t, d.Issuer, a.bytes)
	heldAfter, allocatedAfter := memory()
	ok := false
	for _, s := range a.status {
		ok = ok || got.status == s
	}
	if !ok {
		t.Errorf("answered %d, not %v: %.300s", got.status, a.status, got.body)
	}
	if got.more != "" {
		t.Errorf("a second answer came: %.200s", got.more)
	}
	a.shape(t, got)
	if grew := int64(heldAfter) - int64(held); grew > mayHold {
		t.Errorf("the process holds %d KB more", grew>>10)
	}
	if allocatedAfter-allocated > mayAllocate {
		t.Errorf("the request allocated %d KB", (allocatedAfter-allocated)>>10)
	}
	d.lives(t)
}

func memory() (held, allocated uint64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.TotalAlloc
}

func (d *running) lives(t *testing.T) {
	t.Helper()
	if p := get(t, http.DefaultClient, d.Issuer+"/.well-known/openid-configuration"); p.status != http.StatusOK {
		t.Fatalf("the bridge answers %d now", p.status)
	}
}

// slowHeader starts a request and never ends its header: the bridge hangs up.
func slowHeader(t *testing.T, issuer string) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(issuer, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer conn.Close() //nolint:errcheck // it is over
		_, err := io.WriteString(conn, "GET /me/ HTTP/1.1\r\nHost: bridge.example\r\nX-Slow: ")
		if err == nil {
			err = conn.SetReadDeadline(time.Now().Add(15 * time.Second))
		}
		if err == nil {
			_, err = io.Copy(io.Discard, conn) // until the bridge closes
		}
		done <- err
	}()
	return done
}

// Ids of another customer are answered as ids that never were: the same bytes.
func TestAnotherCustomersIDsAreUnknownOnes(t *testing.T) {
	t.Parallel()
	d := startDemo(t, t.TempDir())
	theirs, ours := d.connection("tundra-okta"), d.connection("banksia-entra")
	var list struct {
		Resources []struct {
			ID string `json:"id"`
		}
	}
	for _, kind := range []string{"/Users", "/Groups"} {
		if got := scimCall(t, http.MethodGet, theirs.SCIMURL+kind, theirs.SCIMToken, nil, &list); got != http.StatusOK || len(list.Resources) == 0 {
			t.Fatalf("%s answered %d", kind, got)
		}
		id := list.Resources[0].ID
		never := id[:4] + strings.Repeat("0", len(id)-4)
		path := strings.TrimPrefix(ours.SCIMURL, d.Issuer) + kind + "/"
		bearer := "Authorization: Bearer " + ours.SCIMToken + "\r\nContent-Type: application/scim+json\r\n"
		for _, method := range []string{"GET", "DELETE", "PATCH", "PUT"} {
			body := map[string]string{"PATCH": `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"displayName","value":"x"}]}`,
				"PUT": `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"x","displayName":"x"}`}[method]
			if kind == "/Groups" {
				body = strings.Replace(body, `core:2.0:User"],"userName":"x"`, `core:2.0:Group"]`, 1)
			}
			known, unknown := raw(t, d.Issuer, request(method, path+id, bearer, body)), raw(t, d.Issuer, request(method, path+never, bearer, body))
			scimError(t, known)
			if known.status != http.StatusNotFound || unknown.status != known.status || strings.ReplaceAll(unknown.body, never, id) != known.body {
				t.Errorf("%s %s: %d %s\nand for one that never was %d %s", method, kind, known.status, known.body, unknown.status, unknown.body)
			}
		}
	}
}

// code signs in without redeeming: what a thief of the callback would hold.
func (d *running) code(t *testing.T, verifier string) string {
	t.Helper()
	b := newBrowser(t)
	b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), d.Clients[0].RedirectURI) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	q := d.authorize(url.Values{"code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "scope": {"openid offline_access"},
		"login_hint": {"liv@tundra.example"}, "connection": {"tundra-okta"}})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.Issuer+"/oauth2/authorize?"+q.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := b.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // a redirect has no body to read
	back, err := res.Location()
	if err != nil || back.Query().Get("code") == "" {
		t.Fatalf("no code: %v %v", back, err)
	}
	return back.Query().Get("code")
}

// A code is good once, for its client, its redirect URI and its verifier; used
// again it takes what it opened with it. So does a refresh token of before the last.
func TestReplaysEndWhatTheyOpened(t *testing.T) {
	d := startDemo(t, t.TempDir())
	c, verifier := d.client("tundra-okta"), oauth2.GenerateVerifier()
	_, err := c.Exchange(t.Context(), d.code(t, verifier), oauth2.GenerateVerifier(), "")
	wantOAuth(t, err, "invalid_grant")
	code := d.code(t, verifier)
	_, err = c.Exchange(t.Context(), code[:len(code)-1], verifier, "")
	wantOAuth(t, err, "invalid_grant")
	tokens, err := c.Exchange(t.Context(), code, verifier, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Exchange(t.Context(), code, verifier, "")
	wantOAuth(t, err, "invalid_grant")
	if said, err := c.Introspect(t.Context(), tokens.AccessToken); err != nil || said["active"] != false {
		t.Errorf("after the replay of its code a token is %v, %v", said, err)
	}
	first, err := c.SignIn(t.Context(), "liv@tundra.example")
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Refresh(t.Context(), first.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	third, err := c.Refresh(t.Context(), second.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	for _, used := range []string{first.RefreshToken, third.RefreshToken, third.RefreshToken[:20]} {
		_, err = c.Refresh(t.Context(), used)
		wantOAuth(t, err, "invalid_grant")
	}
	if said, err := c.Introspect(t.Context(), third.AccessToken[:len(third.AccessToken)-2]); err != nil || len(said) != 1 || said["active"] != false {
		t.Errorf("a token cut short is %v, %v", said, err)
	}
}

// Without PKCE, or with its plain form, the application is told; the code flow does
// not begin.
func TestPKCEIsNotOptional(t *testing.T) {
	d := startDemo(t, t.TempDir())
	for name, with := range map[string]url.Values{"missing": {"code_challenge": {""}, "code_challenge_method": {""}}, "plain": {"code_challenge_method": {"plain"}},
		"without a method": {"code_challenge_method": {""}}, "too short": {"code_challenge": {"short"}}} {
		got := raw(t, d.Issuer, request("GET", "/oauth2/authorize?"+d.authorize(with).Encode(), "", ""))
		back, err := url.Parse(got.header.Get("Location"))
		if err != nil || !strings.HasPrefix(back.String(), d.Clients[0].RedirectURI+"?") || back.Query().Get("error") != "invalid_request" ||
			!sentence(back.Query().Get("error_description")) || back.Query().Get("state") != "s" || back.Query().Get("iss") != d.Issuer {
			t.Errorf("PKCE %s: %d to %s", name, got.status, back)
		}
	}
}
