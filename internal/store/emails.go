package store

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// moreEmails are the addresses of a person beyond the one that stands in the row,
// folded: most people have none.
func moreEmails(p Person) ([]string, error) {
	const list = `"emails":[`
	at := bytes.Index(p.Doc, []byte(list))
	if at < 0 || p.Email != "" && !bytes.Contains(p.Doc[at:], []byte("},{")) { // there is one, and the row has it
		return nil, nil
	}
	var doc struct {
		Emails []struct {
			Value string `json:"value"`
		} `json:"emails"`
	}
	if err := json.Unmarshal(p.Doc, &doc); err != nil {
		return nil, fault.Wrap(fault.Internal, "store.moreEmails", err)
	}
	known, more := Fold(p.Email), []string(nil)
	for _, e := range doc.Emails {
		if key := Fold(e.Value); key != "" && key != known && !slices.Contains(more, key) {
			more = append(more, key)
		}
	}
	return more, nil
}

// putEmails writes down the further addresses of a person who has none there.
func (d *DirectoryTx) putEmails(op string, p Person) error {
	more, err := moreEmails(p)
	if err != nil {
		return err
	}
	for _, key := range more {
		if _, err := d.tx.expect(op, 1, `insert into more_emails (conn, email_key, person) values ($1, $2, $3)`, d.conn, key, int64(p.Key)); err != nil {
			return err
		}
	}
	return nil
}

func (d *DirectoryTx) dropEmails(op string, p PersonKey) error {
	_, err := d.tx.expect(op, AnyRows, `delete from more_emails where person = $1`, int64(p))
	return err
}

// WithoutEmails lists people whose addresses no index knows, because a program wrote
// them that had none. Searches by address look at each of them. Without the order, which is that of
// an index of them alone, PostgreSQL would look at everybody.
func (v *View) WithoutEmails(limit int) ([]DueKey, error) {
	return list(v, "store.WithoutEmails", scanDue, `select c.id, p.id from people p
		join connections c on c.key = p.conn where p.emails_at <> p.version order by p.conn, p.key limit $1`, limit)
}

// IndexEmails writes down the addresses of such people; whoever has gone is left out.
func (d *DirectoryTx) IndexEmails(people []access.PersonID) error {
	for _, id := range people {
		if err := d.indexEmails(id); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

func (d *DirectoryTx) indexEmails(id access.PersonID) error {
	const op = "store.IndexEmails"
	p, err := d.Person(id)
	if err != nil {
		return err
	}
	if err := d.dropEmails(op, p.Key); err != nil {
		return err
	}
	if err := d.putEmails(op, p); err != nil {
		return err
	}
	_, err = d.tx.exec(op, `update people set emails_at = version where conn = $1 and key = $2`, d.conn, int64(p.Key))
	return err
}
