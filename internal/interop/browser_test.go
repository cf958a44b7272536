//go:build interop

package interop

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// browser keeps cookies, follows redirects and sends forms; it runs no script.
type browser struct {
	t      *testing.T
	client *http.Client
	until  string // an address at which it stops, before it asks there; "": none
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t}
	b.client = &http.Client{Jar: trusting{jar}, Timeout: 30 * time.Second, CheckRedirect: func(next *http.Request, _ []*http.Request) error {
		if b.until != "" && strings.HasPrefix(next.URL.String(), b.until) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return b
}

// trusting holds loopback for secure, as browsers do (Secure Contexts section 3.1):
// Keycloak marks its cookies as Secure there.
type trusting struct{ *cookiejar.Jar }

func secure(u *url.URL) *url.URL {
	out := *u
	out.Scheme = "https"
	return &out
}

func (j trusting) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.Jar.SetCookies(secure(u), cookies)
}

func (j trusting) Cookies(u *url.URL) []*http.Cookie { return j.Jar.Cookies(secure(u)) }

// page is where a browser came to rest.
type page struct {
	url    *url.URL
	status int
	body   string
}

// send gives the answer, or where it redirects to if the client does not follow.
func send(t *testing.T, c *http.Client, req *http.Request) page {
	t.Helper()
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	at := res.Request.URL
	if to, err := res.Location(); err == nil {
		at = to
	}
	return page{url: at, status: res.StatusCode, body: string(body)}
}

func (b *browser) get(at string) page {
	req := request(b.t, http.MethodGet, at, "")
	req.Header.Set("Accept", "text/html,*/*;q=0.8") // servers ask nobody else to sign in
	return send(b.t, b.client, req)
}

func (b *browser) post(to string, values url.Values) page {
	req := request(b.t, http.MethodPost, to, values.Encode())
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return send(b.t, b.client, req)
}

// form is one of a page, with the values that stand in it.
type form struct {
	action string // absolute
	values url.Values
}

// forms reads all of a page's forms.
func (p page) forms(t *testing.T) []form {
	t.Helper()
	root, err := html.Parse(strings.NewReader(p.body))
	if err != nil {
		t.Fatal(err)
	}
	var all []form
	for n := range root.Descendants() {
		switch {
		case n.Type != html.ElementNode:
		case n.Data == "form":
			to, err := p.url.Parse(attribute(n, "action"))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, form{action: to.String(), values: url.Values{}})
		case len(all) > 0 && (n.Data == "input" || n.Data == "button") && attribute(n, "name") != "":
			if f := all[len(all)-1]; n.Data == "input" || !f.values.Has(attribute(n, "name")) { // of buttons the first is pressed
				f.values.Add(attribute(n, "name"), attribute(n, "value"))
			}
		}
	}
	return all
}

// link finds where the first link leads whose text or address has a part.
func (p page) link(t *testing.T, part string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(p.body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "a" && strings.Contains(attribute(n, "href"), part) {
			to, err := p.url.Parse(attribute(n, "href"))
			if err != nil {
				t.Fatal(err)
			}
			return to.String()
		}
	}
	t.Fatalf("%s has no link to %s:\n%s", p.url, part, p.body)
	return ""
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// maxForms is how many forms lie between a person and an application at most.
const maxForms = 6

// walk goes to an address and fills in every form on the way, until it is sent to the
// address where it stops. It gives that, or the page on which there is nothing to fill in.
func (b *browser) walk(at string, fill func(form)) page {
	b.t.Helper()
	p := b.get(at)
	for range maxForms {
		if p.status >= 300 && p.status <= 399 || p.status >= 400 {
			return p
		}
		forms := p.forms(b.t)
		if len(forms) == 0 {
			return p
		}
		fill(forms[0])
		p = b.post(forms[0].action, forms[0].values)
	}
	b.t.Fatalf("more than %d forms, last at %s", maxForms, p.url)
	return page{}
}
