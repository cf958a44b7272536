package bridge

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"slices"
	"strconv"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/planted"
	"github.com/drawbridge-id/drawbridge/internal/session"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/patch"
	"github.com/drawbridge-id/drawbridge/scim/schema"
	"github.com/drawbridge-id/drawbridge/scim/traffic"
)

// users is one connection's people as SCIM sees them.
type users struct {
	b    *Bridge
	conn access.ConnectionID
	rt   *schema.ResourceType

	change changer
}

// NewID makes the id of a person that is not there yet.
func (u users) NewID() string { return credential.NewIDAt("per", u.b.now()) }

func (u users) Create(ctx context.Context, in scim.Input) (scim.Resource, error) {
	if in.ID == "" {
		in.ID = u.NewID()
	}
	if err := u.rt.Created(in.Doc); err != nil {
		return scim.Resource{}, edge(err)
	}
	if !in.HasActive {
		in.Doc["active"] = true
	}
	fresh := store.Person{ID: access.PersonID(in.ID), Connection: u.conn, Epoch: 1, Version: 1}
	fill(&fresh, in.Doc)
	var p store.Person
	var did *change
	err := noted(u.change, &did)(ctx, u.conn, event.ByScim, func(c *change) error {
		p = fresh // fn may run again
		p.Created, p.Updated, p.Policy = c.now, c.now, c.policy.version
		certified, err := c.awaited(&p)
		if err != nil {
			return err
		}
		if err := c.dir.InsertPerson(&p); err != nil {
			return err
		}
		c.say(event.PersonProvisioned, p.ID, provisionedAs(p, in.Doc))
		if certified {
			c.sayCertified(p.ID, p.Asserted)
		}
		return c.decideNew(p)
	})
	if err != nil {
		return scim.Resource{}, edge(err)
	}
	r := userResource(p, none(in.Want))
	r.Effect = did.effectOnPerson()
	return r, nil
}

// provisionedAs is what the record says of somebody who was sent: which attributes, and
// that they are switched off from the beginning.
func provisionedAs(p store.Person, doc schema.Object) map[string]string {
	data := map[string]string{"attributes": attributeNames(slices.Collect(maps.Keys(doc))), "version": strconv.FormatInt(p.Version, 10)}
	if !p.Active {
		data["active"] = "false"
	}
	return data
}

// none is the relations of somebody who has none yet, if they are wanted.
func none(w scim.Want) iter.Seq2[scim.Relation, error] {
	if !w.Relations {
		return nil
	}
	return func(func(scim.Relation, error) bool) {}
}

func (u users) Get(ctx context.Context, id string, w scim.Want) (scim.Resource, error) {
	var r scim.Resource
	err := u.b.read(ctx, u.conn, func(dir *store.Directory) error {
		if !w.Relations {
			p, err := dir.Ending().Person(access.PersonID(id))
			r = userResource(p, nil)
			return err
		}
		p, groups, err := dir.PersonWithGroups(access.PersonID(id))
		r = userResource(p, related(groups))
		return err
	})
	if err != nil {
		return scim.Resource{}, edgeID(err, id)
	}
	return r, nil
}

func (u users) List(ctx context.Context, q scim.Query) (scim.Page, error) {
	return page(ctx, u.b, u.conn, q, lister[store.Person]{numbered: (*store.Directory).People, walk: (*store.Directory).WalkPeople,
		resources: func(dir *store.Directory, people []store.Person) ([]scim.Resource, error) {
			return readUsers(dir, people, q.Want)
		},
		later: func(p store.Person) (string, bool) { return string(p.ID), p.Doc == nil },
		get:   func(ctx context.Context, id string) (scim.Resource, error) { return u.Get(ctx, id, q.Want) }})
}

func (u users) Replace(ctx context.Context, id string, m scim.Match, in scim.Input) (scim.Resource, error) {
	return u.update(ctx, id, m, in.Want, verbPut, func(was store.Person) (schema.Object, error) {
		doc, err := replaced(u.rt, was.Doc, in.Doc)
		if err != nil {
			return nil, err
		}
		if !in.HasActive {
			doc["active"] = was.Active
		}
		return doc, nil
	})
}

func (u users) Patch(ctx context.Context, id string, m scim.Match, plan patch.Plan, w scim.Want) (scim.Resource, error) {
	var notes schema.Notes
	r, err := u.update(ctx, id, m, w, verbPatch, func(was store.Person) (schema.Object, error) {
		doc, err := stored(was.Doc)
		if err != nil {
			return nil, err
		}
		notes = nil // the transaction may run again
		return plan.ApplyNoting(doc, &notes)
	})
	r.Notes = notes
	return r, err
}

// update is every write to an existing person: what the document says afterwards
// decides, not the verb that brought it.
func (u users) update(ctx context.Context, id string, m scim.Match, w scim.Want, verb string, edit func(store.Person) (schema.Object, error)) (scim.Resource, error) {
	var r scim.Resource
	var did *change
	err := noted(u.change, &did)(ctx, u.conn, event.ByScim, func(c *change) error {
		was, err := c.personToChange(id, m)
		if err != nil {
			return err
		}
		doc, err := edit(was)
		if err != nil {
			return err
		}
		p, err := c.updatePerson(was, doc, verb)
		if err != nil {
			return err
		}
		r, err = readUser(&c.dir.Directory, p, w)
		return err
	})
	if err != nil {
		return scim.Resource{}, edgeID(err, id)
	}
	r.Effect = did.effectOnPerson()
	return r, nil
}

// personToChange reads the person that a request writes to; If-Match is held here.
func (c *change) personToChange(id string, m scim.Match) (store.Person, error) {
	c.tx.About(access.PersonID(id))
	p, err := c.dir.Person(access.PersonID(id))
	if err == nil && !m.Allows(p.Version) {
		err = scim.PreconditionFailed(p.Version)
	}
	return p, err
}

// updatePerson writes what changed and follows it: a change of active, or of the
// claim that links the sign-in, kills every credential of the person in this
// transaction; what rules look at is decided anew.
func (c *change) updatePerson(was store.Person, doc schema.Object, verb string) (store.Person, error) {
	p := was
	fill(&p, doc)
	if bytes.Equal(p.Doc, was.Doc) {
		return was, nil
	}
	if err := c.settleFirst([]store.PersonKey{was.Key}); err != nil {
		return was, err
	}
	p.Version++
	p.Updated = c.now
	said, err := changedFrom(was, p, doc, verb)
	if err != nil {
		return p, err
	}
	end, err := c.watch(was, &p, said)
	if err != nil {
		return p, err
	}
	if planted.Bug(planted.PutKeepsSessions) && verb == verbPut {
		p.Epoch, end = was.Epoch, ""
	}
	if planted.Bug(planted.DeleteOnlyRevocation) && !p.Active {
		p.Epoch = was.Epoch
	}
	if planted.Bug(planted.EpochResetOnReturn) && p.Active && !was.Active {
		p.Epoch = was.Epoch
	}
	certified := false
	if p.UserName != was.UserName || p.Email != was.Email {
		if certified, err = c.awaited(&p); err != nil {
			return p, err
		}
	}
	if err := c.dir.UpdatePerson(p); err != nil {
		return p, err
	}
	if certified {
		c.sayCertified(p.ID, p.Asserted)
	}
	if end != "" {
		if err := c.endSessions(p, end); err != nil {
			return p, err
		}
	}
	if p.Active == was.Active && p.Claimed == was.Claimed && !certified {
		same, err := c.looksSame(was, doc)
		if same || err != nil {
			return p, err
		}
	}
	return p, c.decide(p)
}

// looksSame says whether rules see no difference between a person as stored and a new
// document. Where no rule looks at attributes, none is read.
func (c *change) looksSame(was store.Person, doc schema.Object) (bool, error) {
	look := c.policy.Attributes(c.conn)
	if len(look) == 0 {
		return true, nil
	}
	before, err := stored(was.Doc)
	return err == nil && mapping.SameLook(look, before, doc), err
}

// watch raises the person's epoch where the change demands it, says what happened,
// and names the reason for which live sessions end ("" if they go on).
func (c *change) watch(was store.Person, p *store.Person, said event.Event) (end string, err error) {
	said.Type = event.PersonChanged
	switch {
	case was.Active && !p.Active:
		p.Epoch++
		said.Type = event.PersonDeactivated
		end = session.EndDeactivated
	case !was.Active && p.Active:
		p.Epoch++ // and so nothing older is revived
		said.Type = event.PersonReactivated
	}
	said.Actor, said.At, said.Connection, said.Person = c.by, c.now, c.conn, p.ID
	c.events = append(c.events, said)
	if was.ExternalID == p.ExternalID {
		return end, nil
	}
	_, subject, pinned, err := c.dir.SubjectOf(was)
	if err != nil || !pinned || subject == p.ExternalID {
		return end, err
	}
	p.Epoch++
	c.say(event.SubjectChanged, p.ID, nil)
	if end == "" {
		end = session.EndSubject
	}
	return end, nil
}

func (u users) Delete(ctx context.Context, id string, m scim.Match) (*traffic.Effect, error) {
	var did *change
	err := noted(u.change, &did)(ctx, u.conn, event.ByScim, func(c *change) error {
		p, err := c.personToChange(id, m)
		if err != nil {
			return err
		}
		return c.deletePerson(p)
	})
	if err != nil {
		return nil, edgeID(err, id)
	}
	return did.effectOnPerson(), nil
}

// deletePerson leaves a tombstone: the id is never used again, and whoever is
// provisioned under the same names later is somebody else.
func (c *change) deletePerson(p store.Person) error {
	held, err := c.dir.Stored(p)
	if err != nil {
		return err
	}
	if err := c.endSessions(p, session.EndDeleted); err != nil {
		return err
	}
	by, err := c.dir.Decided(p)
	if err != nil {
		return err
	}
	p.Active = false // and with that nothing that people decided counts
	if _, err := c.endPermits(p, by); err != nil {
		return err
	}
	c.tell(p.ID, mapping.Plan{Drop: held})
	c.say(event.PersonDeleted, p.ID, nil)
	return c.dir.DeletePerson(p, c.now)
}

// stored reads a document that this bridge wrote. A damaged one is our fault, not
// the client's: what is wrong with it must not be answered as a bad request.
func stored(doc []byte) (schema.Object, error) {
	o, err := schema.Stored(doc)
	if err != nil {
		return nil, fault.New(fault.Internal, "bridge.stored", "a stored document cannot be read: %v", err)
	}
	return o, nil
}

// replaced is what a PUT of doc leaves where was is stored; doc stays as it is.
func replaced(rt *schema.ResourceType, was []byte, doc schema.Object) (schema.Object, error) {
	if !rt.Outlasts(was) {
		return doc.Clone(), nil
	}
	before, err := stored(was)
	if err != nil {
		return nil, err
	}
	return rt.Replaced(before, doc)
}

// fill copies out of the document what the bridge itself looks at.
func fill(p *store.Person, doc schema.Object) {
	p.UserName = doc.Text("userName")
	p.ExternalID = doc.Text("externalId")
	p.DisplayName = doc.FormattedName()
	p.Email = doc.Email()
	p.Active, _ = doc.Bool("active")
	doc["active"] = p.Active // taken away is inactive, and is shown as that
	p.Claimed.Level = doc.Text(schema.FleetURN, "technicianCertification")
	p.Claimed.Until, _ = doc.Time(schema.FleetURN, "certificationExpires")
	p.Doc = doc.Encode()
}

func readUser(dir *store.Directory, p store.Person, w scim.Want) (scim.Resource, error) {
	if !w.Relations {
		return userResource(p, nil), nil
	}
	groups, err := dir.GroupNames(p)
	return userResource(p, related(groups)), err
}

// readUsers is readUser for a page of people, whose groups are read together.
func readUsers(dir *store.Directory, people []store.Person, w scim.Want) ([]scim.Resource, error) {
	all := make([]scim.Resource, len(people))
	if len(people) == 1 || !w.Relations {
		var err error
		for i, p := range people {
			if all[i], err = readUser(dir, p, w); err != nil {
				return nil, err
			}
		}
		return all, nil
	}
	keys := make([]store.PersonKey, len(people))
	for i, p := range people {
		keys[i] = p.Key
	}
	groups, err := dir.GroupNamesOf(keys)
	for i, p := range people {
		all[i] = userResource(p, related(groups[p.Key]))
	}
	return all, err
}

func related(groups []store.GroupName) iter.Seq2[scim.Relation, error] {
	return func(yield func(scim.Relation, error) bool) {
		for _, g := range groups {
			if !yield(scim.Relation{ID: string(g.ID), Display: g.DisplayName}, nil) {
				return
			}
		}
	}
}

func userResource(p store.Person, groups iter.Seq2[scim.Relation, error]) scim.Resource {
	return scim.Resource{ID: string(p.ID), Version: p.Version, Created: p.Created, LastModified: p.Updated, Doc: p.Doc, Relations: groups}
}
