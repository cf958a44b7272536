// Package api is the admin API under /api/v1: what operators and the command line
// ask of a running bridge. Errors are RFC 9457 problem+json; the OpenAPI 3.1
// description is at /api/v1/openapi.json.
package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/steward"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/scim/admission"
)

// Prefix is where the API lives.
const Prefix = "/api/v1"

// Config is what the API works with.
type Config struct {
	Bridge    *bridge.Bridge
	Keys      SigningKeys
	Token     credential.Digest // of the one administrator's token; zero opens nothing
	Version   string
	PublicURL string
	// Findings are doctor's, made anew at each request.
	Findings func(ctx context.Context) []Finding
	// Configuration tells what became of the configuration that this bridge runs on.
	Configuration func(ctx context.Context) Configuration
	// Nodes lists the nodes on the same database, this one among them; nil: there is no other.
	Nodes func(ctx context.Context) ([]Node, error)
	// Says is what the page tells somebody of a customer who is refused for a reason.
	Says func(reason, customer string) string
	// TestWebhook sends a test to a webhook by its name; nil: there are none.
	TestWebhook func(ctx context.Context, name string) (WebhookAnswer, error)
	// Steward decides about the access of people. Who they are they prove by Proofs; nil:
	// the API is closed to people.
	Steward *steward.Steward
	Proofs  *oidc.Proofs
	// Failed counts that somebody did not prove who they are, and says how long their
	// network must wait; nil: nobody counts.
	Failed func(*http.Request) time.Duration
	// Observe hears of every error once, where it is rendered. It may be nil.
	Observe func(ctx context.Context, err error)
}

type api struct {
	Config
	pace admission.Paces[who]
}

// New serves the admin API. Every route but the description asks for the operator's token,
// or, where it is open to people, for a person's, before anything else is looked at.
func New(c Config) http.Handler {
	a := &api{Config: c}
	mux := http.NewServeMux()
	config := huma.DefaultConfig("drawbridge admin API", c.Version)
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = Prefix+"/openapi", "", ""
	config.CreateHooks = nil // no $schema links in answers
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"admin":  {Type: "http", Scheme: "bearer", Description: "the operator's token, from server.json in the data folder"},
		"person": {Type: "http", Scheme: "bearer", Description: "an access token of somebody who is signed in, also bound to a DPoP key"}}
	config.Security = []map[string][]string{{"admin": {}}}
	h := humago.New(mux, config)
	get(a, h, "/status", "What this bridge is and how it stands", a.status)
	get(a, h, "/doctor", "Findings: what is wrong or soon will be, and what to do", a.doctor)
	get(a, h, "/connections", "Every connection with its counters and tokens", a.connections)
	get(a, h, "/connections/{connection}", "A connection, and what its SCIM requests were like, day by day", a.connection)
	a.explainRoutes(h)
	get(a, h, "/connections/{connection}/drift", "Member ids that the identity provider names and nobody here has, the latest first", a.drift)
	register(a, h, http.MethodDelete, "/connections/{connection}/drift", "Forget the drift of a connection, or of one group; what is named again is shown again", http.StatusOK, a.acknowledgeDrift)
	get(a, h, "/scim/requests", "SCIM requests that were recorded: what was asked, and what came of it", a.traffic)
	get(a, h, "/scim/requests/{request}", "One recorded SCIM request, whole", a.trafficEntry)
	register(a, h, http.MethodPost, "/connections/{connection}/tokens", "Make a SCIM token; it is shown once", http.StatusCreated, a.createToken)
	register(a, h, http.MethodDelete, "/connections/{connection}/tokens/{token}", "Revoke a SCIM token at once", http.StatusNoContent, a.revokeToken)
	a.clientRoutes(h)
	a.receiverRoutes(h)
	a.restoreRoutes(h)
	a.scopeRoutes(h)
	a.simulateRoutes(h)
	a.replayRoutes(h)
	a.planRoutes(h)
	a.applicationRoutes(h)
	a.sessionRoutes(h)
	a.keyRoutes(h)
	a.registerRoutes(h)
	a.limitRoutes(h)
	a.reviewRoutes(h)
	a.requestRoutes(h)
	a.handoverRoutes(h)
	register(a, h, http.MethodPut, "/connections/{connection}/people/{person}/certification", "Record what the vendor's register says of a technician; it outranks the identity provider", http.StatusNoContent, a.certify)
	mux.HandleFunc("/", nothingThere)
	return a.guard(mux)
}

// nothingThere answers what no route does, in the API's own shape.
func nothingThere(w http.ResponseWriter, r *http.Request) {
	refuse(w, http.StatusNotFound, "there is no "+r.Method+" here; "+Prefix+"/openapi.json lists what there is")
}

// refuse writes problem+json (RFC 9457) where huma is not reached.
func refuse(w http.ResponseWriter, status int, detail string) { refuseBecause(w, status, detail, "") }

func refuseBecause(w http.ResponseWriter, status int, detail, reason string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = w.Write(problemBody(status, detail, reason)) //nolint:errcheck // the client has gone
}

// Problem is problem+json with the stable code that clients tell refusals apart by.
type Problem struct {
	*huma.ErrorModel
	Reason string `json:"reason,omitempty"`
}

func problemBody(status int, detail, reason string) []byte {
	b, err := json.Marshal(Problem{&huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: detail}, reason})
	if err != nil {
		return nil // texts and a number always marshal
	}
	return append(b, '\n')
}

func get[I, O any](a *api, h huma.API, path, summary string, fn func(context.Context, *I) (*O, error), special ...func(*huma.Operation)) {
	register(a, h, http.MethodGet, path, summary, http.StatusOK, fn, special...)
}

func register[I, O any](a *api, h huma.API, method, path, summary string, status int, fn func(context.Context, *I) (*O, error), special ...func(*huma.Operation)) {
	operation := huma.Operation{OperationID: strings.ToLower(method) + strings.NewReplacer("/", "-", "{", "", "}", "").Replace(path),
		Method: method, Path: Prefix + path, Summary: summary, DefaultStatus: status, MaxBodyBytes: 64 << 10}
	for _, s := range special {
		s(&operation)
	}
	if !openToPeople(operation) {
		operation.Middlewares = append(operation.Middlewares, operatorOnly)
	}
	huma.Register(h, operation,
		func(ctx context.Context, in *I) (*O, error) {
			out, err := fn(ctx, in)
			if err != nil {
				if a.Observe != nil {
					a.Observe(ctx, err)
				}
				return nil, problem(err)
			}
			return out, nil
		})
}

// guard authenticates before routing, so that no route can be forgotten.
func (a *api) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if described(r) {
			next.ServeHTTP(w, r)
			return
		}
		by := steward.Actor{Operator: "operator"}
		if !a.authentic(r) {
			var known bool
			if by, known = a.person(w, r); !known {
				return
			}
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), actorKey{}, by)))
	})
}

func described(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == Prefix+"/openapi.json"
}

func (a *api) authentic(r *http.Request) bool {
	if planted.Bug(planted.AuthByPathPrefix) && !strings.HasPrefix(r.URL.EscapedPath(), Prefix+"/") {
		return true
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || a.Token.IsZero() {
		return false
	}
	digest, err := credential.ParseOpaque(credential.KindAdmin, token)
	return err == nil && digest.Equal(a.Token)
}

// problem is the one translation of our faults into problem+json.
func problem(err error) error {
	said := plainProblem(err)
	if reason := fault.ReasonOf(err); reason != "" && fault.KindOf(err) != fault.Internal {
		if model, ok := said.(*huma.ErrorModel); ok { //nolint:errorlint // made here, never wrapped
			return Problem{model, reason}
		}
	}
	return said
}

func plainProblem(err error) error {
	detail := fault.DetailOf(err)
	switch fault.KindOf(err) {
	case fault.Invalid:
		return huma.Error400BadRequest(detail)
	case fault.Unauthenticated:
		return huma.Error409Conflict(detail) // the caller is known here: what it named is not usable
	case fault.Denied:
		return huma.Error403Forbidden(detail)
	case fault.NotFound:
		return huma.Error404NotFound(detail)
	case fault.Conflict:
		return huma.Error409Conflict(detail)
	case fault.Stale:
		return huma.Error412PreconditionFailed(detail)
	case fault.Unsupported:
		return huma.Error501NotImplemented(detail)
	case fault.Limited:
		return huma.Error429TooManyRequests(detail)
	case fault.Unavailable:
		return huma.Error503ServiceUnavailable("the store cannot answer at the moment; try again")
	case fault.Internal:
	}
	return huma.Error500InternalServerError("the bridge failed; its log has the cause under this request's id")
}

// The levels of a finding. A fail makes doctor end with a negative answer.
const (
	LevelOK   = "ok"
	LevelWarn = "warn"
	LevelFail = "fail"
)

// Finding is one line of doctor's.
type Finding struct {
	Level string `json:"level" enum:"ok,warn,fail"`
	What  string `json:"what"`
	Fix   string `json:"fix,omitempty" doc:"the command or the change that mends it"`
}

type body[T any] struct{ Body T }

func (a *api) doctor(ctx context.Context, _ *struct{}) (*body[[]Finding], error) {
	return &body[[]Finding]{a.Findings(ctx)}, nil
}

// Connection is a connection as the API shows it.
type Connection struct {
	ID       access.ConnectionID `json:"id"`
	Name     string              `json:"name"`
	IdP      string              `json:"idp"`
	State    string              `json:"state"`
	SCIMURL  string              `json:"scim_url"`
	Domains  []string            `json:"domains"`
	People   int64               `json:"people"`
	Groups   int64               `json:"groups"`
	LastSCIM *time.Time          `json:"last_scim,omitempty"`
	Tokens   []Token             `json:"tokens"`
	Clients  []Client            `json:"clients" doc:"OAuth clients of its identity provider"`
	Signed   bool                `json:"signed" doc:"its clients may prove themselves by signed assertions"`
	Speaks   Speaks              `json:"speaks"`
}

// Token is a SCIM token without its secret.
type Token struct {
	ID       string     `json:"id"`
	Tail     string     `json:"tail" doc:"the token's last four characters"`
	Note     string     `json:"note,omitempty"`
	Created  time.Time  `json:"created"`
	Expires  time.Time  `json:"expires"`
	LastUsed *time.Time `json:"last_used,omitempty"`
	Revoked  *time.Time `json:"revoked,omitempty"`
}

func (a *api) connections(ctx context.Context, _ *struct{}) (*body[[]Connection], error) {
	rows, err := a.Bridge.Connections(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Connection, len(rows))
	for i, c := range rows {
		if out[i], err = a.shortly(ctx, c); err != nil {
			return nil, err
		}
	}
	return &body[[]Connection]{out}, nil
}

func (a *api) shortly(ctx context.Context, c bridge.ConnectionView) (Connection, error) {
	speaks, err := a.speaks(ctx, c.Connection)
	if err != nil {
		return Connection{}, err
	}
	out := Connection{ID: c.ID, Name: c.Name, IdP: c.IdP, State: string(c.State), SCIMURL: a.scimURL(c.ID),
		Domains: c.Domains, People: c.People, Groups: c.Groups, LastSCIM: when(c.LastSCIM), Tokens: []Token{}, Clients: []Client{}, Signed: c.Signed, Speaks: speaks}
	for _, t := range c.Tokens {
		out.Tokens = append(out.Tokens, shown(t))
	}
	for _, k := range c.Clients {
		out.Clients = append(out.Clients, shownClient(k))
	}
	return out, nil
}

// scimURL is what an administrator types into the identity provider.
func (a *api) scimURL(id access.ConnectionID) string { return a.PublicURL + "/scim/v2/" + string(id) }

func shown(t store.SCIMToken) Token {
	return Token{ID: t.PublicID, Tail: t.Tail, Note: t.Note, Created: t.Created, Expires: t.Expires, LastUsed: when(t.LastUsed), Revoked: when(t.Revoked)}
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type tokenInput struct {
	Connection access.ConnectionID `path:"connection" maxLength:"128"`
	Body       struct {
		Note string `json:"note,omitempty" maxLength:"200"`
		Days int    `json:"days,omitempty" minimum:"1" maximum:"1095" doc:"how long the token lives; 365 if left out"`
	}
}

// NewToken is a SCIM token just made: the only time its secret is shown.
type NewToken struct {
	Token
	Secret  string `json:"secret"`
	SCIMURL string `json:"scim_url"`
}

func (a *api) createToken(ctx context.Context, in *tokenInput) (*body[NewToken], error) {
	token, row, err := a.Bridge.CreateSCIMToken(ctx, in.Connection, in.Body.Note, daysOrYear(in.Body.Days))
	if err != nil {
		return nil, err
	}
	return &body[NewToken]{NewToken{Token: shown(row), Secret: token.Reveal(), SCIMURL: a.scimURL(in.Connection)}}, nil
}

type revokeInput struct {
	Connection access.ConnectionID `path:"connection" maxLength:"128"`
	Token      string              `path:"token" maxLength:"64"`
}

func (a *api) revokeToken(ctx context.Context, in *revokeInput) (*struct{}, error) {
	return nil, a.Bridge.RevokeSCIMToken(ctx, in.Connection, in.Token)
}

type certifyInput struct {
	Connection access.ConnectionID `path:"connection" maxLength:"128"`
	Person     access.PersonID     `path:"person" maxLength:"128"`
	Body       struct {
		Level string     `json:"level" maxLength:"200" doc:"empty takes the vendor's word back"`
		Until *time.Time `json:"until,omitempty"`
	}
}

func (a *api) certify(ctx context.Context, in *certifyInput) (*struct{}, error) {
	c := access.Certification{Level: in.Body.Level}
	if in.Body.Until != nil {
		c.Until = *in.Body.Until
	}
	return nil, a.Bridge.Certify(ctx, in.Connection, in.Person, c)
}
