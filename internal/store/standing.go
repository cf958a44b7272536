package store

import (
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/session"
)

// Standing is what the tokens of a session stand on.
type Standing struct {
	Session SessionRow
	Person  Person
	Held    []access.Assignment // as of Directory.Assignments
}

// Standing reads a session of the connection, one of its people and what they hold, all at once; it is
// the last that is read in a view. fault.NotFound if one of the two is not there.
func (d *Directory) Standing(id session.ID, person access.PersonID) (s Standing, err error) {
	const op = "store.Standing"
	var sessions []SessionRow
	var people []Person
	held := func(r Row) (access.Assignment, error) {
		a, err := scanAssignment(r, nil)
		a.Person = person
		return a, err
	}
	err = d.v.q.Last(
		Question{into(&sessions, scanSession), `select ` + sessionColumns + ` where s.conn = $1 and s.id = $2`, []any{d.conn, string(id)}},
		Question{into(&people, d.scanPerson), personSQL + `p.id = $2`, []any{d.conn, string(person)}},
		Question{into(&s.Held, held), `select ` + assignmentColumns + ` from assignments a
			where a.conn = $1 and a.person = ` + personKeySQL + backed(), []any{d.conn, string(person)}})
	switch {
	case err != nil:
		return Standing{}, d.v.failed(err, op)
	case len(sessions) == 0:
		return Standing{}, fault.New(fault.NotFound, op, "there is no such session")
	case len(people) == 0:
		return Standing{}, fault.New(fault.NotFound, op, "there is no such person")
	}
	s.Session, s.Person = sessions[0], people[0]
	slices.SortFunc(s.Held, access.CompareAssignments)
	return s, nil
}
