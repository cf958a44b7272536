package bridge

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/oidc"
	"github.com/drawbridge-id/drawbridge/oidc/ssf"
)

// Signals translates what happened into signals, for each stream what it may know.
type Signals struct{ b *Bridge }

// Signals is the translator for the relay.
func (b *Bridge) Signals() Signals { return Signals{b} }

// signal is one thing to tell, before it is known to whom.
type signal struct {
	t       ssf.Type
	person  access.PersonID // whom it is about; "" if it is about a resource
	session session.ID      // which session; "" if about all of the person's
	path    string          // of a SCIM resource
	email   string          // the address that the person was known by, instead of the rest
	what    any
	claims  func(oidc.Client) (any, error) // instead of what, where it differs by client
	only    access.ClientID                // whose part of the session has ended, where it lives on; "": of any
	once    string                         // what must be told once of a request; "": each time
}

// Translate says what each stream is told of events.
func (s Signals) Translate(v *store.View, facts []store.OutboxRow) ([]store.Delivery, error) {
	streams, err := v.Streams()
	if err != nil {
		return nil, err
	}
	streams = slices.DeleteFunc(streams, func(st store.Stream) bool {
		_, configured := s.b.clients[st.Client]
		return !configured || st.Status == string(ssf.Disabled)
	})
	if len(streams) == 0 {
		return nil, nil
	}
	t := telling{b: s.b, v: v, streams: streams, told: map[string]bool{}}
	for _, row := range facts {
		if !signals(row.Body) {
			continue
		}
		if err := t.tell(row); err != nil {
			return nil, err
		}
	}
	return t.out, nil
}

// signalling are the families of events that signals are made of, as a row's body begins.
var signalling = [][]byte{[]byte(`{"type":"person.`), []byte(`{"type":"session.`), []byte(`{"type":"group.`), beginning(event.MemberAdded), beginning(event.MemberRemoved)}

// signals reports whether signals may be made of an event, without reading it.
func signals(body []byte) bool {
	return slices.ContainsFunc(signalling, func(begin []byte) bool { return bytes.HasPrefix(body, begin) })
}

// telling is one call of Translate.
type telling struct {
	b       *Bridge
	v       *store.View
	streams []store.Stream
	told    map[string]bool // by stream and JTI
	out     []store.Delivery
}

func (t *telling) tell(row store.OutboxRow) error {
	var e event.Event
	if err := json.Unmarshal(row.Body, &e); err != nil {
		return fault.Wrap(fault.Internal, "bridge.Signals", err)
	}
	signals, err := t.signalsOf(row, e)
	if err != nil {
		return err
	}
	for i, sg := range signals {
		for _, s := range t.streams {
			if err := t.put(s, row, e, i, sg); err != nil {
				return err
			}
		}
	}
	return nil
}

// put adds a signal to a stream that asks for it and may know of it.
func (t *telling) put(s store.Stream, row store.OutboxRow, e event.Event, i int, sg signal) error {
	shown, client := t.b.shown(s), t.b.clients[s.Client]
	if !slices.Contains(shown.Delivered(), sg.t) {
		return nil
	}
	may, err := t.mayKnow(shown, client, e, sg)
	if !may || err != nil {
		return err
	}
	about := t.subject(client, e, sg)
	muted, err := t.muted(s, e, sg, about)
	if muted || err != nil {
		return err
	}
	txn := e.Request
	if txn == "" {
		txn = "evt_" + strconv.FormatInt(row.ID, 10)
	}
	jti := jtiOf(s.ID, strconv.FormatInt(row.ID, 10), strconv.Itoa(i), string(sg.t))
	if sg.once != "" {
		jti = jtiOf(s.ID, txn, sg.once, string(sg.t))
	}
	if t.told[s.ID+jti] {
		return nil
	}
	t.told[s.ID+jti] = true
	what := sg.what
	if sg.claims != nil {
		if what, err = sg.claims(client); err != nil {
			return err
		}
	}
	d, err := deliveryOf(s, ssf.SET{Issuer: t.b.url, Audience: string(s.Client), JTI: jti, IssuedAt: row.At, Happened: e.At, Txn: txn, Subject: about, Type: sg.t, Event: what}, row.ID)
	t.out = append(t.out, d)
	return err
}

// jtiOf names a signal of one event: translated again, it is the same.
func jtiOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return "set_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// mayKnow reports whether a stream's receiver may hear of it: of everybody, if its
// application may; otherwise of people who signed in to it, and of sessions that
// reached it. That an application was taken out of a session is for that one alone: to
// others the session lives on.
func (t *telling) mayKnow(s ssf.Stream, client oidc.Client, e event.Event, sg signal) (bool, error) {
	switch {
	case sg.only != "":
		return s.Client == sg.only, nil
	case s.Wide:
		return true, nil
	}
	if agreed, err := t.agreed(client, e, sg); !agreed || err != nil {
		return false, err
	}
	switch {
	case sg.session != "":
		reached, err := t.v.SessionClients(sg.session)
		return slices.Contains(reached, s.Client), err
	case sg.person != "":
		return t.v.Knows(s.Client, e.Connection, sg.person)
	}
	return false, nil
}

// agreed reports whether a person's consent, where the application needs one, lets it hear
// of them, and by their address. What it had ends all the same: sessions that reached it,
// and the person, with whom the consent is erased.
func (t *telling) agreed(client oidc.Client, e event.Event, sg signal) (bool, error) {
	if sg.email != "" && !client.MayHave(oidc.ScopeEmail) {
		return false, nil
	}
	if !client.Consent || e.Type == event.PersonDeleted || sg.session != "" && sg.t == ssf.SessionRevoked {
		return true, nil
	}
	dir, err := t.v.In(e.Connection)
	if err != nil {
		return false, err
	}
	c, stands, err := dir.Consent(sg.person, client.ID)
	return stands && (sg.email == "" || slices.Contains(c.OAuthScopes, oidc.ScopeEmail)), err
}

// subject names whom a signal is about, as its receiver knows them.
func (t *telling) subject(client oidc.Client, e event.Event, sg signal) ssf.Subject {
	switch {
	case sg.path != "":
		return ssf.SCIMResource(sg.path, "")
	case sg.email != "":
		return ssf.Email(sg.email)
	}
	var at ssf.Subject
	if sg.session != "" {
		at = ssf.Opaque(t.b.SessionFor(client, sg.session))
	}
	return ssf.Complex(t.user(client, sg.person), at, ssf.Opaque(string(e.Connection)))
}

func (t *telling) user(client oidc.Client, p access.PersonID) ssf.Subject {
	return ssf.IssSub(t.b.url, t.b.SubjectFor(client, p))
}

// muted reports whether the stream is silent about the subject, by whichever name its
// receiver removed it.
func (t *telling) muted(s store.Stream, e event.Event, sg signal, about ssf.Subject) (bool, error) {
	keys := ssf.Covering(about)
	if sg.person != "" {
		client := t.b.clients[s.Client]
		also, err := t.addresses(e.Connection, sg.person)
		if err != nil {
			return false, err
		}
		whole := ssf.Complex(t.user(client, sg.person), ssf.Subject{}, ssf.Opaque(string(e.Connection)))
		if sg.path == "" && sg.email == "" {
			whole = about
		}
		keys = append(keys, ssf.Covering(whole, also...)...)
	}
	return t.v.Muted(s.ID, keys)
}

// addresses are what else somebody may be known by; none of somebody who is gone.
func (t *telling) addresses(conn access.ConnectionID, person access.PersonID) ([]ssf.Subject, error) {
	p, err := t.person(conn, person)
	if fault.Is(err, fault.NotFound) || err == nil && p.Email == "" {
		return nil, nil
	}
	return []ssf.Subject{ssf.Email(p.Email)}, err
}

func (t *telling) person(conn access.ConnectionID, person access.PersonID) (store.Person, error) {
	dir, err := t.v.In(conn)
	if err != nil {
		return store.Person{}, err
	}
	return dir.Person(person)
}

// cause is what an event of CAEP or RISC says beside its own members.
func cause(e event.Event, why string) ssf.Cause {
	c := ssf.Cause{At: e.At.Unix(), Initiator: initiatorOf(e.Actor)}
	if why != "" {
		c.ReasonAdmin = map[string]string{"en": why}
	}
	return c
}

func initiatorOf(a event.Actor) ssf.Initiator {
	switch a {
	case event.ByScim, event.ByAdministrator:
		return ssf.ByAdmin
	case event.ByPerson:
		return ssf.ByUser
	case event.ByRules:
		return ssf.ByPolicy
	case event.ByBridge, event.ByClient:
		return ssf.BySystem
	}
	return ssf.BySystem
}

// signalsOf is the one mapping of events to signals (docs/applications.md has the table).
func (t *telling) signalsOf(row store.OutboxRow, e event.Event) ([]signal, error) {
	user := func(ty ssf.Type, what any) signal { return signal{t: ty, person: e.Person, what: what} }
	revoked := func(reason string) signal { return user(ssf.SessionRevoked, endOf(e, reason)) }
	scim := func(ty ssf.Type, what any) signal {
		return signal{t: ty, person: e.Person, path: "/Users/" + string(e.Person), what: what}
	}
	switch e.Type {
	case event.PersonDeactivated:
		return t.changed(row, e, user(ssf.AccountDisabled, cause(e, whyEnded[session.EndDeactivated])), revoked(session.EndDeactivated), scim(ssf.SCIMDeactivate, nil))
	case event.PersonReactivated:
		return t.changed(row, e, user(ssf.AccountEnabled, cause(e, "The identity provider activated the person again (SCIM active=true).")), scim(ssf.SCIMActivate, nil))
	case event.PersonDeleted:
		return []signal{user(ssf.AccountPurged, cause(e, whyEnded[session.EndDeleted])), revoked(session.EndDeleted), scim(ssf.SCIMDelete, nil)}, nil
	case event.PersonProvisioned:
		return []signal{scim(ssf.SCIMCreate, noticeOf(e))}, nil
	case event.PersonChanged:
		return t.changed(row, e)
	case event.SessionStarted:
		return t.begun(e)
	case event.SessionSwitched, event.SessionChanged, event.SessionMustChoose:
		return []signal{t.claimsChange(e)}, nil
	case event.SessionRevoked:
		return sessionEnded(e, e.Data["reason"]), nil
	case event.SessionClientEnded:
		return []signal{{t: ssf.SessionRevoked, person: e.Person, session: session.ID(e.Session), only: access.ClientID(e.Data["client"]), what: endOf(e, e.Data["reason"])}}, nil
	}
	return groupSignals(e), nil
}

// changed are the addresses of a changed person and the notice of the change, by the verb
// that made it, behind what else is told of it.
func (t *telling) changed(row store.OutboxRow, e event.Event, all ...signal) ([]signal, error) {
	renamed, err := t.renamed(row, e)
	all = append(all, renamed...)
	if err != nil || e.Data["attributes"] == "" {
		return all, err
	}
	ty := ssf.SCIMPatch
	if e.Data["verb"] == verbPut {
		ty = ssf.SCIMPut
	}
	return append(all, signal{t: ty, person: e.Person, path: "/Users/" + string(e.Person), what: noticeOf(e)}), nil
}

// noticeOf names what a request set, and none of it (RFC 9967 section 2.4).
func noticeOf(e event.Event) ssf.SCIMNotice {
	n := ssf.SCIMNotice{Attributes: []string{}, Version: e.Data["version"]}
	if names := e.Data["attributes"]; names != "" {
		n.Attributes = strings.Split(names, ",")
	}
	if n.Version != "" {
		n.Version = `W/"` + n.Version + `"`
	}
	return n
}

// renamed is the change of the addresses that somebody was known by: of the e-mail address,
// and of a userName that is one, if it was another. Who has been erased meanwhile has none.
func (t *telling) renamed(row store.OutboxRow, e event.Event) ([]signal, error) {
	if e.Data["identifier"] == "" {
		return nil, nil
	}
	said, err := t.v.PersonalOf(row.ID)
	if err != nil {
		return nil, err
	}
	var all []signal
	for _, names := range [][2]string{{wasEmail, isEmail}, {wasUserName, isUserName}} {
		was, is := said[names[0]], said[names[1]]
		if was == "" || slices.ContainsFunc(all, func(sg signal) bool { return sg.email == was }) {
			continue
		}
		all = append(all, signal{t: ssf.IdentifierChanged, person: e.Person, email: was, what: ssf.IdentifierChange{Cause: cause(e, "The identity provider changed the address of the person."), NewValue: is}})
	}
	return all, nil
}

// sessionEnded is the end of one session. Those that end with the person's account are
// told of by one signal about the person.
func sessionEnded(e event.Event, reason string) []signal {
	if reason == session.EndDeactivated || reason == session.EndDeleted {
		return nil
	}
	return []signal{{t: ssf.SessionRevoked, person: e.Person, session: session.ID(e.Session), what: endOf(e, reason)}}
}

// endOf says why, in a sentence and in the code that a logout token has, too.
func endOf(e event.Event, reason string) ssf.SessionEnd {
	why := whyEnded[reason]
	if why == "" {
		why = "The session ended: " + reason + "."
	}
	return ssf.SessionEnd{Cause: cause(e, why), EndReason: reason}
}

// whyEnded says why sessions end, for a receiver's administrators.
var whyEnded = map[string]string{
	session.EndDeactivated:   "The identity provider deactivated the person (SCIM active=false).",
	session.EndDeleted:       "The identity provider deleted the person.",
	session.EndNoAssignment:  "The person holds nothing any more that may sign in.",
	session.EndSignedOut:     "The person signed out.",
	session.EndReplaced:      "The person signed in anew in the same browser.",
	session.EndExpired:       "The session had lasted as long as it may.",
	session.EndConnection:    "The customer's connection was ended.",
	session.EndRefreshReused: "A refresh token was used twice, or a code of an offline session, as a stolen one is.",
	session.EndSubject:       "The identity provider gave the account to another subject.",
	session.EndAdministrator: "An administrator ended the session.",
	session.EndElsewhere:     "The person ended the session from another browser.",
	session.EndIdPLogout:     "The identity provider said that the person signed out there, or that its own session ended.",
	session.EndIdPRevoked:    "The identity provider asked to end all that the person has.",
	session.EndIdPExpired:    "The lifetime that the identity provider gave the sign-in was over.",
	session.EndIdPRefused:    "Asked again, the identity provider no longer confirmed the sign-in.",
	session.EndIdPSilent:     "The identity provider could not be asked for too long whether the sign-in still stands.",
	session.EndIdPSession:    "The identity provider signalled that it revoked the session.",
	session.EndIdPDisabled:   "The identity provider signalled that it disabled or deleted the account.",
	session.EndIdPCredential: "The identity provider signalled that the person's credentials have changed.",
	session.EndConsent:       "The person took back what they had agreed to for the application.",
}

// begun is the beginning of a session.
func (t *telling) begun(e event.Event) ([]signal, error) {
	row, err := t.v.Session(session.ID(e.Session))
	if err != nil {
		if fault.Is(err, fault.NotFound) {
			err = nil // it has been forgotten meanwhile
		}
		return nil, err
	}
	return []signal{{t: ssf.SessionEstablished, person: e.Person, session: row.ID, what: ssf.SessionBegun{Cause: cause(e, ""), ACR: row.Upstream.ACR, AMR: row.Upstream.AMR}}}, nil
}

// claimsChange says which assignment the session stands on now, in the words of the
// active_grant claim: null where it is none that the client's tokens may carry.
func (t *telling) claimsChange(e event.Event) signal {
	return signal{t: ssf.TokenClaimsChange, person: e.Person, session: session.ID(e.Session), claims: func(c oidc.Client) (any, error) {
		grant, err := t.grantNow(c, e)
		return ssf.ClaimsChange{Cause: cause(e, whyChanged[e.Type]), Claims: map[string]any{"active_grant": grant}}, err
	}}
}

var whyChanged = map[event.Type]string{
	event.SessionSwitched:   "The person switched to another grant.",
	event.SessionChanged:    "What the active grant means has changed.",
	event.SessionMustChoose: "The person does not hold the active grant any more, and must choose another.",
}

func (t *telling) grantNow(c oidc.Client, e event.Event) (any, error) {
	row, err := t.v.Session(session.ID(e.Session))
	if err != nil || row.State != session.Active {
		return nil, ignoring(fault.NotFound, err)
	}
	policy, err := t.b.active(t.v)
	if err != nil {
		return nil, err
	}
	dir, err := t.v.In(row.Connection)
	if err != nil {
		return nil, err
	}
	p, err := dir.Person(row.Person)
	if err != nil {
		return nil, ignoring(fault.NotFound, err)
	}
	held, err := dir.Assignments(p)
	at := slices.IndexFunc(held, func(a access.Assignment) bool { return a.ID == row.Active })
	if err != nil || at < 0 || !c.Accepts(held[at].Grant) {
		return nil, err
	}
	grant := activeGrant(policy.Tree(), held[at])
	grant.ID = t.b.AssignmentFor(c, grant.ID)
	return grant, nil
}

func ignoring(k fault.Kind, err error) error {
	if fault.Is(err, k) {
		return nil
	}
	return err
}

// groupSignals are the notices of a group's change: its members are one attribute,
// however many came and went in a request.
func groupSignals(e event.Event) []signal {
	id := e.Data["group"]
	if id == "" {
		return nil
	}
	notice := func(ty ssf.Type, attributes ...string) []signal {
		return []signal{{t: ty, path: "/Groups/" + id, what: ssf.SCIMNotice{Attributes: attributes}, once: id + " " + strings.Join(attributes, ",")}}
	}
	switch e.Type {
	case event.GroupProvisioned:
		return notice(ssf.SCIMCreate, "displayName")
	case event.GroupRenamed:
		return notice(ssf.SCIMPatch, "displayName")
	case event.MemberAdded, event.MemberRemoved:
		return notice(ssf.SCIMPatch, "members")
	case event.GroupChanged:
		if e.Data["added"] != "" {
			return notice(ssf.SCIMPatch, "members")
		}
		return []signal{{t: ssf.SCIMPatch, path: "/Groups/" + id, what: ssf.SCIMNotice{Attributes: []string{}}}}
	case event.GroupDeleted:
		return []signal{{t: ssf.SCIMDelete, path: "/Groups/" + id}}
	}
	return nil
}
