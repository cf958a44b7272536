package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/filter"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

func found(t *testing.T, s *store.Store, text string) (ids []access.PersonID) {
	t.Helper()
	e, err := filter.Parse(schema.Users(), text)
	if err != nil {
		t.Fatal(err)
	}
	err = s.View(t.Context(), func(v *store.View) error {
		d, err := v.In(crashConn)
		if err != nil {
			return err
		}
		people, _, err := d.People(store.Query{Filter: e, Start: 1, Count: 10})
		for _, p := range people {
			ids = append(ids, p.ID)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func withEmails(id string, addresses ...string) store.Person {
	doc := schema.Object{"userName": id}
	var list []any
	for _, a := range addresses {
		list = append(list, schema.Object{"value": a})
	}
	doc["emails"] = list
	return store.Person{ID: access.PersonID(id), UserName: id, Email: doc.Email(), Epoch: 1, Version: 1, Doc: doc.Encode(), Created: crashDay, Updated: crashDay}
}

// Every address finds its person: at once, after a change, and not after the last of it.
func TestEveryAddressFindsItsPerson(t *testing.T) {
	s := wrapped(t, func(e store.Engine) store.Engine { return e })
	populate(t, s)
	p := withEmails("per_3", "a@x.example", "Ünal@x.example", "A@x.example", "c],[{d@x.example")
	write := func(fn func(*store.DirectoryTx) error) {
		t.Helper()
		err := s.Update(t.Context(), func(tx *store.Tx) error {
			d, err := tx.In(crashConn)
			if err != nil {
				return err
			}
			return fn(d)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	finds := func(want bool, addresses ...string) {
		t.Helper()
		for _, a := range addresses {
			if got := slices.Equal(found(t, s, fmt.Sprintf("emails.value eq %q", a)), []access.PersonID{"per_3"}); got != want {
				t.Errorf("%s finds them: %v", a, got)
			}
		}
	}
	write(func(d *store.DirectoryTx) error { return d.InsertPerson(&p) })
	finds(true, "A@X.example", "ünal@X.example", "c],[{d@x.example")
	changed := withEmails("per_3", "new@x.example", "a@x.example")
	changed.Key, changed.Version = p.Key, 2
	write(func(d *store.DirectoryTx) error { return d.UpdatePerson(changed) })
	finds(true, "new@x.example", "a@x.example")
	finds(false, "ünal@x.example")
	write(func(d *store.DirectoryTx) error { return d.DeletePerson(changed, crashDay) })
	finds(false, "new@x.example", "a@x.example")
}

// Whom a program wrote that did not know the index, they are found all the same, and
// indexed when there is time.
func TestPeopleWrittenWithoutTheIndexAreFound(t *testing.T) {
	e, err := OpenEngine(t.Context(), filepath.Join(t.TempDir(), "data.db"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	populate(t, s)
	p := withEmails("per_3", "first@x.example", "second@x.example")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Update(t.Context(), func(tx *store.Tx) error {
		d, err := tx.In(crashConn)
		if err != nil {
			return err
		}
		return d.InsertPerson(&p)
	}))
	must(e.Update(t.Context(), "", func(q store.Querier) error {
		_, err := q.Exec(`delete from more_emails`)
		_, err2 := q.Exec(`update people set emails_at = 0`)
		return errors.Join(err, err2)
	}, nil))
	if got := found(t, s, `emails.value eq "second@x.example"`); len(got) != 1 {
		t.Errorf("found %v", got)
	}
	waiting := func() (all []store.DueKey) {
		must(s.View(t.Context(), func(v *store.View) (err error) { all, err = v.WithoutEmails(10); return err }))
		return all
	}
	if n := len(waiting()); n != 3 {
		t.Errorf("%d people wait for the index, want 3", n)
	}
	again := []access.PersonID{"per_3", "per_gone"}
	for _, k := range waiting() {
		again = append(again, k.Person)
	}
	_, err = s.UpdateEach(t.Context(), []access.ConnectionID{crashConn}, func(d *store.DirectoryTx) error { return d.IndexEmails(again) })
	must(err)
	if got := found(t, s, `emails.value eq "SECOND@x.example"`); len(got) != 1 || len(waiting()) != 0 {
		t.Errorf("found %v; %d wait", got, len(waiting()))
	}
}

// A filter by an address, a member or a group enters its index and meets only what it
// finds there.
func TestListsAreFoundByTheirIndexes(t *testing.T) {
	looking := &explained{t: t, seen: map[string]bool{}, plans: map[string]string{}}
	s := wrapped(t, func(e store.Engine) store.Engine { looking.Engine = e; return looking })
	populate(t, s)
	indexes := map[string][]string{
		`emails eq "a@x.example"`:                                   {"people_email (conn=? AND email_key=?)", "more_emails USING PRIMARY KEY (conn=? AND email_key=?)", "people_emails_unknown"},
		`emails.value eq "a@x.example"`:                             {"people_email (conn=? AND email_key=?)"},
		`emails[type eq "work" and value eq "a@x.example"]`:         {"people_email (conn=? AND email_key=?)"},
		`groups.value eq "grp_1"`:                                   {"groups_id (conn=? AND id=?)", "PRIMARY KEY (grp=?)"},
		`groups[value eq "grp_1" and type eq "direct"]`:             {"groups_id (conn=? AND id=?)"},
		`userName eq "u" and emails.value eq "a@x.example"`:         {"people_name (conn=? AND user_name_key=?)"},
		`externalId eq "x" or userName eq "u" or id eq "per_1"`:     {"people_external (conn=? AND external_id=?)", "people_name (conn=? AND user_name_key=?)", "people_id (conn=? AND id=?)"},
		`title pr and (userName eq "u" or emails eq "a@x.example")`: {"people_name (conn=? AND user_name_key=?)", "people_email (conn=? AND email_key=?)"},
		`members.value eq "per_1" or displayName eq "team 1"`:       {"memberships_person (person=?)", "groups_name (conn=? AND name_key=?"},
		`members.value eq "per_1"`:                                  {"people_id (conn=? AND id=?)", "memberships_person (person=?)"},
		`members[value eq "per_1"]`:                                 {"people_id (conn=? AND id=?)", "memberships_person (person=?)"},
		`members eq "per_1"`:                                        {"people_id (conn=? AND id=?)", "memberships_person (person=?)"},
		`displayName eq "team 1" and members.value eq "per_1"`:      {"groups_name (conn=? AND name_key=?"},
		`id eq "grp_1" and members[value eq "per_1"]`:               {"people_id (conn=? AND id=?)", "memberships"},
	}
	if err := s.View(t.Context(), func(v *store.View) error { _, err := v.WithoutEmails(10); return err }); err != nil {
		t.Fatal(err)
	}
	for query, plan := range looking.plans {
		if strings.Contains(query, "emails_at") && !strings.Contains(query, "update") && !strings.Contains(query, "insert") && !strings.Contains(plan, "people_emails_unknown") {
			t.Errorf("%s\nreads everybody:\n%s", query, plan)
		}
	}
	whole := regexp.MustCompile(`(SEARCH|SCAN) [pg]( USING (COVERING )?INDEX \w+ \(conn=\?\)|\n)`)
	for text, want := range indexes {
		clear(looking.seen)
		clear(looking.plans)
		if err := s.View(t.Context(), func(v *store.View) error {
			d, err := v.In(crashConn)
			if err != nil {
				return err
			}
			q := store.Query{Start: 1, Count: 10}
			if strings.Contains(text, "member") {
				if q.Filter, err = filter.Parse(schema.Groups(), text); err == nil {
					_, _, err = d.Groups(q)
				}
				return err
			}
			if q.Filter, err = filter.Parse(schema.Users(), text); err == nil {
				_, _, err = d.People(q)
			}
			return err
		}); err != nil {
			t.Fatal(text, err)
		}
		for query, plan := range looking.plans {
			if !strings.Contains(query, " k\n") {
				continue
			}
			for _, index := range want {
				if !strings.Contains(plan, index) {
					t.Errorf("%s\ndoes not use %s:\n%s", text, index, plan)
				}
			}
			if whole.MatchString(plan) {
				t.Errorf("%s\nreads everybody:\n%s\n%s", text, query, plan)
			}
		}
	}
}
