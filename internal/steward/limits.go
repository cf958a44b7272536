package steward

import (
	"cmp"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/bridge"
	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/request"
	"github.com/drawbridge-id/drawbridge/internal/review"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/mapping"
)

// setter is by whom a limit is set, and why.
type setter struct {
	right  request.Right
	called string // whoever the right is not of: of what nobody answered, that nobody did
	scope  access.ScopeID
	reason string
	review access.ReviewID // that it was set by
}

// putLimit sets a limit, with who set it and why, and says so: whichever use case takes
// something from somebody comes through here. The caller decides the person anew.
func putLimit(d *bridge.Deciding, dir *store.DirectoryTx, p store.Person, l access.Limit, by setter) (access.Limit, error) {
	l.ID, l.Set = access.LimitID(credential.NewIDAt("lim", d.Now())), d.Now()
	if err := dir.PutLimit(p, l); err != nil {
		return l, err
	}
	note := store.LimitNote{Limit: l.ID, SetBy: cmp.Or(by.called, by.right.Name), SetScope: cmp.Or(by.scope, by.right.Scope), SetReason: by.reason}
	if err := d.Tx().PutLimitNote(note); err != nil {
		return l, err
	}
	d.Say(event.LimitSet, p.Connection, p.ID, limitData(l, by))
	return l, nil
}

// limitData is what events say of a limit: ids and words, no reasons that people typed.
func limitData(l access.Limit, by setter) map[string]string {
	data := map[string]string{"limit": string(l.ID), "scope": string(l.Scope)}
	if l.Grant != "" {
		data["grant"] = string(l.Grant)
	}
	if l.Withheld {
		data["withheld"] = "true"
	}
	if l.Events != nil {
		data["events"] = l.Events.String()
	}
	if l.NoVideo {
		data["video"] = "false"
	}
	if by.right.Person != "" {
		data["by"], data["by_connection"] = string(by.right.Person), string(by.right.Connection)
	}
	if by.review != "" {
		data["reason"], data["review"] = access.EndPermitReview, string(by.review)
	}
	return data
}

// setter is whoever decides in a review, as who sets a limit by it.
func (j *judging) setter() setter {
	return setter{right: j.right, reason: reviewSaid(j.review, j.in.Comment), review: j.review.ID}
}

// unansweredSetter sets what a review takes that nobody answered. Those who were asked may
// give it back: the service owners where it was for them, else whoever administers the scope.
func unansweredSetter(r review.Review, h review.Held, t *access.Tree) setter {
	scope := h.Scope
	if r.Cause.Reviewers == mapping.ServiceOwners {
		host, _ := t.Resolve(".")
		scope = host.ID
	}
	return setter{called: "nobody answered", scope: scope, reason: reviewSaid(r, ""), review: r.ID}
}

func reviewSaid(r review.Review, comment string) string {
	text := "review " + string(r.ID)
	if r.Cause.Name != "" {
		text += " (" + r.Cause.Name + ")"
	}
	if comment != "" {
		text += ": " + comment
	}
	return text
}
