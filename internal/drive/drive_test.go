package drive_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/drawbridge-id/drawbridge/internal/drive"
	"github.com/drawbridge-id/drawbridge/internal/idp"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

var vendors = []string{drive.VendorEntra, drive.VendorOkta}

// good fails unless a cycle was done whole, with nothing refused or lost.
func good(t *testing.T, r drive.Report) drive.Report {
	t.Helper()
	if !r.Good() {
		t.Fatalf("not good:\n%s", r)
	}
	return r
}

// An initial cycle sends everybody once, and a second one finds them all there.
func TestTheSameCycleTwiceDoublesNothing(t *testing.T) {
	for _, v := range vendors {
		t.Run(v, func(t *testing.T) {
			s, url := newServer(t)
			if r := good(t, run(t, small(v, url, drive.Initial))); r.People.Created != 40 || r.Groups.Created != 4 || r.Memberships != 40 {
				t.Errorf("the first:\n%s", r)
			}
			if r := good(t, run(t, small(v, url, drive.Initial))); r.People.Created != 0 || r.Groups.Created != 0 {
				t.Errorf("the second:\n%s", r)
			}
			if posts := s.count("POST /Users"); posts != 40 || len(s.users) != 40 || len(s.groups) != 4 {
				t.Errorf("%d people were sent; there are %d, and %d groups", posts, len(s.users), len(s.groups))
			}
			for g, m := range s.members {
				if len(m) != 10 {
					t.Errorf("%s has %d members", g, len(m))
				}
			}
		})
	}
}

// References come last: no group is sent before every person was answered.
func TestPeopleComeBeforeGroups(t *testing.T) {
	s, url := newServer(t)
	good(t, run(t, small(drive.VendorEntra, url, drive.Initial)))
	all := strings.Join(s.asked, "\n")
	if strings.LastIndex(all, "/Users") > strings.Index(all, "/Groups") {
		t.Errorf("a person came after a group:\n%s", all)
	}
}

// Large groups go in requests of at most 100 members.
func TestMembersGoAHundredAtATime(t *testing.T) {
	s, url := newServer(t)
	o := small(drive.VendorEntra, url, drive.Initial)
	o.People, o.Groups, o.Memberships = 250, 1, 250
	good(t, run(t, o))
	if n := s.count("PATCH /Groups/g-251"); n != 3 || len(s.members["g-251"]) != 250 {
		t.Errorf("%d requests made %d members", n, len(s.members["g-251"]))
	}
}

// Who is told 429 waits as long as they are told, and sends the request again:
// nobody sends anything meanwhile, and nobody is missing after it.
func TestRetryAfterIsHonoured(t *testing.T) {
	s, url := newServer(t)
	var told time.Time
	s.before = func(n int, _ *http.Request, w http.ResponseWriter) bool {
		if n != 20 {
			return false
		}
		told = time.Now()
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusTooManyRequests)
		return true
	}
	r := good(t, run(t, small(drive.VendorEntra, url, drive.Initial)))
	if r.SentAgain != 1 || r.Waited < .9 || len(s.users) != 40 {
		t.Errorf("sent again %d, waited %.2f s, %d people", r.SentAgain, r.Waited, len(s.users))
	}
	inside := 0
	for _, at := range s.at {
		if at.After(told.Add(300*time.Millisecond)) && at.Before(told.Add(900*time.Millisecond)) {
			inside++
		}
	}
	if inside != 0 {
		t.Errorf("%d requests came while nothing should be sent", inside)
	}
}

// A server that says 429 for ever is asked ten times more, and then it is a failure.
func TestAServerThatIsAlwaysBusyEndsTheWaiting(t *testing.T) {
	s, url := newServer(t)
	s.before = func(_ int, r *http.Request, w http.ResponseWriter) bool {
		if r.Method != http.MethodPost {
			return false
		}
		fail(w, http.StatusTooManyRequests)
		return true
	}
	o := small(drive.VendorEntra, url, drive.Initial)
	o.People, o.Groups, o.Memberships = 1, 0, 0
	if r := run(t, o); r.Failed != 1 || r.SentAgain != 10 || s.count("POST /Users") != 11 {
		t.Errorf("%d requests:\n%s", s.count("POST /Users"), r)
	}
}

// A person whose answer was lost is looked up before they are sent again.
func TestALostAnswerDoublesNobody(t *testing.T) {
	for _, v := range vendors {
		t.Run(v, func(t *testing.T) {
			s, url := newServer(t)
			lost := map[string]bool{}
			s.after = func(n int, r *http.Request, w http.ResponseWriter) bool {
				if key := fmt.Sprint(r.Method, n%7); r.Method == http.MethodPost && !lost[key] {
					lost[key] = true
					fail(w, http.StatusInternalServerError)
					return true
				}
				return false
			}
			r := good(t, run(t, small(v, url, drive.Initial)))
			if r.TriedAgain == 0 || len(s.users) != 40 || s.count("POST /Users")+s.count("POST /Groups") != 44 {
				t.Errorf("%d people, %d requests for them:\n%s", len(s.users), s.count("POST /Users"), r)
			}
		})
	}
}

// A server that breaks on everything is left alone after a hundred failures, as
// Entra's quarantine does it.
func TestABrokenServerIsLeftAlone(t *testing.T) {
	s, url := newServer(t)
	s.before = func(n int, _ *http.Request, w http.ResponseWriter) bool {
		if n == 1 {
			return false // the connection test
		}
		fail(w, http.StatusInternalServerError)
		return true
	}
	o := small(drive.VendorEntra, url, drive.Initial)
	o.People, o.Memberships = 5000, 0
	d, err := drive.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Run(t.Context())
	if !errors.Is(err, drive.ErrQuarantine) || r.Ended == "" || r.Good() {
		t.Errorf("%v\n%s", err, r)
	}
	if r.Failed < 100 || r.Failed > 110 || len(r.Failures) == 0 || len(r.Failures) > 10 {
		t.Errorf("%d failed, %d are told", r.Failed, len(r.Failures))
	}
}

// A server that does not answer costs each request its time, and the drive its own:
// then it ends, by itself and whole.
func TestAServerThatHangsEndsInTime(t *testing.T) {
	free := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-free:
		case <-r.Context().Done():
		}
	}))
	defer hangs.Close()
	defer close(free)
	o := small(drive.VendorEntra, hangs.URL, drive.Initial)
	o.RequestTimeout = 50 * time.Millisecond
	d, err := drive.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Run(t.Context()); !errors.Is(err, drive.ErrUnreachable) {
		t.Errorf("a server that hangs from the start: %v", err)
	}

	s, url := newServer(t)
	s.before = func(n int, r *http.Request, _ http.ResponseWriter) bool {
		if n > 10 {
			s.mu.Unlock() // others hang beside it
			select {
			case <-free:
			case <-r.Context().Done():
			}
			s.mu.Lock()
		}
		return false
	}
	o = small(drive.VendorEntra, url, drive.Initial)
	o.RequestTimeout, o.Timeout = 30*time.Second, time.Second
	if d, err = drive.New(o); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r, err := d.Run(t.Context())
	if !errors.Is(err, drive.ErrTimeUp) || time.Since(began) > 3*time.Second || r.People.Created == 0 {
		t.Errorf("after %s: %v\n%s", time.Since(began), err, r)
	}
}

// A drive that was interrupted goes on with the same options, and leaves no goroutine.
func TestAnInterruptedDriveGoesOn(t *testing.T) {
	s, url := newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.before = func(n int, _ *http.Request, _ http.ResponseWriter) bool {
		if n == 30 {
			cancel()
		}
		return false
	}
	ignore := goleak.IgnoreCurrent()
	d, err := drive.New(small(drive.VendorEntra, url, drive.Initial))
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Run(ctx)
	if !errors.Is(err, drive.ErrInterrupted) || r.People.Created == 0 || r.People.Created == 40 || r.Failed != 0 {
		t.Fatalf("%v\n%s", err, r)
	}
	if again := good(t, run(t, small(drive.VendorEntra, url, drive.Initial))); again.People.Created+again.People.Unchanged != 40 {
		t.Errorf("%s", again)
	}
	if len(s.users) != 40 {
		t.Errorf("%d people", len(s.users))
	}
	goleak.VerifyNone(t, ignore, goleak.IgnoreAnyFunction("net/http.(*conn).serve"))
}

// A token that opens nothing ends the drive with its first request, and one that is
// revoked meanwhile with the next.
func TestATokenThatOpensNothingEndsTheDrive(t *testing.T) {
	for revokedAt, token := range map[int]string{0: "another", 20: "tok"} {
		s, url := newServer(t)
		o := small(drive.VendorOkta, url, drive.Initial)
		o.Token = secret.New(token)
		s.before = func(n int, _ *http.Request, w http.ResponseWriter) bool {
			if n >= revokedAt {
				fail(w, http.StatusUnauthorized)
			}
			return n >= revokedAt
		}
		d, err := drive.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := d.Run(t.Context()); !errors.Is(err, drive.ErrNotAllowed) || r.Sent > revokedAt+8 {
			t.Errorf("%v after %d requests", err, r.Sent)
		}
	}
}

// An incremental cycle changes its share, and sending it again changes nothing.
func TestAnIncrementalCycleChangesAShare(t *testing.T) {
	for _, v := range vendors {
		t.Run(v, func(t *testing.T) {
			s, url := newServer(t)
			good(t, run(t, small(v, url, drive.Initial)))
			was := map[string][]string{}
			for g, m := range s.members {
				was[g] = m
			}
			o := small(v, url, drive.Incremental)
			o.Share = 20
			if r := good(t, run(t, o)); r.People.Created != 0 || r.Joined != 8 || r.Left != 8 {
				t.Errorf("%s", r)
			}
			for g, m := range s.members {
				if stayed := common(m, was[g]); len(m) != 10 || stayed != 8 {
					t.Errorf("%s has %d members, %d of them as before", g, len(m), stayed)
				}
			}
			if s.count("POST /Users") != 40 {
				t.Error("somebody was created")
			}
		})
	}
}

func common(a, b []string) (n int) {
	for _, x := range a {
		if strings.Contains("\n"+strings.Join(b, "\n")+"\n", "\n"+x+"\n") {
			n++
		}
	}
	return n
}

// What needs an initial cycle says so, at once and of each object.
func TestACycleWithoutAnInitialOneSaysSo(t *testing.T) {
	for _, c := range []drive.Cycle{drive.Incremental, drive.Restore} {
		_, url := newServer(t)
		o := small(drive.VendorEntra, url, c)
		o.Share = 50
		r := run(t, o)
		if r.Good() || r.TriedAgain != 0 || !strings.Contains(r.String(), "an initial cycle comes first") {
			t.Errorf("%s:\n%s", c, r)
		}
	}
}

// A restore cycle finds a server that keeps everything good, and one that forgets
// memberships of the disabled not.
func TestARestoreCycleFindsLostMemberships(t *testing.T) {
	for _, v := range vendors {
		for _, amnesiac := range []bool{false, true} {
			t.Run(fmt.Sprint(v, amnesiac), func(t *testing.T) {
				s, url := newServer(t)
				s.amnesiac = amnesiac
				good(t, run(t, small(v, url, drive.Initial)))
				o := small(v, url, drive.Restore)
				o.Share = 25
				r := run(t, o)
				if r.Gone != 10 || r.Back != 10 || r.Kept+r.Lost != 10 {
					t.Errorf("%s", r)
				}
				if r.Good() == amnesiac || (r.Lost > 0) != amnesiac {
					t.Errorf("amnesiac %t, yet:\n%s", amnesiac, r)
				}
				for _, u := range s.users {
					if u["active"] != true {
						t.Errorf("%s is not active again", u["userName"])
					}
				}
			})
		}
	}
}

// A server that answers a deactivation and does not do it is found out.
func TestARestoreCycleFindsWhoNeverWent(t *testing.T) {
	s, url := newServer(t)
	good(t, run(t, small(drive.VendorEntra, url, drive.Initial)))
	s.deaf = true
	o := small(drive.VendorEntra, url, drive.Restore)
	o.Share = 25
	if r := run(t, o); r.Lost != 10 || !strings.Contains(r.String(), "is not found as inactive") {
		t.Errorf("%s", r)
	}
}

// Cleaning up deletes what was made here, and no group that may have been there.
func TestCleaningUpLeavesWhatIsNotOurs(t *testing.T) {
	s, url := newServer(t)
	s.groups["theirs"] = map[string]any{"id": "theirs", "displayName": "GL Geelong Managers", "externalId": "theirs"}
	s.users["somebody"] = map[string]any{"id": "somebody", "userName": "somebody@banksia.example"}
	o := small(drive.VendorEntra, url, drive.Initial)
	o.GroupNames = []string{"GL Geelong Managers", "GL Hobart Managers"}
	good(t, run(t, o))
	o.Cycle = drive.Cleanup
	r := good(t, run(t, o))
	if len(s.users) != 1 || len(s.groups) != 1 || s.groups["theirs"] == nil || len(r.GroupsLeft) != 1 {
		t.Errorf("left are %v and %v:\n%s", s.users, s.groups, r)
	}
	if r.People.Deleted != 40 || r.Groups.Deleted != 3 {
		t.Errorf("%s", r)
	}
	if again := good(t, run(t, o)); again.People.Deleted+again.Groups.Deleted != 0 {
		t.Errorf("a second time: %s", again)
	}
}

// A report says of a long list how long it is.
func TestALongListIsCut(t *testing.T) {
	r := drive.Report{GroupsLeft: strings.Fields("a b c d e f g h i j k l")}
	if text := r.String(); !strings.Contains(text, "left alone: j\n  left alone: and 2 more\n") {
		t.Error(text)
	}
}

// The token goes to the server that was named, and not where that one points.
func TestRedirectsAreNotFollowed(t *testing.T) {
	other, elsewhere := newServer(t)
	s := httptest.NewServer(http.RedirectHandler(elsewhere+"/Users", http.StatusTemporaryRedirect))
	defer s.Close()
	d, err := drive.New(small(drive.VendorEntra, s.URL, drive.Initial))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Run(t.Context()); !errors.Is(err, drive.ErrUnreachable) || len(other.asked) > 0 {
		t.Errorf("%v, and the other server was asked %v", err, other.asked)
	}
}

// Entra's flag on the tenant URL changes its operations and goes with every request.
func TestEntrasFlagIsPartOfTheAddress(t *testing.T) {
	s, url := newServer(t)
	flagged, all := 0, 0
	s.before = func(_ int, r *http.Request, _ http.ResponseWriter) bool {
		all++
		if strings.HasSuffix(r.URL.RawQuery, "aadOptscim062020") {
			flagged++
		}
		return false
	}
	good(t, run(t, small(drive.VendorEntra, url+"?aadOptscim062020", drive.Initial)))
	if flagged != all || all == 0 {
		t.Errorf("%d of %d requests carry the flag", flagged, all)
	}
}

// What cannot be driven is said at once, all of it.
func TestOptionsAreChecked(t *testing.T) {
	fine := small(drive.VendorEntra, "http://127.0.0.1:1/scim/v2/x", drive.Initial)
	for want, edit := range map[string]func(*drive.Options){
		"no identity provider":     func(o *drive.Options) { o.Vendor = "keycloak" },
		"no cycle":                 func(o *drive.Options) { o.Cycle = "weekly" },
		"token is empty":           func(o *drive.Options) { o.Token = secret.String{} },
		"people is 0":              func(o *drive.Options) { o.People, o.Memberships = 0, 0 },
		"people is 1000001":        func(o *drive.Options) { o.People = 1_000_001 },
		"groups is 10001":          func(o *drive.Options) { o.Groups = 10_001 },
		"do not fit":               func(o *drive.Options) { o.Memberships = 161 },
		"seed is -1":               func(o *drive.Options) { o.Seed = -1 },
		"share is 101":             func(o *drive.Options) { o.Share = 101 },
		"concurrency is 257":       func(o *drive.Options) { o.Concurrency = 257 },
		"the timeout is":           func(o *drive.Options) { o.Timeout = 13 * time.Hour },
		"has no round":             func(o *drive.Options) { o.Round = 1 },
		"more than 4 groups":       func(o *drive.Options) { o.GroupNames = []string{"a", "b", "c", "d", "e"} },
		"there twice":              func(o *drive.Options) { o.GroupNames = []string{"a", "a"} },
		"no SCIM base URL":         func(o *drive.Options) { o.URL = "ftp://127.0.0.1/" },
		"holds no password":        func(o *drive.Options) { o.URL = "http://a:b@127.0.0.1/" },
		"has no query":             func(o *drive.Options) { o.URL += "?x=1" },
		"--i-own-this-server":      func(o *drive.Options) { o.URL = "https://scim.vendor.example/v2" },
		"by https or not at all":   func(o *drive.Options) { o.URL, o.IOwnThisServer = "http://scim.vendor.example/v2", true },
		"the initial cycle alone":  func(o *drive.Options) { o.Cycle, o.Bulk = drive.Restore, true },
		"127.0.0.1.nip.io is not ": func(o *drive.Options) { o.URL = "http://127.0.0.1.nip.io/" },
	} {
		o := fine
		edit(&o)
		if _, err := drive.New(o); !errors.Is(err, drive.ErrOptions) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said: %v", want, err)
		}
	}
	owned := fine
	owned.URL, owned.IOwnThisServer = "https://scim.vendor.example/v2", true
	for _, o := range []drive.Options{fine, owned} {
		if _, err := drive.New(o); err != nil {
			t.Error(err)
		}
	}
}

// Progress is there while it is asked for, and ends with the phase's total.
func TestProgressEndsAtTheTotal(t *testing.T) {
	_, url := newServer(t)
	d, err := drive.New(small(drive.VendorEntra, url, drive.Initial))
	if err != nil {
		t.Fatal(err)
	}
	if p := d.Progress(); p.Phase != "" {
		t.Errorf("before it began: %+v", p)
	}
	if _, err := d.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := d.Progress(); p.Phase != "memberships" || p.Done != 40 || p.Total != 40 {
		t.Errorf("%+v", p)
	}
}

// What a server says of itself is shown, and never obeyed by the terminal it is shown on.
func TestAReportIsNotObeyedByATerminal(t *testing.T) {
	const hostile = "\x1b[31mred\u009b2J\u202e\r\nforged"
	refused := &idp.SCIMError{Method: "GET", Path: "/Users", Status: 400, SCIMType: hostile, Detail: hostile}
	r := drive.Report{Failures: []string{refused.Error()}, Losses: []string{hostile}, GroupsLeft: []string{hostile}}
	for _, text := range []string{refused.Error(), r.String()} {
		if strings.ContainsAny(text, "\x1b\u009b\u202e\r") || strings.Contains(text, "\nforged") || !strings.Contains(text, "forged") {
			t.Errorf("it says %q", text)
		}
	}
}
