package scimtest

import "fmt"

// cast are people and a group that many checks read and none changes. Their values
// carry the run's own prefix, so that a filter by them finds nobody else.
type cast struct {
	ada, bo, cy thing
	keepers     thing  // ada and bo; zero without groups
	tag         string // stands in every value worth looking for
	broken      string // why it could not be made
}

// people are the cast, made when the first check asks.
func (t *trial) people() *cast {
	if t.cast == nil {
		c := &cast{tag: t.ledger.prefix, broken: "they were interrupted"}
		t.run.cast = c
		c.broken = t.gather(c)
	}
	if t.cast.broken != "" {
		t.skip("the people it reads could not be made: %s", t.cast.broken)
	}
	return t.cast
}

// gather makes the cast, and says what went wrong.
func (t *trial) gather(c *cast) string {
	for _, p := range []struct {
		who  *thing
		body object
	}{{&c.ada, t.ada(c)}, {&c.bo, t.bo(c)}, {&c.cy, t.cy()}} {
		r := t.post(users, p.body)
		if *p.who = r.made; r.made.id == "" {
			return fmt.Sprintf("POST %s is answered %d", users, r.status)
		}
	}
	if !t.claims[hasGroups] {
		return ""
	}
	r := t.post(groups, (&trial{run: t.run, ctx: t.ctx, id: "cast"}).team(c.ada, c.bo))
	if c.keepers = r.made; r.made.id == "" {
		return fmt.Sprintf("POST %s is answered %d", groups, r.status)
	}
	return ""
}

// castName is a userName of the cast; all of them begin alike.
func (t *trial) castName(who string) string {
	name := t.ledger.prefix + "cast-" + who + "@check.example"
	t.ledger.expect(users, name)
	return name
}

func (t *trial) ada(c *cast) object {
	body := object{"schemas": []string{urnUser}, "userName": t.castName("ada"), "externalId": c.tag + "Ext-Ada", "active": true,
		"name":        object{"givenName": "Ada", "familyName": c.tag + "Lovett"},
		"displayName": `Zoë "Ada" 王 100%25 ` + c.tag,
		"title":       c.tag + "Keeper",
		"emails": []object{
			{"value": c.tag + "ada@work.example", "type": "work", "primary": true},
			{"value": c.tag + "ada@home.example", "type": "home"}}}
	if t.claims[hasEnterprise] {
		body["schemas"] = []string{urnUser, urnEnterprise}
		body[urnEnterprise] = object{"department": c.tag + "Locks", "employeeNumber": "7001"}
	}
	return body
}

func (t *trial) bo(c *cast) object {
	return object{"schemas": []string{urnUser}, "userName": t.castName("bo"), "active": false,
		"name": object{"givenName": "Bo", "familyName": c.tag + "Sluice"}, "title": c.tag + "Porter",
		"emails": []object{{"value": c.tag + "bo@home.example", "type": "home"}}}
}

func (t *trial) cy() object {
	return object{"schemas": []string{urnUser}, "userName": t.castName("cy"), "active": true,
		"name": object{"givenName": "Cy", "familyName": "Weir"}}
}
