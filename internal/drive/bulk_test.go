package drive_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/drive"
)

// In bulk an initial cycle makes the same directory, in far fewer requests, and a
// second time it doubles nothing.
func TestBulkMakesTheSameDirectory(t *testing.T) {
	for _, v := range vendors {
		t.Run(v, func(t *testing.T) {
			alone, url := newServer(t)
			good(t, run(t, small(v, url, drive.Initial)))
			s, url := newServer(t)
			s.bulk = 15
			o := small(v, url, drive.Initial)
			o.Bulk = true
			if r := good(t, run(t, o)); r.People.Created != 40 || r.Groups.Created != 4 || r.Memberships != 40 {
				t.Errorf("%s", r)
			}
			if s.count("POST /Users") != 0 || s.count("POST /Bulk") != 4 { // 40 people by 15, four PATCHes in one
				t.Errorf("%v", s.asked)
			}
			if a, b := names(alone), names(s); !slices.Equal(a, b) {
				t.Errorf("%v\n%v", a, b)
			}
			if r := good(t, run(t, o)); r.People.Created != 0 || r.People.Unchanged != 40 || r.Groups.Created != 0 || len(s.users) != 40 {
				t.Errorf("a second time, with %d people:\n%s", len(s.users), r)
			}
		})
	}
}

// names are who is in which group.
func names(s *server) (out []string) {
	for g, members := range s.members {
		for _, m := range members {
			out = append(out, s.groups[g]["displayName"].(string)+" "+s.users[m]["userName"].(string))
		}
	}
	slices.Sort(out)
	return out
}

// An operation that was refused is looked up and sent alone; a lost answer of many
// doubles none of them.
func TestBulkLosesNobody(t *testing.T) {
	s, url := newServer(t)
	s.bulk = 10
	lost := map[string]bool{} // each once: what is sent again may come before the next
	s.after = func(_ int, r *http.Request, w http.ResponseWriter) bool {
		body, err := io.ReadAll(r.Body)
		if r.URL.Path != "/scim/v2/far/Bulk" || len(lost) == 2 || lost[string(body)] || err != nil {
			return false
		}
		lost[string(body)] = true
		fail(w, http.StatusBadGateway)
		return true
	}
	o := small(drive.VendorEntra, url, drive.Initial)
	o.Bulk = true
	r := good(t, run(t, o))
	if len(s.users) != 40 || r.TriedAgain != 2 || r.People.Created != 20 || r.People.Unchanged != 20 {
		t.Errorf("%d people:\n%s", len(s.users), r)
	}
	for g, m := range s.members {
		if len(m) != 10 {
			t.Errorf("%s has %d members", g, len(m))
		}
	}
}

// A server that offers no bulk is not sent any.
func TestBulkIsSentOnlyWhereItIsOffered(t *testing.T) {
	s, url := newServer(t)
	o := small(drive.VendorEntra, url, drive.Initial)
	o.Bulk = true
	d, err := drive.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Run(t.Context()); !errors.Is(err, drive.ErrNoBulk) || s.count("POST /Bulk") != 0 {
		t.Errorf("%v: %v", err, s.asked)
	}
}
