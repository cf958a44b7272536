package request

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/mapping"
)

const day = 24 * time.Hour

// BuiltIn are the classes that decide about what none of a policy's own is about: whoever
// writes a few classes leaves no hole beside them.
func BuiltIn() []mapping.RequestClass {
	both := []mapping.Requirement{mapping.RequireCase, mapping.RequireReason}
	return []mapping.RequestClass{
		{Name: "wide", Levels: []access.Level{access.Host, access.ServiceProvider}, Approvers: mapping.ServiceOwners, Need: 2, Longest: 30 * day, Require: both},
		{Name: "outside", Outside: true, Approvers: mapping.ServiceOwners, Need: 2, Longest: 30 * day, Require: both},
		{Name: "administration", Grants: []access.Grant{access.Administrator}, Approvers: mapping.ScopeAdministrators, Need: 1, Longest: 90 * day},
		{Name: "usual", Approvers: mapping.ScopeAdministrators, Need: 1, Longest: 90 * day},
	}
}

// ClassOf is the first class that a request belongs to.
func ClassOf(p mapping.Requests, g access.Grant, l access.Level, outside bool) mapping.RequestClass {
	for _, c := range slices.Concat(p.Classes, BuiltIn()) {
		if (len(c.Grants) == 0 || slices.Contains(c.Grants, g)) && (len(c.Levels) == 0 || slices.Contains(c.Levels, l)) && (outside || !c.Outside) {
			return c
		}
	}
	return mapping.RequestClass{} // never: the last is about everything
}

// required is what every request must name where the policy does not say.
func required(p mapping.Requests) []mapping.Requirement {
	if p.Require == nil {
		return []mapping.Requirement{mapping.RequireReason, mapping.RequireCase, mapping.RequireUntil}
	}
	return p.Require
}

// missing says what a request must name and does not. Broken glass must say why, and
// nothing else: there may be no case yet.
func missing(s Setting, c mapping.RequestClass, w Wish) []Refusal {
	must := slices.Concat(required(s.Policy), c.Require)
	if w.BreakGlass {
		must = []mapping.Requirement{mapping.RequireReason}
	}
	var all []Refusal
	ask := func(what mapping.Requirement, there bool, r Refusal) {
		if slices.Contains(must, what) && !there {
			all = append(all, r)
		}
	}
	ask(mapping.RequireOrganisation, w.Organisation != "", refusal(ReasonOrganisation, "name the organisation that asks"))
	ask(mapping.RequireReason, w.Reason != "", refusal(ReasonReason, "say what it is needed for (reason)"))
	ask(mapping.RequireCase, w.Case != "", refusal(ReasonCase, "name the case that it belongs to: a ticket, project or engagement"))
	ask(mapping.RequireApprover, w.Approver != Party{}, refusal(ReasonApprover, "name an approver"))
	switch {
	case !w.Until.IsZero() || w.BreakGlass || w.Permanent && c.Permanent:
	case w.Permanent:
		all = append(all, refusal(ReasonUntil, "say until when: requests of class %q may not be permanent", c.Name))
	case slices.Contains(must, mapping.RequireUntil) || !c.Permanent:
		all = append(all, refusal(ReasonUntil, "say until when it is needed"))
	}
	return all
}

// tooLong judges the time that is asked for.
func tooLong(s Setting, c mapping.RequestClass, w Wish) []Refusal {
	from := s.Now
	if w.NotBefore.After(from) {
		from = w.NotBefore
	}
	switch {
	case w.Until.IsZero():
		return nil
	case !w.Until.After(from):
		return []Refusal{refusal(ReasonUntilPast, "until is not after the beginning: it would give nothing")}
	case !w.BreakGlass && c.Longest > 0 && w.Until.After(from.Add(c.Longest)):
		return []Refusal{refusal(ReasonTooLong, "requests of class %q last at most %s: until %s", c.Name, Days(c.Longest), from.Add(c.Longest).UTC().Format(time.RFC3339))}
	}
	return nil
}

// The workflows that change how a customer's system is set up, and those by which people
// work with it: nobody gets both by one request. Reading settings goes with either.
func administers(w access.Workflow) bool {
	return w == access.SettingsManage || w == access.AddressesManage || w == access.UsersManage
}

func operates(w access.Workflow) bool {
	return !administers(w) && w != access.SettingsView && w != access.AddressesView
}

func apart(c access.Catalogue, w Wish) []Refusal {
	named := w.Grant != "" && slices.ContainsFunc(c.Opens(w.Grant, w.Flags.Union(w.Grant.Floor()), access.Primary), administers)
	if (named || slices.ContainsFunc(w.Workflows, administers)) && slices.ContainsFunc(w.Workflows, operates) {
		return []Refusal{refusal(ReasonApart, "administration is kept apart from operating: ask for them by two requests")}
	}
	return nil
}

// Days is a span as people say it: "30 days", "36 hours", "20 minutes".
func Days(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := d / unit.of; n > 0 && d%unit.of == 0 {
			return plural(int64(n), unit.name)
		}
	}
	return d.String()
}
