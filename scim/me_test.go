package scim

import (
	"context"
	"errors"
	"testing"

	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// selves knows one person of the southern connection.
type selves struct {
	id   string
	read func(ctx context.Context, id string, w Want) (Resource, error)
}

const kimsToken = "kims-access-token"

func (p selves) OpenSelf(_ context.Context, connection, token string) (Self, error) {
	if connection != southern || token != kimsToken {
		return Self{}, Unauthorized(errors.New("no such token"))
	}
	return Self{ID: p.id, Types: schema.Standard(), Read: func(ctx context.Context, w Want) (Resource, error) { return p.read(ctx, p.id, w) }}, nil
}

func TestPeopleReadThemselvesAtMeAndNothingElse(t *testing.T) {
	f := newFixture(t)
	id := f.addUser("kim@southern.example")
	f.server.selves = selves{id, f.southern.directory(southern).Users.Get}
	f.send("GET", "/Me", "").refusal(501, "")
	f.token = kimsToken
	me := f.send("GET", "/Me?attributes=userName", "").is(200).has(id, "id").has("kim@southern.example", "userName")
	if got, want := me.header.Get("Location"), publicURL+Prefix+southern+"/Users/"+id; got != want {
		t.Errorf("Location %q, want %q", got, want)
	}
	f.send("GET", "/Me", "", `If-None-Match: W/"1"`).is(304)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		f.send(method, "/Me", user("kim@southern.example")).refusal(403, "")
	}
	if allow := f.send("OPTIONS", "/Me", "").refusal(405, "").header.Get("Allow"); allow != "GET, HEAD" {
		t.Errorf("Allow %q", allow)
	}
	for _, path := range []string{"/Users", "/Users/" + id, "/Me/" + id, "/ServiceProviderConfig"} {
		f.send("GET", path, "").refusal(401, "")
	}
	f.token = "nobody's"
	f.send("GET", "/Me", "").refusal(401, "")
}
