package traffic

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Request is one request as it was read, understood and answered. It may hold all
// that was sent, so it stays in memory, and briefly; what is kept of it is its Record.
type Request struct {
	At       time.Time // when it came
	ID       string    // of the request
	Method   string
	Resource string // "Users"; "" if no route matched
	Item     string // the id in the path, or that of what was created
	Status   int
	Took     time.Duration
	Token    string // which credential opened the connection; never the secret
	Agent    string // the client's User-Agent

	Type    *schema.ResourceType // of the body and the filters; nil: none in particular
	Message bool                 // the body is a message, not a resource
	Types   []*schema.ResourceType
	Query   string // as sent
	Body    []byte // its beginning

	Operations []Operation // as understood: one, or of a bulk the first few
	Kinds      []Kind      // of a bulk: all of its operations
	Refused    int         // of them
	Effect     Effect
	Found      int // what a search matched, or its page holds where that is not told
	Notes      []string
	Where      string // what a refusal is about, as it was sent
	Detail     string // why it was refused, in the client's words
}

// Kind is how many operations of a bulk are alike.
type Kind struct {
	What string // "PATCH Group"
	N    int
}

// Of counts an operation of a bulk.
func (r *Request) Of(what string) {
	for i := range r.Kinds {
		if r.Kinds[i].What == what {
			r.Kinds[i].N++
			return
		}
	}
	r.Kinds = append(r.Kinds, Kind{what, 1})
}

// Record is what is kept of a request. Nothing in it names a person: ids do, as long
// as the person is there.
type Record struct {
	Kind       string   `json:"kind,omitempty"`       // "" for a request; see the other kinds
	Request    string   `json:"request_id,omitempty"` // as in answers, logs and the audit trail
	Method     string   `json:"method,omitempty"`
	Resource   string   `json:"resource,omitempty"`
	Item       string   `json:"item,omitempty"`
	Status     int      `json:"status,omitempty"`
	Micros     int64    `json:"micros,omitempty"` // time to answer
	Token      string   `json:"token,omitempty"`
	Agent      string   `json:"user_agent,omitempty"`
	Query      []string `json:"query,omitempty"`
	Asked      string   `json:"asked"`                // what was asked for, in one sentence
	Operations []string `json:"operations,omitempty"` // of a bulk, the first few
	Effect     string   `json:"effect,omitempty"`     // what came of it, in one sentence
	Refused    int      `json:"refused,omitempty"`    // operations of a bulk
	Refusal    string   `json:"refusal,omitempty"`
	Leniencies []string `json:"leniencies,omitempty"`
	Body       []string `json:"body,omitempty"` // outline
	More       int      `json:"more_people,omitempty"`
	Count      int64    `json:"count,omitempty"` // of what Kind counts
}

// The kinds of record that are no request.
const (
	KindLost    = "lost"    // requests that came faster than they could be recorded
	KindRefused = "refused" // requests whose token did not open the connection
	KindLimited = "limited" // requests that came faster than the connection may send them
)

// Failed says whether an administrator should look at it.
func (r Record) Failed() bool {
	return r.Status >= 400 || r.Refusal != "" || r.Refused > 0
}

const (
	mostAgent   = 200
	mostDetail  = 500
	mostText    = 1000
	toldOfBulk  = 10
	mostQueries = 12
	mostKinds   = 6
)

// Record is r without what must not be kept.
func (r Request) Record() Record {
	out := Record{Request: r.ID, Method: r.Method, Resource: collection(r.Resource), Item: item(r.Item), Status: r.Status, Micros: r.Took.Microseconds(),
		Token: r.Token, Agent: clip(agent(r.Agent), mostAgent), Query: r.query(), Asked: clip(r.asked(), mostText), Effect: clip(r.effect(), mostText),
		Refused: r.Refused, Refusal: r.Refusal(), Leniencies: Leniencies(r.Type, r.Notes), Body: Outline(r.Type, r.Message, r.Types, r.Body),
		More: r.Effect.More}
	if len(r.Kinds) > 0 {
		for _, o := range r.Operations[:min(len(r.Operations), toldOfBulk)] {
			out.Operations = append(out.Operations, clip(o.inBulk(), mostText/2))
		}
	}
	return out
}

// Refusal is why the request was refused, without what must not be kept.
func (r Request) Refusal() string { return clip(refusal(r.Type, r.Where, r.Detail), mostDetail) }

func refusal(rt *schema.ResourceType, where, sentence string) string {
	if where == "" {
		return Detail(sentence)
	}
	return Where(rt, where) + ": " + Detail(sentence)
}

// collection is the first part of a path as it was sent: one word, or what might be
// anybody's name or address.
func collection(sent string) string {
	if len(sent) <= 40 && (only(sent, letters) || sent == ".search") {
		return sent
	}
	return Text(nil, nil, sent)
}

// agent is a User-Agent without the credentials that somebody put there.
func agent(sent string) string { return credential.ReplaceAllString(Detail(sent), "[credential]") }

func item(id string) string {
	if id == "" || ours(id) || attributeLike(id) {
		return id
	}
	return Text(nil, nil, id)
}

// asked is what the request meant, or what is known of one that was not understood.
func (r Request) asked() string {
	switch {
	case len(r.Kinds) > 0:
		return r.bulk()
	case len(r.Operations) > 0:
		return r.Operations[0].Sentence()
	case r.Resource != "" && r.Type == nil && r.Method == "GET":
		return "read " + collection(r.Resource)
	}
	return "not understood"
}

func (r Request) bulk() string {
	total := 0
	var parts []string
	for i, k := range r.Kinds {
		if total += k.N; i < mostKinds {
			parts = append(parts, fmt.Sprintf("%d %s", k.N, k.What))
		}
	}
	return "carry out " + plural(total, "operation", "operations") + ": " + strings.Join(parts, ", ") + more(len(r.Kinds)-mostKinds, "kind", "kinds")
}

func (o Operation) inBulk() string {
	text := fmt.Sprintf("%d %s", o.Status, o.Sentence())
	if o.Status == 0 {
		text = "not tried: " + o.Sentence()
	}
	if o.ID != "" {
		text += " " + item(o.ID)
	}
	if o.Refusal != "" {
		text += ": " + refusal(o.Type, o.Where, o.Refusal)
	}
	return text
}

func (r Request) effect() string {
	said := r.Effect.Sentence()
	searched := len(r.Operations) == 1 && r.Operations[0].Search != nil && r.Status < 300
	switch {
	case r.Refused > 0 && said != "":
		return plural(r.Refused, "operation", "operations") + " refused; " + said
	case r.Refused > 0:
		return plural(r.Refused, "operation", "operations") + " refused"
	case searched && r.Found == 0:
		return "found none"
	case searched:
		return fmt.Sprintf("found %d", r.Found)
	}
	return said
}

// query shows the parameters: a filter with what it searches for hidden, names of
// attributes, numbers; the values of what nobody knows not at all.
func (r Request) query() []string {
	var shown []string
	for pair := range strings.SplitSeq(r.Query, "&") {
		key, value, has := strings.Cut(pair, "=")
		if key == "" {
			continue
		}
		if len(shown) == mostQueries {
			return append(shown, "…")
		}
		if !has {
			shown = append(shown, Name(key))
			continue
		}
		text, err := url.QueryUnescape(value) // the whole target is bounded by the server
		if err != nil {
			text = value
		}
		shown = append(shown, Name(key)+"="+clip(r.parameter(key, text), mostDetail))
	}
	return shown
}

func (r Request) parameter(key, text string) string {
	switch strings.ToLower(key) {
	case "filter":
		return searched(r.Type, text)
	case "startindex", "count":
		if strings.Trim(text, "-0123456789") == "" && len(text) <= 20 {
			return text
		}
	case "sortorder", "sortby":
		if attributeLike(text) || slices.Contains(words, strings.ToLower(text)) {
			return text
		}
	case "attributes", "excludedattributes":
		names := strings.Split(text, ",")
		for i, n := range names {
			if n = strings.TrimSpace(n); !attributeLike(n) {
				names[i] = Text(nil, nil, n)
			}
		}
		return strings.Join(names, ",")
	}
	return Text(nil, nil, text)
}

// Person is the person that a request is about: "" if it is about none in particular.
func (r Request) Person() string {
	if strings.HasPrefix(r.Item, "per_") && ours(r.Item) {
		return r.Item
	}
	return ""
}

// Names are the texts by which a request names people who may not be there, or not
// yet: what it searches for, or would create. They are for a digest, never for a row.
func (r Request) Names() []string {
	var found []string
	for _, o := range r.Operations {
		if o.Search != nil && o.Search.Filter != nil {
			found = namesIn(found, o.Search.Filter)
		}
	}
	if r.Type != nil && r.Type.Core.ID == schema.UserURN && !r.Message {
		found = append(found, userNames(r.Body)...)
	}
	return found[:min(len(found), mostNames)]
}

const mostNames = 4

func namesIn(found []string, e filter.Expr) []string {
	switch e := e.(type) {
	case *filter.And:
		for _, t := range e.Terms {
			found = namesIn(found, t)
		}
	case *filter.Or:
		for _, t := range e.Terms {
			found = namesIn(found, t)
		}
	case *filter.ValuePath:
		return namesIn(found, e.Term)
	case *filter.Compare:
		if e.Op == filter.Equal && named(e.Attr) {
			return append(found, e.Value.Text)
		}
	}
	return found
}

// named says of an attribute that people are asked for by it.
func named(a *schema.Attribute) bool {
	return a.URN == schema.UserURN && a.Name == "userName" ||
		a.Parent != nil && a.Parent.Name == "emails" && a.Name == "value"
}

func userNames(body []byte) []string {
	d := decoder(body)
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return nil
	}
	for d.PeekKind() != '}' {
		t, err := d.ReadToken()
		if err != nil {
			return nil
		}
		if strings.EqualFold(t.String(), "userName") && d.PeekKind() == '"' {
			if t, err = d.ReadToken(); err != nil {
				return nil
			}
			return []string{t.String()}
		}
		if err := d.SkipValue(); err != nil {
			return nil
		}
	}
	return nil
}

// NotRecorded is the record of requests that could not be recorded.
func NotRecorded(n int64) Record {
	return Record{Kind: KindLost, Count: n, Asked: plural(int(n), "request", "requests") + " not recorded: they came faster than they could be written"}
}

// TurnedAway is the record of requests that were refused before they were looked at,
// by kind: KindRefused or KindLimited.
func TurnedAway(kind string, n int64, why string, last time.Time) Record {
	r := Record{Kind: kind, Count: n, Status: 401, Refusal: clip(Detail(why), mostDetail)}
	text := " without a token that opens this connection"
	if kind == KindLimited {
		r.Status, text = 429, " more than this connection may send at a time"
	}
	r.Asked = plural(int(n), "request", "requests") + text + ", the last at " + last.UTC().Format(time.RFC3339)
	return r
}
