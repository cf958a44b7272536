package protocol

import (
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/history"
	sessions "github.com/drawbridge-id/drawbridge/internal/session"
)

// cred is a credential, and what it was made from.
type cred struct {
	history.Credential
	bound   credential.Bound
	who, at int // the person and the session
}

// What credentials stand on.
var (
	personKeys = [people]string{"person 0", "person 1", "person 2"}
	everybody  = []string{"host", "client"}
)

func sessionKey(id int) string { return "session " + strconv.Itoa(id) }
func turnKey(id int) string    { return "turn of session " + strconv.Itoa(id) }

func subject(who, id int) credential.Subject {
	return credential.Subject{Connection: "c", Client: "app", Person: access.PersonID(personKeys[who]), Session: sessions.ID(sessionKey(id))}
}

// mint signs somebody in at a node, or renews what they have; made is told of it.
func (w *world) mint(n *node, who int, made func(c *cred)) {
	if !n.serving || n.dead {
		return
	}
	from := w.now
	var c credential.Current
	var id int
	n.ask(func() {
		d := &w.dir
		if id = d.latest[who]; d.people[who].active && d.wide.enabled {
			id = d.signIn(who)
		}
		c = say(subject(who, id), d.wide, d.people[who], d.sessions[id])
	}, func(ok bool) {
		bound := credential.Bound{Subject: c.Subject, Epochs: c.Epochs, Expires: expires}
		if !ok || credential.Accept(bound, c, n.clocks.wall(w.now)) != nil {
			return
		}
		x := &cred{bound: bound, who: who, at: id}
		x.Credential = history.Credential{ID: "token " + strconv.Itoa(len(w.creds)), Made: span{From: from, To: w.now},
			Keys: []string{everybody[0], everybody[1], personKeys[who], sessionKey(id), turnKey(id)}}
		w.creds, w.record.Credentials = append(w.creds, x), append(w.record.Credentials, x.Credential)
		w.tell("node %d made %s for person %d, session %d", n.index, x.ID, who, id)
		if made != nil {
			made(x)
		}
	})
}

// use shows a credential to a node.
func (w *world) use(n *node, c *cred) {
	from := w.now
	n.later(time.Duration(w.random.IntN(300))*time.Microsecond, func() {
		n.accept(c, func(accepted bool, how string) {
			w.record.Uses = append(w.record.Uses, history.Use{Credential: c.ID, Door: how, Node: names[n.index], At: span{From: from, To: w.now}, Accepted: accepted})
			if w.say != nil {
				w.tell("node %d, %s: %s, asked at %v: %t", n.index, how, c.ID, from, accepted)
			}
			w.right = append(w.right, n.clocks.ahead.Abs() <= Bound)
		})
	})
}

// What an answer came from.
const (
	Memory    = "memory"
	Directory = "directory"
)

// accept is what a node does with a credential; it does not answer without the directory.
func (n *node) accept(c *cred, answer func(accepted bool, how string)) {
	if !n.serving {
		return
	}
	if !n.fresh() {
		n.asked(c, answer)
		return
	}
	n.person(c.who, func(p person) {
		n.session(c.at, func(s session) {
			current := say(c.bound.Subject, n.memory.wide, p, s)
			if !n.fresh() {
				n.asked(c, answer)
				return
			}
			answer(n.judge(c, current), Memory)
		})
	})
}

func (n *node) judge(c *cred, current credential.Current) bool {
	if n.w.fault == SweptLater {
		current.ValidUntil = time.Time{}
	}
	return credential.Accept(c.bound, current, n.clocks.wall(n.w.now)) == nil
}

func (n *node) asked(c *cred, answer func(accepted bool, how string)) {
	var current credential.Current
	n.ask(func() {
		d := &n.w.dir
		current = say(c.bound.Subject, d.wide, d.people[c.who], d.sessions[c.at])
	}, func(ok bool) {
		if ok {
			answer(n.judge(c, current), Directory)
		}
	})
}

// person is what is remembered, or read now, and kept unless news came between.
func (n *node) person(who int, then func(p person)) {
	r := &n.memory.people[who]
	if r.known {
		then(r.value)
		return
	}
	var read person
	turn := r.turn
	n.ask(func() { read = n.w.dir.people[who] }, func(ok bool) {
		if !ok {
			return
		}
		if r.turn == turn || n.w.fault == KeptThoughDropped {
			r.value, r.known = read, true
		}
		then(read)
	})
}

func (n *node) session(id int, then func(s session)) {
	r := n.memory.session(id)
	if r.known {
		then(r.value)
		return
	}
	var read session
	turn := r.turn
	n.ask(func() { read = n.w.dir.sessions[id] }, func(ok bool) {
		if !ok {
			return
		}
		if r := n.memory.session(id); r.turn == turn || n.w.fault == KeptThoughDropped {
			r.value, r.known = read, true
		}
		then(read)
	})
}

// change asks a node for a change, and another one if there is no answer in time.
func (w *world) change(c wish, at, tries int) {
	n := w.nodes[at%len(w.nodes)]
	answered := w.asked(c)
	done := false
	again := func() {
		if done {
			return
		}
		done = true
		if tries > 0 && w.now < acted {
			w.change(c, at+1+w.random.IntN(2), tries-1)
		}
	}
	w.after(time.Duration(20+w.random.IntN(2500))*ms, again)
	if n.dead || n.left {
		w.after(ms, again)
		return
	}
	n.later(0, func() {
		n.change(c, func(ok bool) {
			if !ok {
				w.after(ms, again)
				return
			}
			done = true
			answered()
			w.tell("node %d answered: %s", n.index, c)
			w.probe(c)
		})
	})
}

// asked notes what a request may end and begin; the answer settles it.
func (w *world) asked(c wish) (answered func()) {
	at := span{From: w.now, To: history.Open}
	r := &w.record
	ends, begins, decides := len(r.Ends), len(r.Begins), len(w.decides)
	end := func(key string) { r.Ends = append(r.Ends, history.End{Key: key, What: c.kind.String(), At: at}) }
	begin := func(key string) { r.Begins = append(r.Begins, history.Begin{Key: key, At: at}) }
	switch c.kind {
	case Off:
		end(personKeys[c.who])
	case On:
		begin(personKeys[c.who])
	case EndSession:
		end(sessionKey(c.session))
	case Switch:
		end(turnKey(c.session))
		begin(turnKey(c.session))
	case Host:
		end(everybody[0])
		begin(everybody[0])
	case ClientOff:
		end(everybody[1])
	case ClientOn:
		begin(everybody[1])
	case Decide, Until, Policy:
		w.decides = append(w.decides, decided{c, at})
	}
	endsTo, beginsTo, decidesTo := len(r.Ends), len(r.Begins), len(w.decides)
	return func() {
		for i := ends; i < endsTo; i++ {
			r.Ends[i].At.To, r.Ends[i].Acked = w.now, true
		}
		for i := begins; i < beginsTo; i++ {
			r.Begins[i].At.To = w.now
		}
		for i := decides; i < decidesTo; i++ {
			w.decides[i].at.To = w.now
		}
	}
}

// probe shows to every node what a change has ended, at once and a little later: whoever still
// accepts it is found out.
func (w *world) probe(c wish) {
	later := 300 * ms
	if c.kind == Until {
		later = c.lasts() + Bound + ms
	}
	for _, d := range []time.Duration{0, later} {
		w.after(d+time.Microsecond, func() {
			for _, x := range w.creds[max(0, len(w.creds)-4):] {
				if c.locks() == everything || x.who == c.who {
					w.everywhere(x)
				}
			}
		})
	}
}

func (w *world) everywhere(c *cred) {
	for _, n := range w.nodes {
		if !n.dead && (!n.left || w.fault == LeaveBelieving) {
			w.use(n, c)
		}
	}
}
