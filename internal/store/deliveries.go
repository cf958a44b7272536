package store

import (
	"database/sql"
	"errors"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// Delivery is something that one receiver must be told, at least once.
type Delivery struct {
	ID       int64     // its place among all; rises, and is never used again
	Receiver string    // "logout:<client>", "stream:<id>" or "webhook:<name>"
	Kind     string    // who sends it
	JTI      string    // what the receiver knows it by: the same at every attempt
	Event    int64     // the outbox row that it tells of
	Body     []byte    // JSON: what it says; signed only when it is sent
	At       time.Time // when that happened
	Attempts int       // how often it was tried in vain
}

// Receiver is whom deliveries are for, and how it has gone.
type Receiver struct {
	Name      string
	Kind      string // of the last delivery that was put
	Paused    bool   // nothing is sent, and deliveries wait
	Pending   int64
	Failures  int64     // attempts in vain since the last one that arrived
	Next      time.Time // no attempt before; zero: at once
	Sent      int64
	Failed    int64 // attempts in vain, ever
	Refused   int64 // deliveries that the receiver will not have
	Abandoned int64 // deliveries that were given up for another reason
	LastOK    time.Time
	LastError time.Time
	Error     string    // what the last attempt in vain came to
	Oldest    time.Time // when what waits longest happened; zero: nothing waits
}

// RelayMark is how far the outbox has been read by the relay.
func (v *View) RelayMark() (mark int64, err error) {
	err = v.q.QueryRow(`select mark from relay`).Scan(&mark)
	return mark, v.failed(err, "store.RelayMark")
}

// MoveRelayMark notes that the outbox has been read up to an id. fault.Stale if
// somebody else has moved it from where the reader began.
func (tx *Tx) MoveRelayMark(from, to int64) error {
	const op = "store.MoveRelayMark"
	n, err := tx.exec(op, `update relay set mark = $2 where mark = $1`, from, to)
	if err == nil && n == 0 {
		return fault.New(fault.Stale, op, "the outbox has been read beyond %d by another", from)
	}
	return err
}

// PutDeliveries appends deliveries to their receivers' queues, in their order. One
// that is there already, by receiver and JTI, stays as it is.
func (tx *Tx) PutDeliveries(deliveries []Delivery) error {
	const op = "store.PutDeliveries"
	added, kinds := map[string]int64{}, map[string]string{}
	var order []string
	for _, d := range deliveries {
		n, err := tx.exec(op, `insert into deliveries (receiver, kind, jti, event, body, at) values ($1, $2, $3, $4, $5, $6) on conflict do nothing`,
			d.Receiver, d.Kind, d.JTI, d.Event, string(d.Body), ms(d.At))
		if err != nil {
			return err
		}
		if _, known := kinds[d.Receiver]; !known {
			order = append(order, d.Receiver)
		}
		added[d.Receiver], kinds[d.Receiver] = added[d.Receiver]+n, d.Kind
	}
	for _, receiver := range order {
		_, err := tx.exec(op, `insert into receivers (receiver, kind, pending) values ($1, $2, $3)
			on conflict (receiver) do update set kind = $2, pending = receivers.pending + $3`, receiver, kinds[receiver], added[receiver])
		if err != nil {
			return err
		}
	}
	return nil
}

// Deliveries lists what waits for a receiver behind an id, in order.
func (v *View) Deliveries(receiver string, after int64, limit int) ([]Delivery, error) {
	return list(v, "store.Deliveries", func(r Row) (Delivery, error) {
		d := Delivery{Receiver: receiver}
		var body string
		var when int64
		err := r.Scan(&d.ID, &d.Kind, &d.JTI, &d.Event, &body, &when, &d.Attempts)
		d.Body, d.At = []byte(body), at(when)
		return d, err
	}, `select id, kind, jti, event, body, at, attempts from deliveries where receiver = $1 and id > $2 order by id limit $3`, receiver, after, limit)
}

// How a delivery leaves its receiver's queue.
type leaving struct{ column, set string }

var (
	arrived   = leaving{"sent", `, failures = 0, next_at = 0, last_ok_at = $3`}
	refusedBy = leaving{"refused", `, failures = 0, next_at = 0, last_error_at = $3`}
	givenUp   = leaving{"abandoned", ``}
)

// Delivered takes deliveries that have arrived out of a receiver's queue, and says
// how many of them were in it.
func (tx *Tx) Delivered(receiver string, jtis []string, now time.Time) (n int64, err error) {
	return tx.leave("store.Delivered", receiver, jtis, arrived, now)
}

// DeliveryRefused takes deliveries out of the queue that the receiver answered it will
// never take, and notes why. They have arrived, so the next may be sent at once.
func (tx *Tx) DeliveryRefused(receiver string, jtis []string, why string, now time.Time) (n int64, err error) {
	const op = "store.DeliveryRefused"
	if n, err = tx.leave(op, receiver, jtis, refusedBy, now); err != nil {
		return n, err
	}
	_, err = tx.exec(op, `update receivers set last_error = $2 where receiver = $1`, receiver, why)
	return n, err
}

func (tx *Tx) leave(op, receiver string, jtis []string, l leaving, now time.Time) (n int64, err error) {
	n, err = tx.exec(op, `delete from deliveries where receiver = $1 and jti in (`+tx.engine.Dialect().Texts("$2")+`)`, receiver, jsonList(jtis))
	if err != nil {
		return 0, err
	}
	return n, tx.left(op, receiver, n, l, now)
}

// left counts what has been taken out of a queue.
func (tx *Tx) left(op, receiver string, n int64, l leaving, now time.Time) error {
	args := []any{receiver, n}
	if l.set != "" {
		args = append(args, ms(now))
	}
	_, err := tx.exec(op, `update receivers set pending = pending - $2, `+l.column+` = `+l.column+` + $2`+l.set+` where receiver = $1`, args...)
	return err
}

// DeliveryFailed notes an attempt in vain at a delivery, and when the next may be made.
func (tx *Tx) DeliveryFailed(receiver, jti, why string, next, now time.Time) error {
	const op = "store.DeliveryFailed"
	if _, err := tx.exec(op, `update deliveries set attempts = attempts + 1 where receiver = $1 and jti = $2`, receiver, jti); err != nil {
		return err
	}
	_, err := tx.exec(op, `update receivers set failures = failures + 1, failed = failed + 1, next_at = $2, last_error_at = $3, last_error = $4 where receiver = $1`,
		receiver, ms(next), ms(now), why)
	return err
}

// abandonedAtOnce is how many deliveries one call gives up: some milliseconds.
const abandonedAtOnce = 1000

// Abandon gives up the oldest of a receiver's deliveries: those from before an
// instant, and beyond the newest keep; at most 1,000 of them, so call it until it
// returns 0. oldest is when the first of them happened.
func (tx *Tx) Abandon(receiver string, before time.Time, keep int64) (n int64, oldest time.Time, err error) {
	const op = "store.Abandon"
	var pending, last, first int64
	err = tx.q.QueryRow(`select pending from receivers where receiver = $1`, receiver).Scan(&pending)
	if err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		return 0, time.Time{}, tx.failed(err, op)
	}
	atOnce := int64(abandonedAtOnce)
	over := min(max(pending-keep, 0), atOnce)
	seen := int64(0)
	err = tx.each(op, func(r Row) error {
		var id, when int64
		if err := r.Scan(&id, &when); err != nil {
			return err
		}
		if seen++; seen > over && when >= ms(before) {
			return nil
		}
		if n++; n == 1 {
			first = when
		}
		last = id
		return nil
	}, `select id, at from deliveries where receiver = $1 order by id limit $2`, receiver, atOnce)
	if err != nil || n == 0 {
		return 0, time.Time{}, err
	}
	n, err = tx.exec(op, `delete from deliveries where receiver = $1 and id <= $2`, receiver, last)
	if err != nil {
		return 0, time.Time{}, err
	}
	return n, at(first), tx.left(op, receiver, n, givenUp, time.Time{})
}

// DropReceiver removes a receiver that is no more, with what waited for it: how many
// deliveries those were.
func (tx *Tx) DropReceiver(receiver string) (n int64, err error) {
	const op = "store.DropReceiver"
	if n, err = tx.exec(op, `delete from deliveries where receiver = $1`, receiver); err != nil {
		return 0, err
	}
	_, err = tx.exec(op, `delete from receivers where receiver = $1`, receiver)
	return n, err
}

// PauseReceiver lets deliveries wait, or be sent again at once. A receiver that
// nothing was put for is added: what will be put waits.
func (tx *Tx) PauseReceiver(receiver, kind string, paused bool) error {
	_, err := tx.exec("store.PauseReceiver", `insert into receivers (receiver, kind, paused) values ($1, $2, $3)
		on conflict (receiver) do update set paused = $3, failures = 0, next_at = 0`, receiver, kind, paused)
	return err
}

// RetryReceiver lets the next attempt be made at once; fault.NotFound if there is no
// such receiver.
func (tx *Tx) RetryReceiver(receiver string) error {
	const op = "store.RetryReceiver"
	n, err := tx.exec(op, `update receivers set next_at = 0 where receiver = $1`, receiver)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, op, "there is no receiver %q", receiver)
	}
	return err
}

const receiverColumns = `r.receiver, r.kind, r.paused, r.pending, r.failures, r.next_at, r.sent, r.failed, r.refused, r.abandoned, r.last_ok_at, r.last_error_at, r.last_error,
	coalesce((select d.at from deliveries d where d.receiver = r.receiver order by d.id limit 1), 0) from receivers r`

func scanReceiver(r Row) (Receiver, error) {
	var c Receiver
	var next, ok, failed, oldest int64
	err := r.Scan(&c.Name, &c.Kind, &c.Paused, &c.Pending, &c.Failures, &next, &c.Sent, &c.Failed, &c.Refused, &c.Abandoned, &ok, &failed, &c.Error, &oldest)
	c.Next, c.LastOK, c.LastError, c.Oldest = at(next), at(ok), at(failed), at(oldest)
	return c, err
}

// Receivers lists all, by name: as many as there are applications, streams and webhooks.
func (v *View) Receivers() ([]Receiver, error) {
	return list(v, "store.Receivers", scanReceiver, `select `+receiverColumns+` order by r.receiver`)
}

// Receiver finds one by name.
func (v *View) Receiver(name string) (Receiver, error) {
	c, err := scanReceiver(v.q.QueryRow(`select `+receiverColumns+` where r.receiver = $1`, name))
	return c, v.found(err, "store.Receiver", "receiver")
}

// ready are receivers for whom something waits that may be sent now, and that no node has claimed.
func (v *View) ready() string {
	return `r.pending > 0 and not r.paused and r.next_at <= $1 and r.claimed_until <= ` + v.engine.Dialect().Now
}

// ReadyReceivers lists receivers for whom something waits that may be sent now, and that no
// node has claimed, whose turn came first first.
func (v *View) ReadyReceivers(now time.Time, limit int) ([]Receiver, error) {
	return list(v, "store.ReadyReceivers", scanReceiver, `select `+receiverColumns+` where `+v.ready()+` order by r.next_at, r.receiver limit $2`, ms(now), limit)
}

// ClaimReceivers makes those of receivers that are ready this node's to send to, for life
// from now on, and gives them as they are now. One that another node is claiming is passed
// over.
func (tx *Tx) ClaimReceivers(node string, receivers []string, now time.Time, life time.Duration) ([]Receiver, error) {
	const op = "store.ClaimReceivers"
	d := tx.engine.Dialect()
	claimed, err := list(&tx.View, op, scanReceiver, `select `+receiverColumns+` where `+tx.ready()+` and r.receiver in (`+d.Texts("$2")+`) order by r.receiver`+tx.mine(d.Free, "r"),
		ms(now), jsonList(receivers))
	if err != nil || len(claimed) == 0 {
		return nil, err
	}
	names := make([]string, len(claimed))
	for i, r := range claimed {
		names[i] = r.Name
	}
	_, err = tx.exec(op, `update receivers set claimed_by = $2, claimed_until = `+d.Now+` + $3 where receiver in (`+d.Texts("$1")+`)`, jsonList(names), node, life.Milliseconds())
	return claimed, err
}

// ReleaseReceiver gives a claim back: false if it is another's now, or the receiver is no more.
func (tx *Tx) ReleaseReceiver(node, receiver string) (held bool, err error) {
	n, err := tx.exec("store.ReleaseReceiver", `update receivers set claimed_by = '', claimed_until = 0 where receiver = $1 and claimed_by = $2`, receiver, node)
	return n == 1, err
}
