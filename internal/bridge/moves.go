package bridge

import (
	"slices"
	"strconv"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim"
	"github.com/drawbridge-id/drawbridge/scim/patch"
)

// wholeBody is the Index of a member edit that is a POST's or a PUT's own list.
const wholeBody = -1

// memberChange is what a request asks of a group's members. What names many people,
// or may touch many, is worked out before the writer is asked for (prepared).
type memberChange struct {
	edits    []patch.MemberEdit
	only     bool // it changes nothing else, whatever the group's version is
	prepared *moves
	tries    int
}

// maxTries is how often a change is worked out beforehand only to find that the
// group has moved on. After that it is worked out while the writer waits for it.
const maxTries = 4

// moves are what member edits come to on a group at one version.
type moves struct {
	version     int64
	add, remove []store.PersonKey // in order; both are exact where they were prepared
	stay        []store.PersonKey // of those the request names, who are there already, where that was prepared
	unknown     unknown
}

func (m *memberChange) none() bool {
	return !slices.ContainsFunc(m.edits, func(e patch.MemberEdit) bool { return e.Kind != patch.AddMembers || len(e.IDs) > 0 })
}

// people are those whom the request names.
func (m *memberChange) people() (named []access.PersonID) {
	for _, e := range m.edits {
		for _, id := range e.IDs {
			named = append(named, access.PersonID(id))
		}
	}
	return named
}

// large reports whether the edits name or may touch more people than one transaction
// decides.
func (m *memberChange) large(g store.Group) bool {
	empties := false
	for _, e := range m.edits {
		empties = empties || e.Kind == patch.ReplaceMembers || e.Kind == patch.RemoveAllMembers
	}
	return len(m.people()) > inlinePeople || empties && g.MemberCount > inlinePeople
}

// moves works out a small change, and gives what was prepared of a large one.
// errLarge asks for that.
func (m *memberChange) moves(dir *store.Directory, g store.Group, version int64) (moves, error) {
	switch {
	case !m.large(g):
		return membersAfter(dir, g, m.edits)
	case m.prepared != nil && m.prepared.version == version:
		return *m.prepared, nil
	case m.tries >= maxTries:
		return exactly(dir, g, m.edits)
	}
	return moves{}, errLarge
}

// membersAfter turns edits into who must be there and who must not. Ids that name
// nobody in this connection are left out and told of.
func membersAfter(dir *store.Directory, g store.Group, edits []patch.MemberEdit) (moves, error) {
	known, err := dir.Keys((&memberChange{edits: edits}).people())
	if err != nil {
		return moves{}, err
	}
	return movesAfter(dir, g, edits, known)
}

// movesAfter is membersAfter where the people are known whom the edits name.
func movesAfter(dir *store.Directory, g store.Group, edits []patch.MemberEdit, known map[access.PersonID]store.PersonKey) (moves, error) {
	m := moves{version: g.Version, unknown: unknownIn(edits, known)}
	want := map[store.PersonKey]bool{}
	for _, e := range edits {
		if err := mark(want, dir, g, e, known); err != nil {
			return moves{}, err
		}
	}
	for key, present := range want {
		if present {
			m.add = append(m.add, key)
		} else {
			m.remove = append(m.remove, key)
		}
	}
	slices.Sort(m.add)
	slices.Sort(m.remove)
	return m, nil
}

// exactly is membersAfter without those who are, or are not, there already.
func exactly(dir *store.Directory, g store.Group, edits []patch.MemberEdit) (moves, error) {
	m, err := membersAfter(dir, g, edits)
	if err != nil {
		return moves{}, err
	}
	there, err := dir.Among(g, m.add)
	if err != nil {
		return moves{}, err
	}
	m.add = slices.DeleteFunc(m.add, func(k store.PersonKey) bool { _, in := slices.BinarySearch(there, k); return in })
	m.stay = there
	m.remove, err = dir.Among(g, m.remove)
	return m, err
}

func mark(want map[store.PersonKey]bool, dir *store.Directory, g store.Group, e patch.MemberEdit, known map[access.PersonID]store.PersonKey) error {
	if e.Kind == patch.ReplaceMembers || e.Kind == patch.RemoveAllMembers {
		if len(e.IDs) > 0 && !slices.ContainsFunc(e.IDs, func(id string) bool { return known[access.PersonID(id)] != 0 }) {
			return scim.Invalid(scim.TypeInvalidValue, place(e)+": none of the members is known here; send ids that this server returned. Nothing was changed.")
		}
		there, err := dir.MemberKeys(g)
		if err != nil {
			return err
		}
		for _, key := range there {
			want[key] = false
		}
		for key := range want {
			want[key] = false
		}
	}
	for _, id := range e.IDs {
		if key := known[access.PersonID(id)]; key != 0 {
			want[key] = e.Kind != patch.RemoveMembers
		}
	}
	return nil
}

// place says where in the request an edit stands.
func place(e patch.MemberEdit) string {
	if e.Index == wholeBody {
		return "members"
	}
	return "Operations[" + strconv.Itoa(e.Index) + "] members"
}
