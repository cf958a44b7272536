package scimtest

import (
	"net/http"
	"strings"
)

func filterOperators() []Check {
	const at = protocol + "3.4.2.2"
	return needing(hasFilter,
		must("filter.eq", at, "eq finds the one person whose userName it is", func(t *trial) {
			p := t.people()
			t.finds(`userName eq "`+p.ada.name+`"`, p.ada)
		}),
		must("filter.ne", at, "ne finds the others", func(t *trial) {
			p := t.people()
			t.finds(t.among(`userName ne "`+p.ada.name+`"`), p.bo, p.cy)
		}),
		must("filter.co", at, "co finds what stands in the middle", func(t *trial) {
			p := t.people()
			t.finds(`userName co "`+strings.TrimPrefix(p.tag, "scim")+`cast-cy"`, p.cy)
		}),
		must("filter.sw", at, "sw finds by the beginning", func(t *trial) {
			p := t.people()
			t.finds(`userName sw "`+p.tag+`cast-bo"`, p.bo)
		}),
		must("filter.ew", at, "ew finds by the end", func(t *trial) {
			p := t.people()
			t.finds(`name.familyName ew "`+strings.TrimPrefix(p.tag, "scim")+`Sluice"`, p.bo)
		}),
		must("filter.pr", at, "pr finds those who have a value", func(t *trial) {
			p := t.people()
			t.has("title")
			t.finds(t.among("title pr"), p.ada, p.bo)
		}),
		must("filter.gt", at, "gt and lt compare instants", func(t *trial) {
			p := t.people()
			t.finds(`userName eq "`+p.cy.name+`" and meta.created gt "2001-01-01T00:00:00Z"`, p.cy)
			t.finds(`userName eq "` + p.cy.name + `" and meta.created lt "2001-01-01T00:00:00Z"`)
		}),
		must("filter.ge", at, "ge and le hold for the value itself", func(t *trial) {
			p := t.people()
			created := t.fresh(p.cy).text("meta", "created")
			t.finds(`userName eq "`+p.cy.name+`" and meta.created ge "`+created+`"`, p.cy)
			t.finds(`userName eq "`+p.cy.name+`" and meta.created le "`+created+`"`, p.cy)
		}),
		must("filter.operator-case", at, "operators are read without regard to case", func(t *trial) {
			p := t.people()
			t.finds(`userName EQ "`+p.bo.name+`"`, p.bo)
		}),
		must("filter.case", core+"4.1.1", "userName is compared without regard to case", func(t *trial) {
			p := t.people()
			t.finds(`userName eq "`+strings.ToUpper(p.ada.name)+`"`, p.ada)
		}),
	)
}

func filterLogic() []Check {
	const at = protocol + "3.4.2.2"
	return needing(hasFilter,
		must("filter.and", at, "and asks for both", func(t *trial) {
			p := t.people()
			t.finds(`userName eq "`+p.ada.name+`" and name.givenName eq "Ada"`, p.ada)
			t.finds(`userName eq "` + p.ada.name + `" and name.givenName eq "Bo"`)
		}),
		must("filter.or", at, "or asks for either", func(t *trial) {
			p := t.people()
			t.finds(`userName eq "`+p.ada.name+`" or userName eq "`+p.cy.name+`"`, p.ada, p.cy)
		}),
		must("filter.not", at, "not turns a filter round", func(t *trial) {
			p := t.people()
			t.finds(t.among(`not (userName eq "`+p.bo.name+`")`), p.ada, p.cy)
		}),
		must("filter.precedence", at, "and binds before or", func(t *trial) {
			p := t.people()
			t.finds(`userName eq "`+p.ada.name+`" or userName eq "`+p.bo.name+`" and name.givenName eq "Nobody"`, p.ada)
		}),
		must("filter.grouping", at, "parentheses bind first", func(t *trial) {
			p := t.people()
			t.finds(`(userName eq "`+p.ada.name+`" or userName eq "`+p.bo.name+`") and name.givenName eq "Bo"`, p.bo)
		}),
		must("filter.value-path", at, "emails[type eq and value co] asks both of the same value", func(t *trial) {
			p := t.people()
			t.finds(`emails[type eq "work" and value co "`+p.tag+`ada"]`, p.ada)
			t.finds(`emails[type eq "work" and value co "` + p.tag + `ada@home"]`)
		}),
		should("filter.value-path-three", at, "a value path takes three conditions and parentheses", func(t *trial) {
			p := t.people()
			t.finds(`emails[type eq "home" and (value co "`+p.tag+`bo" or value co "`+p.tag+`nobody") and not (primary eq true)]`, p.bo)
		}),
		must("filter.nothing", protocol+"3.4.2", "a filter that nobody matches is answered 200 and an empty list", func(t *trial) {
			t.finds(`userName eq "` + t.ledger.prefix + `nobody"`)
		}),
		may("filter.nothing-array", protocol+"3.4.2", "the empty list has Resources as an empty array, which clients iterate over", func(t *trial) {
			t.find(`userName eq "` + t.ledger.prefix + `nothing"`).is(http.StatusOK).list("Resources")
		}),
		may("filter.plus", protocol+"3.4.2.2", "blanks sent as + are blanks, as Entra's validator sends them", func(t *trial) {
			p := t.people()
			t.get(users + "?filter=" + strings.ReplaceAll(query(`userName eq "`+p.cy.name+`"`), "%20", "+")).found(p.cy)
		}),
	)
}

func filterAttributes() []Check {
	const at = protocol + "3.4.2.2"
	return needing(hasFilter,
		must("filter.attribute-case", core+"2.1", "attribute names are read without regard to case", func(t *trial) {
			p := t.people()
			t.finds(`USERNAME eq "`+p.cy.name+`"`, p.cy)
		}),
		must("filter.urn", protocol+"3.10", "an attribute may carry its schema's URN", func(t *trial) {
			p := t.people()
			t.finds(urnUser+`:userName eq "`+p.cy.name+`"`, p.cy)
		}),
		must("filter.id", at, "people are found by id", func(t *trial) {
			p := t.people()
			t.finds(`id eq "`+p.bo.id+`"`, p.bo)
		}),
		must("filter.external-id", at, "people are found by externalId", func(t *trial) {
			p := t.people()
			t.finds(`externalId eq "`+p.tag+`Ext-Ada"`, p.ada)
		}),
		must("filter.external-id-case", core+"3.1", "externalId is compared with regard to case", func(t *trial) {
			t.finds(`externalId eq "` + t.people().tag + `EXT-ADA"`)
		}),
		must("filter.boolean", at, "active is compared with true and false", func(t *trial) {
			p := t.people()
			t.finds(t.among("active eq true"), p.ada, p.cy)
			t.finds(t.among("active eq false"), p.bo)
		}),
		must("filter.sub-attribute", at, "a sub-attribute is compared", func(t *trial) {
			p := t.people()
			t.finds(`name.familyName eq "`+p.tag+`Lovett"`, p.ada)
		}),
		must("filter.multi-valued", at, "emails.value matches if any of the values does", func(t *trial) {
			p := t.people()
			t.finds(`emails.value eq "`+p.tag+`ada@home.example"`, p.ada)
		}),
		should("filter.multi-valued-default", at, "a multi-valued attribute alone stands for its values", func(t *trial) {
			p := t.people()
			t.finds(`emails co "`+p.tag+`bo@"`, p.bo)
		}),
		must("filter.instant", at, "meta.lastModified is compared", func(t *trial) {
			p := t.people()
			t.finds(t.among(`meta.lastModified gt "2001-01-01T00:00:00Z"`), p.ada, p.bo, p.cy)
		}),
		Check{ID: "filter.extension", Severity: Must, Section: protocol + "3.10", needs: []feature{hasEnterprise},
			Expected: "an attribute of the enterprise extension is compared", try: func(t *trial) {
				p := t.people()
				t.finds(urnEnterprise+`:department eq "`+p.tag+`Locks"`, p.ada)
			}},
		Check{ID: "filter.extension-mixed", Severity: Must, Section: protocol + "3.10", needs: []feature{hasEnterprise},
			Expected: "core and extension may stand in one filter", try: func(t *trial) {
				p := t.people()
				t.finds(`userName eq "`+p.ada.name+`" and `+urnEnterprise+`:employeeNumber eq "7001"`, p.ada)
			}},
	)
}

func filterLiterals() []Check {
	const at = protocol + "3.4.2.2"
	return needing(hasFilter,
		must("filter.escape", at, "a quote inside a literal is escaped as in JSON", func(t *trial) {
			p := t.people()
			t.finds(t.among(`displayName sw "Zoë \"Ada\""`), p.ada)
		}),
		must("filter.unicode", at, "a literal may hold any character", func(t *trial) {
			p := t.people()
			t.finds(t.among(`displayName co "王"`), p.ada)
		}),
		must("filter.unicode-escape", at, "a literal may spell a character as \\u", func(t *trial) {
			p := t.people()
			t.finds(t.among(`displayName co "\u738b 1"`), p.ada)
		}),
		must("filter.percent", at, "a percent sign in a literal is decoded once", func(t *trial) {
			p := t.people()
			t.finds(t.among(`displayName co "100%25 "`), p.ada)
		}),
	)
}

func filterRefusals() []Check {
	const at = protocol + "3.4.2.2"
	return needing(hasFilter,
		must("filter.syntax", protocol+"3.12", "a filter that cannot be read is answered 400 with the scimType invalidFilter", func(t *trial) {
			t.find(`userName eq`).is(http.StatusBadRequest).has("invalidFilter", "scimType")
		}),
		must("filter.unclosed", protocol+"3.12", "an open parenthesis is answered 400", func(t *trial) {
			t.find(`(userName pr`).is(http.StatusBadRequest)
		}),
		must("filter.operator", protocol+"3.12", "an operator that does not exist is answered 400", func(t *trial) {
			t.find(`userName like "a"`).is(http.StatusBadRequest)
		}),
		must("filter.unknown", at, "an attribute that no schema has is refused or matches nobody; it never matches everybody", func(t *trial) {
			t.people()
			if r := t.find(`sluiceGate eq "open"`); r.ok() {
				if n := len(r.listed()); n > 0 {
					r.wrong("%d are found", n)
				}
			} else {
				r.refused()
			}
		}),
		must("filter.boolean-order", at, "gt on a boolean is answered 400 with the scimType invalidFilter", func(t *trial) {
			t.find(`active gt true`).is(http.StatusBadRequest).has("invalidFilter", "scimType")
		}),
		must("filter.deep", protocol+"3.12", "forty parentheses are understood or refused, and nothing breaks", func(t *trial) {
			r := t.find(strings.Repeat("(", 40) + `userName eq "` + t.people().cy.name + `"` + strings.Repeat(")", 40))
			if !r.ok() {
				r.refused()
			}
		}),
		must("filter.long", protocol+"3.12", "a filter of many terms is understood or refused, and nothing breaks", func(t *trial) {
			r := t.find(strings.Repeat(`userName eq "x" or `, 60) + `userName eq "` + t.people().bo.name + `"`)
			if !r.ok() {
				r.refused()
			}
		}),
	)
}

func filterGroups() []Check {
	return needing(hasGroups, needing(hasFilter,
		must("filter.group-name", protocol+"3.4.2.2", "a group is found by displayName", func(t *trial) {
			k := t.people().keepers
			t.get(groups + "?filter=" + query(`displayName eq "`+k.name+`"`)).found(k)
		}),
		must("filter.group-none", protocol+"3.4.2", "a group that is not there is an empty list", func(t *trial) {
			t.get(groups + "?filter=" + query(`displayName eq "`+t.ledger.prefix+`nothing"`)).found()
		}),
		may("filter.group-entra", protocol+"3.4.2.5", "Entra's question works: by displayName and without members", func(t *trial) {
			k := t.people().keepers
			r := t.get(groups + "?excludedAttributes=members&filter=" + query(`displayName eq "`+k.name+`"`))
			r.found(k)
			r.lacks("Resources", 0, "members")
		}),
		should("filter.group-member", protocol+"3.4.2.2", "groups are found by a member", func(t *trial) {
			p := t.people()
			t.get(groups + "?filter=" + query(`members[value eq "`+p.bo.id+`"]`)).found(p.keepers)
		}),
		should("filter.group-member-value", protocol+"3.4.2.2", "groups are found by members.value", func(t *trial) {
			p := t.people()
			t.get(groups + "?filter=" + query(`members.value eq "`+p.ada.id+`"`)).found(p.keepers)
		}),
	)...)
}
