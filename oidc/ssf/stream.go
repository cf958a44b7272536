package ssf

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/secret"
)

// The delivery methods.
const (
	Push = "urn:ietf:rfc:8935"
	Poll = "urn:ietf:rfc:8936"
)

// oldMethods are the names that drafts before SSF 1.0 gave to the methods: receivers
// that are still about send them.
var oldMethods = map[string]string{
	"https://schemas.openid.net/secevent/risc/delivery-method/push": Push,
	"https://schemas.openid.net/secevent/risc/delivery-method/poll": Poll,
}

// MinVerificationInterval is the least time between two verifications of a stream that
// a receiver asks for.
const MinVerificationInterval = time.Second

// InactivityTimeout is how long a stream that is polled may go unpolled and unasked for
// before it is paused (SSF 1.0 section 8.1.1). One that is pushed has none: its receiver
// need not ask for anything.
const InactivityTimeout = 7 * 24 * time.Hour

// Limits of a stream's configuration.
const (
	maxBody          = 64 << 10 // bytes of a request
	maxEvents        = 64       // event types asked for
	maxURI           = 2 << 10  // bytes of an event type or an endpoint
	maxAuthorization = 4 << 10  // bytes of an authorization header
	maxDescription   = 512      // bytes; what is longer is cut
	maxReason        = 256      // bytes; what is longer is cut
	maxStreamID      = 64       // bytes
	maxState         = 2 << 10  // bytes of a verification's state
)

// Status is where a stream stands. The zero Status sends nothing.
type Status string

// The statuses (SSF 1.0 section 8.1.2).
const (
	Enabled  Status = "enabled"
	Paused   Status = "paused"   // events are held
	Disabled Status = "disabled" // events are dropped
)

// Stream is one receiver's stream.
type Stream struct {
	ID          string
	Client      access.ClientID // whose it is, and the aud of its tokens
	Method      string          // Push or Poll
	Endpoint    string          // where to push; "" for Poll
	Requested   []string        // event types asked for; nil: those of ByDefault
	Description string
	Status      Status
	Reason      string // why it is not enabled; "" if nobody said
	Created     time.Time
	Wide        bool // the client may hear of everybody, not only of people who signed in to it
}

// Delivered are the event types that the stream is sent.
func (s Stream) Delivered() []Type { return delivered(s.Requested, s.Wide) }

// Wish is what a receiver asks a stream to be: nil fields were left out of the request.
type Wish struct {
	Method        *string
	Endpoint      string
	Authorization secret.String // the Authorization header of every push; empty: none
	Requested     []string
	SetsRequested bool
	Description   *string
}

// Whole makes a wish that replaces everything: what was left out goes back to what a
// new stream has.
func (w Wish) Whole() Wish {
	poll, empty := Poll, ""
	if w.Method == nil {
		w.Method = &poll
	}
	if w.Description == nil {
		w.Description = &empty
	}
	w.SetsRequested = true
	return w
}

// On is the stream after the wish. What its Authorization becomes is the keeper's.
func (w Wish) On(s Stream) Stream {
	if w.Method != nil {
		s.Method, s.Endpoint = *w.Method, w.Endpoint
	}
	if w.SetsRequested {
		s.Requested = w.Requested
	}
	if w.Description != nil {
		s.Description = *w.Description
	}
	return s
}

// ParseWish reads the body of a request that makes, changes or replaces a stream: the
// stream's id ("" if there is none), what is asked for, and what the body says of the
// members that are ours to set, for Said to compare.
func ParseWish(raw []byte) (id string, w Wish, said map[string]json.RawMessage, err error) {
	members, err := object(raw)
	if err != nil {
		return "", Wish{}, nil, err
	}
	if id, err = streamID(members["stream_id"]); err != nil {
		return "", Wish{}, nil, err
	}
	if err := w.readEvents(members); err != nil {
		return "", Wish{}, nil, err
	}
	if raw, there := members["description"]; there {
		d, err := text(raw)
		if err != nil {
			return "", Wish{}, nil, invalid("description is not a string.")
		}
		d = cut(d, maxDescription)
		w.Description = &d
	}
	if raw, there := members["delivery"]; there && string(raw) != "null" {
		if err := w.readDelivery(raw); err != nil {
			return "", Wish{}, nil, err
		}
	}
	said = map[string]json.RawMessage{}
	for _, ours := range []string{"iss", "aud", "events_supported", "events_delivered", "min_verification_interval", "inactivity_timeout"} {
		if raw, there := members[ours]; there {
			said[ours] = raw
		}
	}
	return id, w, said, nil
}

func (w *Wish) readEvents(members map[string]json.RawMessage) error {
	raw, there := members["events_requested"]
	if !there {
		return nil
	}
	w.SetsRequested = true
	if string(raw) == "null" {
		return nil
	}
	if err := json.Unmarshal(raw, &w.Requested); err != nil {
		return invalid("events_requested is not an array of strings.")
	}
	tooLong := func(uri string) bool { return len(uri) > maxURI }
	if len(w.Requested) > maxEvents || slices.ContainsFunc(w.Requested, tooLong) {
		return invalid("events_requested has more than 64 event types, or one longer than 2 KiB.")
	}
	return nil
}

func (w *Wish) readDelivery(raw json.RawMessage) error {
	members, err := object(raw)
	if err != nil {
		return invalid("delivery is not a JSON object whose members each come once.")
	}
	method, errMethod := text(members["method"])
	endpoint, errEndpoint := text(members["endpoint_url"])
	authorization, errAuthorization := text(members["authorization_header"])
	if errMethod != nil || errEndpoint != nil || errAuthorization != nil {
		return invalid("A member of delivery is not a string.")
	}
	if today, old := oldMethods[method]; old {
		method = today
	}
	switch method {
	case Poll:
		w.Method = &method // where to poll is ours to say
		return nil
	case Push:
	default:
		return invalid("delivery.method is not urn:ietf:rfc:8935 (push) or urn:ietf:rfc:8936 (poll).")
	}
	if err := endpointAllowed(endpoint); err != nil {
		return err
	}
	if !headerValue(authorization) {
		return invalid("delivery.authorization_header is longer than 4 KiB, or not what a header may hold.")
	}
	w.Method, w.Endpoint, w.Authorization = &method, endpoint, secret.New(authorization)
	return nil
}

// endpointAllowed judges the form of an address that a receiver names. Where it leads
// is judged when it is called.
func endpointAllowed(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || len(endpoint) > maxURI || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.Fragment != "" {
		return invalid("delivery.endpoint_url is not an https address without user name and fragment, or longer than 2 KiB.")
	}
	return nil
}

// headerValue reports whether a text may be sent as a header's value.
func headerValue(s string) bool {
	odd := func(r rune) bool { return r < ' ' || r > '~' }
	return len(s) <= maxAuthorization && !strings.ContainsFunc(s, odd)
}

func streamID(raw json.RawMessage) (string, error) {
	id, err := text(raw)
	if err != nil || len(id) > maxStreamID {
		return "", invalid("stream_id is not a string of at most 64 bytes.")
	}
	return id, nil
}

// cut shortens a text to at most n bytes, between characters.
func cut(s string, n int) string {
	for len(s) > n {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// Configuration is a stream as its receiver sees it (SSF 1.0 section 8.1.1). The
// authorization header is never shown again.
type Configuration struct {
	StreamID        string   `json:"stream_id"`
	Issuer          string   `json:"iss"`
	Audience        string   `json:"aud"`
	EventsSupported []Type   `json:"events_supported"`
	EventsRequested []string `json:"events_requested,omitempty"`
	EventsDelivered []Type   `json:"events_delivered"`
	Delivery        Delivery `json:"delivery"`
	MinVerification int64    `json:"min_verification_interval"`   // seconds
	Inactivity      int64    `json:"inactivity_timeout,omitzero"` // seconds; 0: none
	Description     string   `json:"description,omitzero"`
}

// Delivery is how a stream is delivered.
type Delivery struct {
	Method   string `json:"method"`
	Endpoint string `json:"endpoint_url"`
}

// Configuration shows the stream.
func (s Stream) Configuration(issuer string) Configuration {
	c := Configuration{StreamID: s.ID, Issuer: issuer, Audience: string(s.Client), EventsSupported: Supported(s.Wide), EventsRequested: s.Requested,
		EventsDelivered: s.Delivered(), Delivery: Delivery{Method: s.Method, Endpoint: s.Endpoint},
		MinVerification: int64(MinVerificationInterval / time.Second), Description: s.Description}
	if s.Method == Poll {
		c.Delivery.Endpoint = issuer + pathPoll + s.ID
		c.Inactivity = int64(InactivityTimeout / time.Second)
	}
	return c
}

// Agrees refuses a request that says something else of the members that are ours to set
// than what they are (SSF 1.0 sections 8.1.1.3 and 8.1.1.4). Lists are compared as sets.
func (c Configuration) Agrees(said map[string]json.RawMessage) error {
	for name, raw := range said {
		if !c.agrees(name, raw) {
			return invalid("The member " + name + " is not the receiver's to set, and is not what the request says it is.")
		}
	}
	return nil
}

func (c Configuration) agrees(name string, raw json.RawMessage) bool {
	switch name {
	case "iss":
		s, err := text(raw)
		return err == nil && s == c.Issuer
	case "aud":
		return sameSet(raw, c.Audience)
	case "events_supported":
		return sameSet(raw, c.EventsSupported...)
	case "events_delivered":
		return sameSet(raw, c.EventsDelivered...)
	case "min_verification_interval":
		var n int64
		return json.Unmarshal(raw, &n) == nil && n == c.MinVerification
	case "inactivity_timeout":
		var n int64 // null is none
		return json.Unmarshal(raw, &n) == nil && n == c.Inactivity
	}
	return false
}

// sameSet compares a JSON string or array of strings with a list.
func sameSet[T ~string](raw json.RawMessage, want ...T) bool {
	var all []T
	var one T
	if json.Unmarshal(raw, &one) == nil {
		all = []T{one}
	} else if json.Unmarshal(raw, &all) != nil {
		return false
	}
	slices.Sort(all)
	sorted := slices.Clone(want)
	slices.Sort(sorted)
	return slices.Equal(slices.Compact(all), sorted)
}

// StatusWish is what a receiver asks a stream's status to be.
type StatusWish struct {
	Stream string
	Status Status
	Reason string
}

// ParseStatus reads the body of a request that changes a stream's status.
func ParseStatus(raw []byte) (StatusWish, error) {
	members, err := object(raw)
	if err != nil {
		return StatusWish{}, err
	}
	id, errID := requiredStream(members)
	status, errStatus := text(members["status"])
	reason, errReason := text(members["reason"])
	switch s := Status(status); {
	case errID != nil:
		return StatusWish{}, errID
	case errStatus != nil || s != Enabled && s != Paused && s != Disabled:
		return StatusWish{}, invalid("status is not enabled, paused or disabled.")
	case errReason != nil:
		return StatusWish{}, invalid("reason is not a string.")
	}
	return StatusWish{Stream: id, Status: Status(status), Reason: cut(reason, maxReason)}, nil
}

func requiredStream(members map[string]json.RawMessage) (string, error) {
	id, err := streamID(members["stream_id"])
	if err == nil && id == "" {
		err = invalid("Say in stream_id which stream is meant.")
	}
	return id, err
}

// ParseSubjectRequest reads the body of a request that adds a subject to a stream or
// removes one.
func ParseSubjectRequest(raw []byte) (stream string, s Subject, err error) {
	members, err := object(raw)
	if err != nil {
		return "", Subject{}, err
	}
	if stream, err = requiredStream(members); err != nil {
		return "", Subject{}, err
	}
	var verified *bool
	if raw, there := members["verified"]; there && json.Unmarshal(raw, &verified) != nil {
		return "", Subject{}, invalid("verified is not true or false.")
	}
	if members["subject"] == nil {
		return "", Subject{}, invalid("Say in subject who is meant.")
	}
	s, err = ParseSubject(members["subject"])
	return stream, s, err
}

// ParseVerify reads the body of a request for a verification.
func ParseVerify(raw []byte) (stream, state string, err error) {
	members, err := object(raw)
	if err != nil {
		return "", "", err
	}
	if stream, err = requiredStream(members); err != nil {
		return "", "", err
	}
	state, err = text(members["state"])
	if err != nil || len(state) > maxState {
		return "", "", invalid("state is not a string of at most 2 KiB.")
	}
	return stream, state, nil
}
