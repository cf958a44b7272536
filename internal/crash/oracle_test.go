//go:build failpoints

package crash

import (
	"context"

	"github.com/drawbridge-id/drawbridge/internal/event"
)

// judgeDeactivation: what was acknowledged is there and has ended everything (I-9, I-1), what
// was not is there whole or not at all, it can be said again as often as one likes (I-16), and
// the record has it as often as it happened (I-10).
func (w *walk) judgeDeactivation(acknowledged bool) {
	w.t.Helper()
	access, refresh := w.accepts()
	committed := w.engine.events(w.t, string(event.PersonDeactivated), w.ids[leaver]) > 0
	if acknowledged && !committed {
		w.t.Error("I-9: the deactivation was acknowledged, and the record has none")
	}
	if committed && (access || refresh) {
		w.t.Errorf("I-1: the deactivation is recorded, and access token %t, refresh token %t are accepted", access, refresh)
	}
	if !committed && (!access || !refresh) {
		w.t.Errorf("I-9: nothing was committed, and access token %t, refresh token %t are not all accepted", access, refresh)
	}
	w.leaveForGood()
}

// leaveForGood deactivates until that is acknowledged, and once more.
func (w *walk) leaveForGood() {
	w.t.Helper()
	if !w.again(w.deactivate) {
		w.t.Error("I-16: the deactivation, said again, is refused")
	}
	once := w.engine.events(w.t, string(event.PersonDeactivated), w.ids[leaver])
	var first, second struct {
		Active bool
		Meta   struct{ Version string }
	}
	w.scim("GET", patchTo+w.ids[leaver], "", &first)
	if !w.again(w.deactivate) {
		w.t.Error("I-16: the deactivation, said a third time, is refused")
	}
	if w.scim("GET", patchTo+w.ids[leaver], "", &second) != 200 || second.Active || second != first {
		w.t.Errorf("I-16: after the same once more: %v, and before %v", second, first)
	}
	if again := w.engine.events(w.t, string(event.PersonDeactivated), w.ids[leaver]); again != once || once == 0 {
		w.t.Errorf("I-10: %d deactivations are recorded, and %d after saying it again", once, again)
	}
	if access, refresh := w.accepts(); access || refresh {
		w.t.Errorf("I-1: after an acknowledged deactivation access token %t, refresh token %t are accepted", access, refresh)
	}
	if _, err := w.signsIn(leaver); err == nil {
		w.t.Error("I-3: after an acknowledged deactivation the person signs in")
	}
}

// judgeJoining: the member is there or not, as both sides tell and as the record has it, and
// can be added again.
func (w *walk) judgeJoining(acknowledged bool) {
	w.t.Helper()
	added := func() int { return w.engine.events(w.t, string(event.MemberAdded), w.ids[other]) }
	was := w.added
	there := w.isMember()
	if acknowledged && !there {
		w.t.Error("I-9: the member was acknowledged, and is not there")
	}
	if recorded := added() - was; there != (recorded == 1) || recorded > 1 {
		w.t.Errorf("I-10: the member is there: %t; recorded %d times", there, recorded)
	}
	for range 2 {
		if !w.again(w.join) {
			w.t.Error("I-16: the member, added again, is refused")
		}
	}
	if recorded := added() - was; recorded != 1 || !w.isMember() {
		w.t.Errorf("I-16: added three times: there: %t; recorded %d times", w.isMember(), recorded)
	}
	w.leaveForGood()
}

// isMember asks the group and the person, who must agree.
func (w *walk) isMember() bool {
	w.t.Helper()
	var g struct{ Members []struct{ Value string } }
	var p struct{ Groups []struct{ Value string } }
	if a, b := w.scim("GET", "/Groups/"+w.group, "", &g), w.scim("GET", patchTo+w.ids[other], "", &p); a != 200 || b != 200 {
		w.t.Fatalf("the group: %d, the person: %d", a, b)
	}
	ofPerson := false
	for _, group := range p.Groups {
		ofPerson = ofPerson || group.Value == w.group
	}
	if (len(g.Members) == 1) != ofPerson {
		w.t.Errorf("I-9: the group has %d members, and the person is in it: %t", len(g.Members), ofPerson)
	}
	return ofPerson
}

// judgeSignIn: a code gives nothing twice, whatever became of the first time, who was refused
// can begin again, and all of it ends with the person.
func (w *walk) judgeSignIn(bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if w.code.Code != "" {
		if _, err := w.client().Exchange(ctx, w.code.Code, w.code.Verifier, w.code.Nonce); err == nil {
			w.t.Error("I-4: a code that had been shown gives tokens")
		}
	}
	if _, err := w.signsIn(leaver); err != nil {
		w.t.Errorf("who was interrupted cannot begin again: %v", err)
	}
	w.leaveForGood()
}

// judgeDelivery is judgeDeactivation, and who must hear that the session has ended hears it,
// though it may be twice.
func (w *walk) judgeDelivery(acknowledged bool) {
	w.t.Helper()
	to, isTold := w.engine.(told)
	over := func() bool { return to.heard.Load() > 0 && w.pending() == 0 }
	// What arrived and could not be noted is sent again after a minute.
	if !isTold || !waited(w.t.Context(), over) && !waited(w.t.Context(), over) {
		w.t.Errorf("I-9: of what was to be told %d arrived, and %d deliveries wait", to.heard.Load(), w.pending())
	}
	w.judgeDeactivation(acknowledged)
}

// pending is how many deliveries wait; -1 if that cannot be told now.
func (w *walk) pending() (n int) {
	w.t.Helper()
	var all []struct{ Pending int }
	if w.api("GET", "/receivers", "", &all) != 200 {
		return -1
	}
	for _, r := range all {
		n += r.Pending
	}
	return n
}

// judgeRotation: what was signed before is good, a rotation can be asked for again, and
// people sign in.
func (w *walk) judgeRotation(bool) {
	w.t.Helper()
	if access, refresh := w.accepts(); !access || !refresh {
		w.t.Errorf("I-30: after a rotation access token %t, refresh token %t are accepted", access, refresh)
	}
	if !w.again(w.rotateKeys) {
		w.t.Error("I-16: a rotation, asked for again, is refused")
	}
	if access, _ := w.accepts(); !access {
		w.t.Error("I-30: after two rotations the access token is refused")
	}
	if _, err := w.signsIn(other); err != nil {
		w.t.Errorf("after a rotation nobody signs in: %v", err)
	}
	w.leaveForGood()
}
