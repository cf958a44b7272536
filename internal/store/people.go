package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/failpoint"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// personColumns end with the document, which lean leaves out.
const personColumns = personFields + `, p.doc`

// personSQL finds one of a connection.
const personSQL = `select ` + personColumns + ` from people p where p.conn = $1 and `

// personKeySQL is the key of one of a connection, by id.
const personKeySQL = `(select p.key from people p where p.conn = $1 and p.id = $2)`

const personFields = `p.key, p.id, p.user_name, p.external_id, p.display_name, p.email, p.active, p.epoch, p.version, p.policy,
	p.valid_until, p.claimed_level, p.claimed_until, p.asserted, p.asserted_level, p.asserted_until, p.decided, p.created_at, p.updated_at`

func scanPerson(r Row, more ...any) (Person, error) {
	var p Person
	var as struct { // one allocation for all that is read in another form
		external                                             sql.NullString
		validUntil, claimed, assertedUntil, created, updated int64
		asserted                                             bool
		level                                                string
	}
	err := r.Scan(append([]any{&p.Key, &p.ID, &p.UserName, &as.external, &p.DisplayName, &p.Email, &p.Active, &p.Epoch, &p.Version, &p.Policy,
		&as.validUntil, &p.Claimed.Level, &as.claimed, &as.asserted, &as.level, &as.assertedUntil, &p.Decided, &as.created, &as.updated, &p.Doc}, more...)...)
	if err != nil {
		return Person{}, err
	}
	p.ExternalID = as.external.String
	p.ValidUntil, p.Created, p.Updated, p.Claimed.Until = at(as.validUntil), at(as.created), at(as.updated), at(as.claimed)
	if as.asserted {
		p.Asserted = &access.Certification{Level: as.level, Until: at(as.assertedUntil)}
	}
	return p, nil
}

func (d *Directory) scanPerson(r Row) (Person, error) {
	p, err := scanPerson(r)
	if err != nil {
		return Person{}, err
	}
	return d.ownPerson(p), nil
}

// ownPerson says whose row it is that was read.
func (d *Directory) ownPerson(p Person) Person {
	p.Connection = d.row.ID
	if d.ids != nil {
		d.ids[p.Key] = p.ID
	}
	return p
}

func (d *Directory) onePerson(op, where string, args ...any) (Person, error) {
	p, err := d.scanPerson(d.v.q.QueryRow(personSQL+where, append([]any{d.conn}, args...)...))
	if err != nil {
		return Person{}, d.v.found(err, op, "person")
	}
	return p, nil
}

// Person finds a person by id.
func (d *Directory) Person(id access.PersonID) (Person, error) {
	return d.onePerson("store.Person", `p.id = $2`, string(id))
}

// PersonByUserName finds a person by userName, whatever its case.
func (d *Directory) PersonByUserName(name string) (Person, error) {
	return d.onePerson("store.PersonByUserName", `p.user_name_key = $2`, Fold(name))
}

// PersonBySubject finds the person whose sign-in is pinned to a subject.
func (d *Directory) PersonBySubject(issuer, subject string) (Person, error) {
	return d.onePerson("store.PersonBySubject",
		`p.key = (select s.person from subjects s where s.conn = $1 and s.issuer = $2 and s.subject = $3)`, issuer, subject)
}

// PeopleByExternalID lists who has that externalId, exactly; oldest first.
func (d *Directory) PeopleByExternalID(externalID string) ([]Person, error) {
	if externalID == "" {
		return nil, nil
	}
	return list(d.v, "store.PeopleByExternalID", d.scanPerson,
		`select `+personColumns+` from people p where p.conn = $1 and p.external_id = $2 order by p.key`, d.conn, externalID)
}

// DoubledExternalIDs lists identifiers that several active people carry.
func (d *Directory) DoubledExternalIDs(limit int) ([]string, error) {
	return list(d.v, "store.DoubledExternalIDs", func(r Row) (id string, err error) { return id, r.Scan(&id) },
		`select external_id from people where conn = $1 and external_id is not null and active group by external_id having count(*) > 1 order by external_id limit $2`,
		d.conn, limit)
}

// PeopleByKey lists the people behind keys, by key, without their documents, which
// no decision looks at; unknown keys are left out.
func (d *Directory) PeopleByKey(keys []PersonKey) ([]Person, error) {
	scan := func(r Row) (Person, error) { return d.scanPerson(lean{r, 0}) }
	switch len(keys) {
	case 0:
		return nil, nil
	case 1:
		return list(d.v, "store.PeopleByKey", scan, `select `+personFields+`, null from people p where p.conn = $1 and p.key = $2`, d.conn, int64(keys[0]))
	}
	return list(d.v, "store.PeopleByKey", scan, `select `+personFields+`, null from people p where p.conn = $1 and p.key in (`+
		d.dialect().Keys("$2")+`) order by p.key`, d.conn, jsonList(keys))
}

// Keys finds the keys of ids; ids that name nobody here have none.
func (d *Directory) Keys(ids []access.PersonID) (map[access.PersonID]PersonKey, error) {
	found := make(map[access.PersonID]PersonKey, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	scan := func(r Row) error {
		var id access.PersonID
		var key PersonKey
		err := r.Scan(&id, &key)
		found[id] = key
		if d.ids != nil {
			d.ids[key] = id
		}
		return err
	}
	if len(ids) == 1 {
		return found, d.v.each("store.Keys", scan, `select id, key from people where conn = $1 and id = $2`, d.conn, string(ids[0]))
	}
	return found, d.v.each("store.Keys", scan, `select id, key from people where conn = $1 and id in (`+d.dialect().Texts("$2")+`)`, d.conn, jsonList(ids))
}

// IDs lists the ids behind keys, by key; unknown keys are left out.
func (d *Directory) IDs(keys []PersonKey) ([]access.PersonID, error) {
	if ids, all := d.met(keys); all {
		return ids, nil
	}
	scan := func(r Row) (id access.PersonID, err error) { return id, r.Scan(&id) }
	switch len(keys) {
	case 0:
		return nil, nil
	case 1:
		return list(d.v, "store.IDs", scan, `select id from people where conn = $1 and key = $2`, d.conn, int64(keys[0]))
	}
	return list(d.v, "store.IDs", scan, `select id from people where conn = $1 and key in (`+d.dialect().Keys("$2")+`) order by key`, d.conn, jsonList(keys))
}

// met is IDs of people who were all read in this transaction already.
func (d *Directory) met(keys []PersonKey) (ids []access.PersonID, all bool) {
	sorted := slices.Clone(keys)
	slices.Sort(sorted)
	for i, key := range sorted {
		id, known := d.ids[key]
		if !known {
			return nil, false
		}
		if i == 0 || key != sorted[i-1] {
			ids = append(ids, id)
		}
	}
	return ids, true
}

// SubjectOf is the subject that a person's sign-in is pinned to; ok is false if none is.
func (d *Directory) SubjectOf(p Person) (issuer, subject string, ok bool, err error) {
	err = d.v.q.QueryRow(`select issuer, subject from subjects where conn = $1 and person = $2`, d.conn, int64(p.Key)).Scan(&issuer, &subject)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", false, nil
	}
	return issuer, subject, err == nil, d.v.failed(err, "store.SubjectOf")
}

// Sessions lists a person's live sessions.
func (d *Directory) Sessions(p Person) ([]SessionRow, error) {
	return list(d.v, "store.Sessions", scanSession,
		`select `+sessionColumns+` where s.conn = $1 and s.person = $2 and s.state <> 0 order by s.created_at, s.id`+d.v.own("s"), d.conn, string(p.ID))
}

// Tombstones lists deleted people who had that externalId, or that subject;
// an empty argument matches nobody.
func (d *Directory) Tombstones(externalID, issuer, subject string) ([]Tombstone, error) {
	return list(d.v, "store.Tombstones", func(r Row) (Tombstone, error) {
		var t Tombstone
		var deleted int64
		err := r.Scan(&t.Person, &t.ExternalID, &t.Issuer, &t.Subject, &deleted)
		t.Deleted = at(deleted)
		return t, err
	}, `select id, external_id, issuer, subject, deleted_at from tombstones where conn = $1 and id in (
			select id from tombstones where conn = $1 and external_id = $2 and $2 <> '' union all
			select id from tombstones where conn = $1 and issuer = $3 and subject = $4 and $4 <> '') order by deleted_at, id`,
		d.conn, externalID, issuer, subject)
}

func (v *View) personState(ref personRef) (personState, error) {
	var p personState
	var validUntil int64
	err := v.q.QueryRow(`select p.active, p.epoch, p.policy, p.valid_until, `+fencedSQL+`
		from connections c join people p on p.conn = c.key where c.id = $1 and p.id = $2`, string(ref.connection), string(ref.person)).
		Scan(&p.active, &p.epoch, &p.policy, &validUntil, &p.fenced)
	if errors.Is(err, sql.ErrNoRows) {
		return personState{}, nil
	}
	p.exists, p.validUntil = true, at(validUntil)
	return p, err
}

// fencedSQL says whether p is in a group whose fence is younger than p's decision. As
// long as no fence lies anywhere, which is the rule, nobody's groups are looked at.
const fencedSQL = `(select exists (select 1 from groups f where f.fence > 0)) and exists (select 1 from memberships m join groups g on g.key = m.grp where m.person = p.key and g.fence > p.fence)`

// Fences is how many fences lie over the person: one for each change by which groups of
// theirs were fenced or dissolved after they were last decided, and one more for each time
// that happened again to a group before its fence was lifted.
func (d *Directory) Fences(p Person) (n int64, err error) {
	err = d.v.q.QueryRow(`select count(distinct g.fence) + coalesce(sum(g.refenced), 0) from people p
		join memberships m on m.person = p.key join groups g on g.key = m.grp and g.fence > p.fence
		where p.conn = $1 and p.key = $2`, d.conn, int64(p.Key)).Scan(&n)
	return n, d.v.failed(err, "store.Fences")
}

func jsonList[T any](values []T) string {
	b, err := json.Marshal(values)
	if err != nil || len(values) == 0 {
		return "[]" // nil would be null; integers and strings always marshal
	}
	return string(b)
}

func (d *Directory) dialect() Dialect { return d.v.engine.Dialect() }

// InsertPerson adds a person, decided as Policy and ValidUntil say, and sets its
// Key. fault.Conflict with the reason "user_name" if another person of the
// connection has that name, in any case.
func (d *DirectoryTx) InsertPerson(p *Person) error {
	const op = "store.InsertPerson"
	asserted, level, until := assertedColumns(p.Asserted)
	key, err := d.v.q.Insert(`insert into people (conn, id, user_name, user_name_key, external_id, display_name, email, email_key, active, epoch,
		version, policy, fence, valid_until, claimed_level, claimed_until, asserted, asserted_level, asserted_until, created_at, updated_at, doc, emails_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $11)`,
		d.conn, string(p.ID), p.UserName, Fold(p.UserName), nullable(p.ExternalID), p.DisplayName, p.Email, nullable(Fold(p.Email)), p.Active, p.Epoch,
		p.Version, p.Policy, d.fence, ms(p.ValidUntil), p.Claimed.Level, ms(p.Claimed.Until), asserted, level, until, ms(p.Created), ms(p.Updated), string(p.Doc))
	if err != nil {
		return d.taken(err, op, "user_name_key", "user_name", "a user with this userName exists already: find it by the filter userName eq, and change it by its id")
	}
	p.Key, p.Connection = PersonKey(key), d.row.ID
	d.ids[p.Key] = p.ID
	d.tx.isNew(d.touchPerson(p.ID))
	if err := d.putEmails(op, *p); err != nil {
		return err
	}
	return d.tx.tally(op, 1, `update connections set people = people + $1 where key = $2`, d.conn)
}

func assertedColumns(c *access.Certification) (asserted bool, level string, until int64) {
	if c == nil {
		return false, "", 0
	}
	return true, c.Level, ms(c.Until)
}

// taken turns the refusal of one unique index into the conflict it means.
func (d *Directory) taken(err error, op, column, reason, detail string) error {
	err = d.v.failed(err, op)
	if fault.Is(err, fault.Conflict) && fault.ReasonOf(err) == column {
		return &fault.Error{Kind: fault.Conflict, Op: op, Reason: reason, Detail: detail, Err: err}
	}
	return err
}

// UpdatePerson stores every field but Key, ID, Connection, Created, Policy and
// ValidUntil, which SetDecided owns.
func (d *DirectoryTx) UpdatePerson(p Person) error {
	const op = "store.UpdatePerson"
	asserted, level, until := assertedColumns(p.Asserted)
	n, err := d.v.q.Exec(`update people set user_name = $1, user_name_key = $2, external_id = $3, display_name = $4, email = $5, email_key = $6,
		active = $7, epoch = $8, version = $9, claimed_level = $10, claimed_until = $11, asserted = $12, asserted_level = $13, asserted_until = $14,
		updated_at = $15, doc = $16, emails_at = $9 where conn = $17 and key = $18 and epoch <= $8`,
		p.UserName, Fold(p.UserName), nullable(p.ExternalID), p.DisplayName, p.Email, nullable(Fold(p.Email)),
		p.Active, p.Epoch, p.Version, p.Claimed.Level, ms(p.Claimed.Until), asserted, level, until,
		ms(p.Updated), string(p.Doc), d.conn, int64(p.Key))
	if err != nil {
		return d.taken(err, op, "user_name_key", "user_name", "a user with this userName exists already: find it by the filter userName eq, and change it by its id")
	}
	if n == 0 {
		if _, err := d.Person(p.ID); err != nil {
			return err
		}
		return fault.New(fault.Stale, op, "the person has changed: an epoch never falls")
	}
	d.touchPerson(p.ID)
	if err := d.dropEmails(op, p.Key); err != nil {
		return err
	}
	if err := d.putEmails(op, p); err != nil {
		return err
	}
	return failpoint.Hit(d.v.ctx, failpoint.AfterPerson)
}

// DeletePerson removes a person with memberships, assignments and subject, ends the
// sessions and permits that still live, lifts what limited them, and leaves a tombstone:
// the id is never used again. What was permitted stays known.
func (d *DirectoryTx) DeletePerson(p Person, now time.Time) error {
	const op = "store.DeletePerson"
	issuer, subject, _, err := d.SubjectOf(p)
	if err != nil {
		return err
	}
	groups, err := d.GroupsOf(p)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if _, err := d.RemoveMembers(&g, []PersonKey{p.Key}, now); err != nil {
			return err
		}
	}
	if err := d.endSessions(p, now); err != nil {
		return err
	}
	if err := d.leaveDecided(p, now); err != nil {
		return err
	}
	for _, table := range []string{"memberships", "assignments", "subjects"} { // memberships: of groups that dissolve
		if _, err := d.tx.exec(op, `delete from `+table+` where conn = $1 and person = $2`, d.conn, int64(p.Key)); err != nil {
			return err
		}
	}
	if _, err := d.tx.exec(op, `delete from consents where conn = $1 and person = $2`, d.conn, string(p.ID)); err != nil {
		return err
	}
	if _, err := d.tx.exec(op, `delete from register where conn = $1 and person = $2 and person <> ''`, d.conn, string(p.ID)); err != nil {
		return err
	}
	if _, err := d.tx.exec(op, `delete from exceptions where conn = $1 and person = $2`, d.conn, int64(p.Key)); err != nil {
		return err
	}
	n, err := d.tx.exec(op, `delete from people where conn = $1 and key = $2`, d.conn, int64(p.Key))
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.New(fault.NotFound, op, "there is no such person")
	}
	d.touchPerson(p.ID)
	if err := d.dropEmails(op, p.Key); err != nil {
		return err
	}
	if err := d.forgetMarks(p.ID); err != nil {
		return err
	}
	if err := d.tx.tally(op, -1, `update connections set people = people + $1 where key = $2`, d.conn); err != nil {
		return err
	}
	_, err = d.tx.exec(op, `insert into tombstones (conn, id, external_id, issuer, subject, deleted_at) values ($1, $2, $3, $4, $5, $6)`,
		d.conn, string(p.ID), p.ExternalID, issuer, subject, ms(now))
	return err
}

func (d *DirectoryTx) endSessions(p Person, now time.Time) error {
	live, err := d.Sessions(p)
	if err != nil {
		return err
	}
	for _, s := range live {
		ended, _ := session.Revoke(s.Session, session.EndDeleted, now) // whoever wants it told ends them first
		if err := d.tx.UpdateSession(ended, nil); err != nil {
			return err
		}
	}
	return nil
}

// PinSubject links a person's sign-in to a subject. fault.Conflict with the reason
// "subject" if another person has it, or the person has another.
func (d *DirectoryTx) PinSubject(p Person, issuer, subject string) error {
	_, err := d.v.q.Exec(`insert into subjects (conn, issuer, subject, person) values ($1, $2, $3, $4)`, d.conn, issuer, subject, int64(p.Key))
	if err == nil {
		return nil
	}
	err = d.v.failed(err, "store.PinSubject")
	if fault.Is(err, fault.Conflict) && fault.ReasonOf(err) != ReasonForeignKey {
		return &fault.Error{Kind: fault.Conflict, Op: "store.PinSubject", Reason: "subject", Err: err}
	}
	return err
}

// SetDecided records that a person's assignments are what that policy wants until
// validUntil (zero: no end), which also lifts every fence laid over them so far.
func (d *DirectoryTx) SetDecided(p PersonKey, policy int64, validUntil time.Time) error {
	const op = "store.SetDecided"
	id, known := d.ids[p]
	if !known {
		if err := d.v.q.QueryRow(`select id from people where conn = $1 and key = $2`, d.conn, int64(p)).Scan(&id); err != nil {
			return d.v.found(err, op, "person")
		}
	}
	d.touchPerson(id)
	n, err := d.tx.expect(op, 1, `update people set policy = $1, valid_until = $2, fence = $3 where conn = $4 and key = $5`,
		policy, ms(validUntil), d.fence, d.conn, int64(p))
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, op, "there is no such person")
	}
	return err
}

// due is an instant that has always passed.
const due int64 = 1

// MarkDue makes people's last decisions count for nothing: they are decided anew
// before their next use, or by the queue that Due feeds.
func (d *DirectoryTx) MarkDue(keys []PersonKey) error {
	if len(keys) == 0 {
		return nil
	}
	return d.v.each("store.MarkDue", func(r Row) error {
		var id access.PersonID
		err := r.Scan(&id)
		d.touchPerson(id)
		return err
	}, `update people set valid_until = $1 where conn = $2 and key in (`+d.dialect().Keys("$3")+`) returning id`, due, d.conn, jsonList(keys))
}

// Due lists people of active connections whose last decision has run out, longest
// ago first. Nobody asks for those of an ended one.
func (v *View) Due(now time.Time, limit int) ([]DueKey, error) {
	return list(v, "store.Due", scanDue, `select c.id, k.id from
		(select conn, id, valid_until from people where valid_until > 0 and valid_until <= $1
			and exists (select 1 from connections a where a.key = people.conn and a.active) order by valid_until limit $2) k
		join connections c on c.key = k.conn order by k.valid_until`, ms(now), limit)
}

// Undecided lists people of active connections whose last decision was made under
// an older policy than counts. PostgreSQL, which does not know that hardly ever anybody is, would look at
// everybody; so the connections are asked for first, one by one for that offset.
func (v *View) Undecided(limit int) ([]DueKey, error) {
	const op = "store.Undecided"
	type behind struct {
		id        access.ConnectionID
		key, from int64
	}
	scan := func(r Row) (c behind, err error) { return c, r.Scan(&c.id, &c.key, &c.from) }
	connections, err := list(v, op, scan, `select c.id, c.key, c.decided_from from connections c
		where c.active and exists (select 1 from people p where p.conn = c.key and p.policy < c.decided_from limit 1 offset 0) order by c.key limit $1`, limit)
	if err != nil {
		return nil, err
	}
	var all []DueKey
	for _, c := range connections {
		person := func(r Row) (k DueKey, err error) { k.Connection = c.id; return k, r.Scan(&k.Person) }
		if err := v.each(op, into(&all, person), `select id from people where conn = $1 and policy < $2 order by policy limit $3`, c.key, c.from, limit-len(all)); err != nil {
			return nil, err
		}
		if len(all) == limit {
			break
		}
	}
	return all, nil
}

// CountWaiting counts the people of active connections who are to be decided anew: all
// that Due and Undecided would come to list.
func (v *View) CountWaiting(now time.Time) (n int64, err error) {
	err = v.q.QueryRow(`select
		(select count(*) from connections c join people p on p.conn = cast(c.key as bigint) and p.policy < c.decided_from where c.active) +
		(select count(*) from people p join connections c on c.key = p.conn and c.active
			where p.valid_until > 0 and p.valid_until <= $1 and p.policy >= c.decided_from)`, ms(now)).Scan(&n)
	return n, v.failed(err, "store.CountWaiting")
}

func scanDue(r Row) (k DueKey, err error) { return k, r.Scan(&k.Connection, &k.Person) }

// PeopleNamed lists who has that userName or e-mail address, in any case, or that
// id, in every connection.
func (v *View) PeopleNamed(name string) ([]Person, error) {
	return list(v, "store.PeopleNamed", func(r Row) (Person, error) {
		var conn access.ConnectionID
		p, err := scanPerson(r, &conn)
		p.Connection = conn
		return p, err
	}, `select `+personColumns+`, c.id from connections c join people p on p.conn = c.key
		where p.key in (select key from people where conn = c.key and user_name_key = $1 union
			select key from people where conn = c.key and email_key = $1 union
			select key from people where conn = c.key and id = $2) order by c.id, p.key`, Fold(name), name)
}

// UserNames are the names that people of these ids go by; who is not there has none.
func (d *Directory) UserNames(ids []access.PersonID) (map[access.PersonID]string, error) {
	found := make(map[access.PersonID]string, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	return found, d.v.each("store.UserNames", func(r Row) error {
		var id access.PersonID
		var name string
		err := r.Scan(&id, &name)
		found[id] = name
		return err
	}, `select id, user_name from people where conn = $1 and id in (`+d.dialect().Texts("$2")+`)`, d.conn, jsonList(ids))
}
