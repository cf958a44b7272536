package bridge

import (
	"maps"
	"slices"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/event"
)

// TreeAuthor is who changes the tree, and by what; both are kept with the version.
type TreeAuthor struct {
	Author string
	From   string          // "scope add southern/banksia/perth", or the name of an import's file
	Person access.PersonID // who changes it by a right of their own; "" is the operator
	// May judges, in the transaction that puts the tree in force, whether the person may do
	// it at a scope of the tree that was; nil for the operator.
	May func(d *Deciding, at access.ScopeID) error
}

// actor is the author as events have it.
func (a TreeAuthor) actor() event.Actor {
	if a.Person != "" {
		return event.ByPerson
	}
	return event.ByAdministrator
}

// toldBy are the facts of a change, with the person who made it.
func (t *treeTurn) toldBy() []event.Event {
	if t.by.Person == "" {
		return t.told
	}
	told := slices.Clone(t.told)
	for i := range told {
		told[i].Actor, told[i].Data = t.by.actor(), maps.Clone(told[i].Data)
		told[i].Data["by"] = string(t.by.Person)
	}
	return told
}
