package drive

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/drawbridge-id/drawbridge/internal/idp"
)

// How much one bulk request holds at most, whatever the server would take: it is
// sent again whole when its answer is lost.
const (
	bulkPeople     = 500
	bulkPatches    = 10       // a thousand members: a server with one writer keeps the others waiting
	bytesPerPerson = 2 << 10  // more than any made-up person takes
	bytesPerPatch  = 24 << 10 // more than PerPatch members take, by ids of up to 128 bytes
)

// The messages of RFC 7644 section 3.7.
type (
	bulkRequest struct {
		Schemas    []string   `json:"schemas"`
		Operations []bulkWish `json:"Operations"`
	}
	bulkWish struct {
		Method string `json:"method"`
		Path   string `json:"path"`
		BulkID string `json:"bulkId"`
		Data   any    `json:"data"`
	}
	bulkAnswer struct {
		Operations []bulkDone `json:"Operations"`
	}
	bulkDone struct {
		BulkID   string `json:"bulkId"`
		Location string `json:"location"`
		Status   string `json:"status"`
	}
)

// bulkOffer is what ServiceProviderConfig says of bulk (RFC 7643 section 5).
type bulkOffer struct {
	Supported      bool `json:"supported"`
	MaxOperations  int  `json:"maxOperations"`
	MaxPayloadSize int  `json:"maxPayloadSize"` // bytes
}

// perRequest is how many operations of that many bytes one request may hold.
func (o bulkOffer) perRequest(bytes, most int) int {
	const envelope = 1 << 10
	return max(1, min(most, o.MaxOperations, (o.MaxPayloadSize-envelope)/bytes))
}

// inBulk is an initial cycle by bulk requests: the vendor's documents in another
// envelope. Who is there already is refused as a conflict, and then looked up alone.
type inBulk struct {
	*Drive
	bodies idp.Bodies
	offer  bulkOffer
}

func (d *Drive) initialInBulk(ctx context.Context, cancel context.CancelCauseFunc) error {
	var config struct{ Bulk bulkOffer }
	if err := d.send.Send(ctx, "GET", "/ServiceProviderConfig", nil, &config); err != nil {
		return fmt.Errorf("%w: %w", ErrNoBulk, err)
	}
	if !config.Bulk.Supported || config.Bulk.MaxOperations < 1 {
		return ErrNoBulk
	}
	_, flag := d.opts.target()
	b := inBulk{Drive: d, bodies: idp.OktaBodies(idp.Fleet{}), offer: config.Bulk}
	if d.opts.Vendor == VendorEntra {
		b.bodies = idp.EntraBodies(flag, idp.Fleet{})
	}
	b.people(ctx, cancel)
	b.memberships(ctx, cancel, b.groups(ctx, cancel))
	return nil
}

// people sends everybody. Each request is one piece of work: what it did not make
// is looked up and sent alone.
func (b inBulk) people(ctx context.Context, cancel context.CancelCauseFunc) {
	size, all := b.offer.perRequest(bytesPerPerson, bulkPeople), b.opts.People
	b.each(ctx, cancel, "people", (all+size-1)/size, int64(all), func(ctx context.Context, i int) (int64, error) {
		first, last := i*size, min(all, (i+1)*size)
		wishes := make([]bulkWish, 0, last-first)
		for n := first; n < last; n++ {
			wishes = append(wishes, bulkWish{Method: "POST", Path: "/Users", Data: b.bodies.NewPerson(b.dir.person(n, b.opts.Round))})
		}
		done, err := b.sendBulk(ctx, wishes)
		if err != nil {
			return 0, err
		}
		for at, n := 0, first; n < last; at, n = at+1, n+1 {
			b.person(ctx, cancel, n, done[at])
		}
		return int64(last - first), nil
	})
}

func (b inBulk) person(ctx context.Context, cancel context.CancelCauseFunc, n int, done bulkDone) {
	if id := idOf(done.Location); done.Status == "201" && id != "" {
		b.ids[n] = id
		b.note(func(r *Report) { r.People.Created++ })
		return
	}
	_, err := b.insist(ctx, n, func(ctx context.Context, n int) (int64, error) { return 1, b.pushPerson(ctx, n) })
	b.count(ctx, cancel, err)
}

// groups finds or makes every group, one by one: there are few, and a name need not
// be unique everywhere. It returns their ids.
func (b inBulk) groups(ctx context.Context, cancel context.CancelCauseFunc) []string {
	ids := make([]string, b.opts.Groups)
	b.each(ctx, cancel, "groups", b.opts.Groups, int64(b.opts.Groups), func(ctx context.Context, g int) (int64, error) {
		group := b.dir.group(g)
		found, err := b.findGroup(ctx, group.Name)
		did := idp.Unchanged
		if err == nil && found.ID == "" {
			did = idp.Created
			err = b.send.Send(ctx, "POST", "/Groups", b.bodies.NewGroup(group), &found)
		}
		if err == nil && found.ID == "" {
			err = errors.New("the answer to POST /Groups has no id")
		}
		if err != nil {
			return 1, err
		}
		ids[g] = found.ID
		b.note(func(r *Report) { r.Groups.add(did) })
		return 1, nil
	})
	return ids
}

// joining is one PATCH of a group that is known.
type joining struct {
	group       string // its id
	first, last int    // in the group's window
	of          int    // the group's number
}

// memberships sends every group's members: PATCHes of the vendor's size, several to
// a request.
func (b inBulk) memberships(ctx context.Context, cancel context.CancelCauseFunc, groups []string) {
	var all []joining
	var total int64
	for g, id := range groups {
		if id == "" {
			continue // it failed, and is counted
		}
		count := b.dir.membersOf(g, b.opts.Round).count
		total += int64(count)
		for first := 0; first < count; first += idp.PerPatch {
			all = append(all, joining{group: id, first: first, last: min(count, first+idp.PerPatch), of: g})
		}
	}
	size := b.offer.perRequest(bytesPerPatch, bulkPatches)
	b.each(ctx, cancel, "memberships", (len(all)+size-1)/size, total, func(ctx context.Context, i int) (int64, error) {
		return b.join(ctx, cancel, all[i*size:min(len(all), (i+1)*size)])
	})
}

func (b inBulk) join(ctx context.Context, cancel context.CancelCauseFunc, part []joining) (sent int64, err error) {
	wishes, sizes := make([]bulkWish, 0, len(part)), make([]int64, 0, len(part))
	for _, j := range part {
		w := b.dir.membersOf(j.of, b.opts.Round)
		members := b.known(window{first: w.first + j.first, count: j.last - j.first, people: w.people})
		wishes = append(wishes, bulkWish{Method: "PATCH", Path: "/Groups/" + url.PathEscape(j.group), Data: b.bodies.Joining(members)})
		sizes = append(sizes, int64(len(members)))
	}
	done, err := b.sendBulk(ctx, wishes)
	if err != nil {
		return 0, err
	}
	for at, d := range done {
		if !strings.HasPrefix(d.Status, "2") {
			_, err := b.insist(ctx, at, func(ctx context.Context, at int) (int64, error) {
				return 1, b.send.Send(ctx, wishes[at].Method, wishes[at].Path, wishes[at].Data, nil)
			})
			if b.count(ctx, cancel, err); err != nil {
				continue
			}
		}
		sent += sizes[at]
	}
	b.Drive.memberships.Add(sent)
	return sent, nil
}

// sendBulk gives what became of each wish, in their order; the zero value for one
// that was not answered.
func (b inBulk) sendBulk(ctx context.Context, wishes []bulkWish) ([]bulkDone, error) {
	for at := range wishes {
		wishes[at].BulkID = strconv.Itoa(at)
	}
	var answer bulkAnswer
	err := b.send.Send(ctx, "POST", "/Bulk", bulkRequest{Schemas: []string{"urn:ietf:params:scim:api:messages:2.0:BulkRequest"}, Operations: wishes}, &answer)
	if err != nil {
		return nil, err
	}
	out := make([]bulkDone, len(wishes))
	for at, done := range answer.Operations {
		n := at // only a POST must be answered with its bulkId
		if done.BulkID != "" {
			if n, err = strconv.Atoi(done.BulkID); err != nil {
				continue
			}
		}
		if n >= 0 && n < len(out) {
			out[n] = done
		}
	}
	return out, nil
}

// idOf is the id at the end of a location, "" if it cannot be read.
func idOf(location string) string {
	id, err := url.PathUnescape(location[strings.LastIndexByte(location, '/')+1:])
	if err != nil {
		return ""
	}
	return id
}
