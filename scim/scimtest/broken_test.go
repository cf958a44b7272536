package scimtest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fault is one thing that a server does wrong, and the check that must complain.
type fault struct {
	id string // the check

	// When: every condition that is set must hold. They are regular expressions.
	method string
	target string // of the path and query, as they were sent or decoded
	who    string // of the target, the body, the answer, or the name of the resource
	head   [2]string
	status int // of the answer
	from   int // the nth such request, and later

	targets, whom, heads *regexp.Regexp // the conditions, compiled

	// What: before the server is asked, and after.
	ask, swap, say [][2]string // in the target; in the body; in the answer
	lend           [2]string   // a header of the request
	refuse, turn   int         // a status instead of asking; a status instead of the real one
	answer         string      // a body instead of the real one
	wear           [2]string   // a header of the answer; an empty value takes it away
}

// part is a condition or an effect.
type part func(*fault)

func broken(id string, parts ...part) fault {
	f := fault{id: id}
	for _, p := range parts {
		p(&f)
	}
	f.targets, f.whom, f.heads = regexp.MustCompile("(?m)"+f.target), regexp.MustCompile("(?m)"+f.who), regexp.MustCompile(f.head[1])
	return f
}

// at is a method and a target: "GET ^/Users$".
func at(text string) part {
	return func(f *fault) { f.method, f.target, _ = strings.Cut(text, " ") }
}

func who(pattern string) part { return func(f *fault) { f.who = pattern } }

// own is about what the check itself made: its id is part of every name.
func own(f *fault) { f.who = regexp.QuoteMeta(f.id) + `-\d` }

func head(name, pattern string) part { return func(f *fault) { f.head = [2]string{name, pattern} } }
func answered(status int) part       { return func(f *fault) { f.status = status } }
func from(n int) part                { return func(f *fault) { f.from = n } }
func ask(was, is string) part        { return func(f *fault) { f.ask = append(f.ask, [2]string{was, is}) } }
func swap(was, is string) part       { return func(f *fault) { f.swap = append(f.swap, [2]string{was, is}) } }
func say(was, is string) part        { return func(f *fault) { f.say = append(f.say, [2]string{was, is}) } }
func lend(name, value string) part   { return func(f *fault) { f.lend = [2]string{name, value} } }
func refuses(status int) part        { return func(f *fault) { f.refuse = status } }
func turns(status int) part          { return func(f *fault) { f.turn = status } }
func wears(name, value string) part  { return func(f *fault) { f.wear = [2]string{name, value} } }

// nobodyFound is an empty list instead of the real one.
func nobodyFound(f *fault) {
	f.answer = `{"schemas":["` + urnList + `"],"totalResults":0,"startIndex":1,"itemsPerPage":0,"Resources":[]}`
}

// brokenServer is the reference with one fault.
type brokenServer struct {
	fault
	inner http.Handler

	mu    sync.Mutex // guards what follows
	names map[string]string
	hits  int
}

func (s *brokenServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) //nolint:errcheck // it comes from memory
	target := strings.TrimPrefix(r.URL.RequestURI(), "/scim/v2/south")
	decoded, err := url.QueryUnescape(target)
	if err != nil {
		decoded = target
	}
	context := target + "\n" + decoded + "\n" + string(body) + "\n" + s.nameOf(target)
	now := s.meant(r, target+"\n"+decoded, context, false)
	if now && s.refuse != 0 {
		refuse(w, s.refuse, "")
		return
	}
	if now {
		target, body = s.distort(r, target, decoded, body)
	}
	in := r.Clone(r.Context())
	in.Body = io.NopCloser(bytes.NewReader(body))
	if in.URL, err = url.Parse(testBase + "/scim/v2/south" + target); err != nil {
		panic(err)
	}
	out := httptest.NewRecorder()
	s.inner.ServeHTTP(out, in)
	s.remember(r.Method, out)
	text, code := out.Body.String(), out.Code
	if (s.status == 0 || s.status == code) && s.meant(r, target+"\n"+decoded, context+text, true) {
		text, code = s.spoil(out.Header(), text, code, context)
	}
	for name, values := range out.Header() {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text) //nolint:errcheck // a recorder takes everything
}

// meant reports whether the fault is about this request.
func (s *brokenServer) meant(r *http.Request, target, context string, counts bool) bool {
	if s.method != "" && s.method != r.Method || !s.targets.MatchString(target) ||
		s.head[0] != "" && !s.heads.MatchString(r.Header.Get(s.head[0])) || s.who != "" && !s.whom.MatchString(context) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if counts {
		s.hits++
		return s.hits >= s.from
	}
	return s.hits+1 >= s.from
}

func (s *brokenServer) distort(r *http.Request, target, decoded string, body []byte) (string, []byte) {
	for _, pair := range s.ask {
		path, rest, _ := strings.Cut(regexp.MustCompile(pair[0]).ReplaceAllString(decoded, pair[1]), "?")
		var parameters []string
		for p := range strings.SplitSeq(rest, "&") {
			key, value, is := strings.Cut(p, "=")
			if is {
				key += "=" + query(value)
			}
			parameters = append(parameters, key)
		}
		target = path + "?" + strings.Join(parameters, "&")
	}
	for _, pair := range s.swap {
		body = []byte(strings.ReplaceAll(string(body), pair[0], pair[1]))
	}
	if s.lend[0] != "" {
		r.Header.Set(s.lend[0], s.lend[1])
	}
	return target, body
}

var tag = regexp.MustCompile(`scimtest-[0-9a-f]{8}-`)

func (s *brokenServer) spoil(h http.Header, text string, code int, context string) (string, int) {
	for _, pair := range s.say {
		text = regexp.MustCompile(pair[0]).ReplaceAllString(text, strings.ReplaceAll(pair[1], "TAG-", tag.FindString(context)))
	}
	if s.answer != "" {
		text = s.answer
	}
	if s.turn != 0 {
		code = s.turn
	}
	if s.wear[0] != "" {
		if h.Del(s.wear[0]); s.wear[1] != "" {
			h.Set(s.wear[0], s.wear[1])
		}
	}
	return text, code
}

var idMade, nameMade = regexp.MustCompile(`"id":"([^"]+)"`), regexp.MustCompile(`"(?:user|display)Name":"(scimtest-[^"]+)"`)

// remember learns the names of resources, for requests that name an id alone.
func (s *brokenServer) remember(method string, out *httptest.ResponseRecorder) {
	if method != http.MethodPost {
		return
	}
	id, name := idMade.FindSubmatch(out.Body.Bytes()), nameMade.FindSubmatch(out.Body.Bytes())
	if id == nil || name == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[string(id[1])] = string(name[1])
}

func (s *brokenServer) nameOf(target string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[idAtEnd(collectionOf(target))]
}

// complaints are the checks that fail, in order.
func complaints(r Report) (ids []string) {
	for _, f := range r.Findings {
		if f.Verdict == Fails {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

// Each check complains about the server that breaks its rule, and no other does.
// Faults that cannot touch each other share a server, to save time; what a server
// says about itself changes which checks are tried, so those faults stand alone.
func TestExactlyOneCheckComplainsAboutEachFault(t *testing.T) {
	for _, batch := range batches() {
		var want []string
		server := reference()
		for _, f := range batch {
			want = append(want, f.id)
			server = &brokenServer{fault: f, inner: server, names: map[string]string{}}
		}
		t.Run(want[0], func(t *testing.T) {
			t.Parallel()
			r := check(t, server)
			slices.Sort(want)
			got := slices.Sorted(slices.Values(complaints(r)))
			if slices.Equal(got, want) {
				return
			}
			t.Errorf("%v complain\nwant %v", got, want) // each of them, and nobody else
			for _, f := range r.Findings {
				if f.Verdict == Fails && !slices.Contains(want, f.ID) {
					t.Logf("%s: %s\n%s\n%s", f.ID, f.Found, f.Sent, f.Received)
				}
			}
		})
	}
}

func batches() [][]fault {
	const servers = 18
	out := make([][]fault, servers)
	for i, f := range faults() {
		if groupOf(f.id) == "discovery" {
			out = append(out, []fault{f})
		} else {
			out[i%servers] = append(out[i%servers], f)
		}
	}
	return out
}

func TestEveryCheckIsProvenByAFault(t *testing.T) {
	proven := map[string]bool{}
	for _, f := range faults() {
		proven[f.id] = true
	}
	for _, c := range Checks() {
		if !proven[c.ID] {
			t.Errorf("no server breaks %s", c.ID)
		}
	}
}
