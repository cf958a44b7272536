package scimtest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	elimity "github.com/elimity-com/scim"
	theirs "github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/schema"
)

// Another's server, which knows people alone and claims filters alone, is judged by
// what is known of it; that it breaks down over some requests does not end the run.
func TestAnothersServerIsJudged(t *testing.T) {
	server, err := elimity.NewServer(&elimity.ServerArgs{
		ServiceProviderConfig: &elimity.ServiceProviderConfig{SupportFiltering: true, AuthenticationSchemes: []elimity.AuthenticationScheme{{Type: "oauthbearertoken", Name: "token", Description: "token"}}},
		ResourceTypes:         []elimity.ResourceType{{Name: "User", Endpoint: "/Users", Schema: schema.CoreUserSchema(), Handler: &shop{}}}})
	if err != nil {
		t.Fatal(err)
	}
	r := check(t, http.StripPrefix("/scim/v2/south", guarded(server)))
	known := []string{
		"create.location", "discovery.schemas-filter", "content.wrong", "errors.trailing",
		"filter.id", "filter.multi-valued", "filter.boolean-order", "read.attributes", "filter.value-path-three",
	}
	got := complaints(r)
	for _, id := range known {
		if !slices.Contains(got, id) {
			t.Errorf("%s does not complain", id)
		}
	}
	for _, f := range r.Findings {
		if f.Verdict == Fails && (slices.Contains([]string{"patch", "patch-group", "etag", "bulk", "sort", "cursor"}, f.Group()) || f.ID == "filter.eq") {
			t.Errorf("%s complains: %s", f.ID, f.Found)
		}
	}
	if len(r.Left) > 0 || r.Grade == "A" || r.Grade == "B" {
		t.Errorf("grade %s, left %v", r.Grade, r.Left)
	}
}

// guarded asks for the token, and answers 500 for a server that panics.
func guarded(server http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+testToken {
			refuse(w, http.StatusUnauthorized, "")
			return
		}
		defer func() {
			if recover() != nil {
				refuse(w, http.StatusInternalServerError, "")
			}
		}()
		server.ServeHTTP(w, r)
	})
}

// shop keeps people for another's server.
type shop struct {
	mu   sync.Mutex // guards what follows
	made int
	rows []elimity.Resource
}

func (s *shop) at(id string) (int, error) {
	i := slices.IndexFunc(s.rows, func(r elimity.Resource) bool { return r.ID == id })
	if i < 0 {
		return 0, theirs.ScimErrorResourceNotFound(id)
	}
	return i, nil
}

// shown is a copy: the server writes into what it is given.
func shown(r elimity.Resource) elimity.Resource {
	r.Attributes = maps.Clone(r.Attributes)
	return r
}

func (s *shop) Create(_ *http.Request, a elimity.ResourceAttributes) (elimity.Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		if was, _ := r.Attributes["userName"].(string); strings.EqualFold(was, a["userName"].(string)) {
			return elimity.Resource{}, theirs.ScimErrorUniqueness
		}
	}
	s.made++
	s.rows = append(s.rows, elimity.Resource{ID: strconv.Itoa(s.made), Attributes: a})
	return shown(s.rows[len(s.rows)-1]), nil
}

func (s *shop) Get(_ *http.Request, id string) (elimity.Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.at(id)
	if err != nil {
		return elimity.Resource{}, err
	}
	return shown(s.rows[i]), nil
}

func (s *shop) GetAll(_ *http.Request, p elimity.ListRequestParams) (elimity.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	page := elimity.Page{Resources: []elimity.Resource{}}
	for _, r := range s.rows {
		if p.FilterValidator != nil && p.FilterValidator.PassesFilter(r.Attributes) != nil {
			continue
		}
		if page.TotalResults++; page.TotalResults >= p.StartIndex && len(page.Resources) < p.Count {
			page.Resources = append(page.Resources, shown(r))
		}
	}
	return page, nil
}

func (s *shop) Replace(_ *http.Request, id string, a elimity.ResourceAttributes) (elimity.Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.at(id)
	if err != nil {
		return elimity.Resource{}, err
	}
	s.rows[i].Attributes = a
	return shown(s.rows[i]), nil
}

func (s *shop) Delete(_ *http.Request, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.at(id)
	if err == nil {
		s.rows = slices.Delete(s.rows, i, i+1)
	}
	return err
}

func (s *shop) Patch(*http.Request, string, []elimity.PatchOperation) (elimity.Resource, error) {
	return elimity.Resource{}, theirs.ScimErrorInvalidValue
}
