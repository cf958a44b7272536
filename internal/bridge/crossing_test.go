package bridge_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/scim"
)

// asking is one request as a customer's provider could send it. Its path, body and
// headers may hold the words of whatIsTheirs, in place of what they stand for.
type asking struct {
	path, body string
	headers    []string // "Name: value"
}

// whatIsTheirs is what one customer may have learned of another: PERSON, GROUP, NAME,
// EXTERNAL, TEAM, CURSOR, TOKEN, VERSION and CONNECTION, by what they stand for.
type whatIsTheirs map[string]string

// ask sends a request and gives all of the answer but the date.
func (w *world) ask(c access.ConnectionID, token, method, path, body string, headers ...string) string {
	w.t.Helper()
	rec := w.with(token, c, method, path, body, headers...)
	rec.Header().Del("Date")
	return fmt.Sprint(rec.Code, " ", rec.Header(), " ", rec.Body)
}

var (
	madeID     = regexp.MustCompile(`\b(per|grp)_[0-9A-Za-z]+`)
	madeCursor = regexp.MustCompile(`"nextCursor":"[^"]*"`)
)

// ordinals numbers what is made at random, by its order, and names what is theirs.
type ordinals struct {
	theirs whatIsTheirs
	seen   []string
}

func (n *ordinals) answer(s string) string {
	for word, is := range n.theirs {
		s = strings.ReplaceAll(strings.ReplaceAll(s, url.QueryEscape(is), word), is, word)
	}
	s = madeCursor.ReplaceAllString(s, `"nextCursor":"…"`)
	return madeID.ReplaceAllStringFunc(s, func(id string) string {
		at := slices.Index(n.seen, id)
		if at < 0 {
			at = len(n.seen)
			n.seen = append(n.seen, id)
		}
		return fmt.Sprint(id[:4], at)
	})
}

const (
	patchURN  = `"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]`
	searchURN = `"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]`
	bulkURN   = `"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"]`
	userURN   = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]`
	groupURN  = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"]`
)

// crossingsOf are, for every route, the ways in which one customer may name what is
// another's. MINE and MYGROUP are the asker's own.
func crossingsOf() map[string][]asking {
	off := `{` + patchURN + `,"Operations":[{"op":"replace","path":"active","value":false}]}`
	join := func(op string) string { return `{` + patchURN + `,"Operations":[` + op + `]}` }
	versions := []string{"If-Match: VERSION", "If-Match: *", "If-None-Match: VERSION", "If-None-Match: *"}
	guarded := func(path, body string) (all []asking) {
		for _, v := range versions {
			all = append(all, asking{path, body, []string{v}})
		}
		return append(all, asking{path: path, body: body})
	}
	lists := func(path string) []asking {
		var all []asking
		for _, f := range []string{`id eq "PERSON" or id eq "GROUP"`, `id ne "PERSON" and id ne "GROUP"`, `externalId eq "EXTERNAL"`, `meta.location ew "PERSON" or meta.location ew "GROUP"`,
			map[string]string{"/Users": `userName eq "NAME" or emails.value eq "NAME" or groups.value eq "GROUP" or groups.display eq "TEAM" or manager.value eq "PERSON"`,
				"/Groups": `displayName eq "TEAM" or members.value eq "PERSON" or members[value eq "PERSON"] or members.display eq "NAME" or not (members.value eq "PERSON")`}[path]} {
			q := path + "?filter=" + url.QueryEscape(f)
			all = append(all, asking{path: q}, asking{path: q + "&count=0"}, asking{path: q + "&cursor"}, asking{path: q + "&sortBy=externalId&sortOrder=descending"})
		}
		return append(all, asking{path: path + "?cursor=CURSOR"}, asking{path: path + "?cursor=CURSOR&count=1"}, asking{path: path}, asking{path: path + "?startIndex=2&count=1"},
			asking{path: path, headers: []string{"If-None-Match: VERSION"}})
	}
	search := func(path string) []asking {
		return []asking{{path: path, body: `{` + searchURN + `,"filter":"id eq \"PERSON\" or id eq \"GROUP\" or externalId eq \"EXTERNAL\""}`},
			{path: path, body: `{` + searchURN + `,"filter":"not (id eq \"PERSON\" or id eq \"GROUP\")"}`},
			{path: path, body: `{` + searchURN + `,"cursor":"CURSOR"}`}, {path: path, body: `{` + searchURN + `,"cursor":"CURSOR","count":1}`}}
	}
	return map[string][]asking{
		"GET Users": lists("/Users"),
		"POST Users": {
			{path: "/Users", body: `{` + userURN + `,"userName":"NAME","externalId":"EXTERNAL","id":"PERSON","emails":[{"value":"NAME"}]}`},
			{path: "/Users", body: `{` + userURN + `,"userName":"managed@banksia.example","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"PERSON","$ref":"../Users/PERSON"}},"groups":[{"value":"GROUP"}]}`},
			{path: "/Users", body: `{` + userURN + `,"userName":"versioned@banksia.example"}`, headers: []string{"If-None-Match: VERSION"}}},
		"GET Users/*":    append(guarded("/Users/PERSON", ""), asking{path: "/Users/GROUP"}, asking{path: "/Users/MINE", headers: []string{"If-None-Match: VERSION"}}),
		"PUT Users/*":    append(guarded("/Users/PERSON", `{`+userURN+`,"userName":"NAME"}`), asking{path: "/Users/MINE", body: `{` + userURN + `,"id":"PERSON","userName":"mine@banksia.example","externalId":"EXTERNAL","groups":[{"value":"GROUP"}]}`}),
		"PATCH Users/*":  append(guarded("/Users/PERSON", off), asking{path: "/Users/MINE", body: join(`{"op":"add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":{"value":"PERSON"}}`)}),
		"DELETE Users/*": guarded("/Users/PERSON", ""),
		"POST Users/.search": append(search("/Users/.search"),
			asking{path: "/Users/.search", body: `{` + searchURN + `,"filter":"userName eq \"NAME\" or groups[value eq \"GROUP\"]","sortBy":"groups.display"}`}),
		"GET Groups": lists("/Groups"),
		"POST Groups": {
			{path: "/Groups", body: `{` + groupURN + `,"displayName":"TEAM","externalId":"EXTERNAL","id":"GROUP"}`},
			{path: "/Groups", body: `{` + groupURN + `,"displayName":"Their people","members":[{"value":"PERSON"},{"value":"MINE"},{"value":"GROUP","type":"Group"}]}`}},
		"GET Groups/*": append(guarded("/Groups/GROUP", ""), asking{path: "/Groups/GROUP?attributes=members"}, asking{path: "/Groups/PERSON"}),
		"PUT Groups/*": append(guarded("/Groups/GROUP", `{`+groupURN+`,"displayName":"Stolen","members":[]}`),
			asking{path: "/Groups/MYGROUP", body: `{` + groupURN + `,"displayName":"GL Geelong Managers","members":[{"value":"MINE"},{"value":"PERSON"}]}`}),
		"PATCH Groups/*": append(guarded("/Groups/GROUP", join(`{"op":"add","path":"members","value":[{"value":"MINE"}]}`)),
			asking{path: "/Groups/MYGROUP", body: join(`{"op":"add","path":"members","value":[{"value":"PERSON"}]}`)},
			asking{path: "/Groups/MYGROUP?attributes=members", body: join(`{"op":"add","value":{"members":[{"value":"PERSON"},{"value":"MINE"}]}}`)},
			asking{path: "/Groups/MYGROUP", body: join(`{"op":"remove","path":"members[value eq \"PERSON\"]"}`)},
			asking{path: "/Groups/MYGROUP", body: join(`{"op":"remove","path":"members","value":[{"value":"PERSON"}]}`)},
			asking{path: "/Groups/MYGROUP", body: join(`{"op":"replace","path":"members","value":[{"value":"PERSON"}]}`)},
			asking{path: "/Groups/MYGROUP", body: join(`{"op":"replace","path":"members","value":[{"value":"PERSON"},{"value":"MINE"}]}`)},
			asking{path: "/Groups/MYGROUP", body: join(`{"op":"replace","path":"displayName","value":"TEAM"}`)}),
		"DELETE Groups/*":     guarded("/Groups/GROUP", ""),
		"POST Groups/.search": append(search("/Groups/.search"), asking{path: "/Groups/.search", body: `{` + searchURN + `,"filter":"displayName eq \"TEAM\" or members.value eq \"PERSON\""}`}),
		"POST Bulk": {
			{path: "/Bulk", body: `{` + bulkURN + `,"Operations":[{"method":"DELETE","path":"/Users/PERSON"},{"method":"PATCH","path":"/Groups/GROUP","data":` + off + `},{"method":"PUT","path":"/Users/PERSON","version":"W/\"1\"","data":{` + userURN + `,"userName":"NAME"}}]}`},
			{path: "/Bulk", body: `{` + bulkURN + `,"Operations":[{"method":"POST","path":"/Users","bulkId":"PERSON","data":{` + userURN + `,"userName":"bulk@banksia.example"}},{"method":"POST","path":"/Groups","bulkId":"GROUP","data":{` + groupURN + `,"displayName":"Bulk","members":[{"value":"bulkId:PERSON"},{"value":"PERSON"}]}}]}`},
			{path: "/Bulk", body: `{` + bulkURN + `,"Operations":[{"method":"PATCH","path":"/Groups/MYGROUP","data":` + join(`{"op":"add","path":"members","value":[{"value":"bulkId:PERSON"}]}`) + `}]}`}},
		"GET ": {{path: "?filter=" + url.QueryEscape(`id eq "PERSON" or id eq "GROUP" or members.value eq "PERSON" or userName eq "NAME"`)}, {path: "?filter=" + url.QueryEscape(`not (id eq "PERSON")`)},
			{path: "?cursor=CURSOR"}, {path: "?cursor=CURSOR&count=1"}, {path: "?cursor"}, {path: ""}, {path: "/"}},
		"POST .search":              append(search("/.search"), asking{path: "/.search", body: `{` + searchURN + `,"filter":"members.value eq \"PERSON\" or groups.value eq \"GROUP\" or userName eq \"NAME\""}`}),
		"GET Roles":                 lists("/Roles"),
		"GET Roles/*":               append(guarded("/Roles/PERSON", ""), asking{path: "/Roles/GROUP"}),
		"POST Roles/.search":        search("/Roles/.search"),
		"GET Entitlements":          lists("/Entitlements"),
		"GET Entitlements/*":        append(guarded("/Entitlements/PERSON", ""), asking{path: "/Entitlements/ent_PERSON"}),
		"POST Entitlements/.search": search("/Entitlements/.search"),
		"GET AsyncResults/*":        {{path: "/AsyncResults/PERSON"}},
		"GET ServiceProviderConfig": {{path: "/ServiceProviderConfig"}, {path: "/ServiceProviderConfig?filter=" + url.QueryEscape(`id eq "PERSON"`)}},
		"GET ResourceTypes":         {{path: "/ResourceTypes"}, {path: "/ResourceTypes?filter=" + url.QueryEscape(`id eq "PERSON"`)}},
		"GET ResourceTypes/*":       {{path: "/ResourceTypes/User"}, {path: "/ResourceTypes/PERSON"}},
		"GET Schemas":               {{path: "/Schemas"}, {path: "/Schemas?filter=" + url.QueryEscape(`id eq "PERSON"`)}},
		"GET Schemas/*":             {{path: "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User"}, {path: "/Schemas/PERSON"}},
	}
}

// casesOf gives the cases of every route that the server has, in order; GET's are
// HEAD's, too. A route without any, and a case without a route, fail.
func casesOf(t *testing.T, server *scim.Server, cases map[string][]asking) (routes []string) {
	t.Helper()
	routes = server.Routes()
	for _, r := range routes {
		if len(cases[strings.Replace(r, "HEAD ", "GET ", 1)]) == 0 {
			t.Errorf("nobody has tried %s with what is another customer's", r)
		}
	}
	for r := range cases {
		if !slices.Contains(routes, r) {
			t.Errorf("%s is no route", r)
		}
	}
	return routes
}

// neighbours is a world with two customers that have the same names, and what one
// of them, banksia, could know of the other.
func neighbours(t *testing.T) (w *world, mine, myGroup string, theirs whatIsTheirs) {
	w = newWorld(t)
	w.person(southern, "first@southern.example", "ext-first")
	person := w.person(southern, "name@southern.example", "ext-theirs")
	group := w.group(southern, "GL Hobart Managers", person)
	walk := w.must(200, southern, "GET", "/Users?cursor&count=1", "")
	mine = w.person(banksia, "mine@banksia.example", "ext-mine")
	other := w.person(banksia, "other@banksia.example", "ext-other")
	myGroup = w.group(banksia, "GL Geelong Managers", mine, other)
	return w, mine, myGroup, whatIsTheirs{"PERSON": person, "GROUP": group, "NAME": "name@southern.example", "EXTERNAL": "ext-theirs", "TEAM": "GL Hobart Managers",
		"CURSOR": walk["nextCursor"].(string), "TOKEN": w.tokens[southern], "VERSION": `W/"1"`, "CONNECTION": southern}
}

// nobodys has the same words, for what never was.
func nobodys(theirs whatIsTheirs) whatIsTheirs {
	other := whatIsTheirs{}
	for word, is := range theirs {
		other[word] = is
	}
	spoil := func(s string) string { return s[:len(s)-6] + strings.Repeat("0", 6) }
	for _, word := range []string{"PERSON", "GROUP", "CURSOR", "TOKEN"} {
		other[word] = spoil(theirs[word])
	}
	other["NAME"], other["EXTERNAL"], other["TEAM"], other["CONNECTION"] = "xxxx@southern.example", "ext-nobody", "GL Nobody Managers", "nobodys-entra"
	return other
}

// TestI7_EveryRouteAnswersWhatIsForeignAsUnknown: in two worlds that are alike, one
// customer sends the same requests to every route there is: in one world with what
// is another customer's, in the other with what never was. Each answer is the same,
// byte for byte, and the other customer is untouched (T-C2, I-7).
func TestI7_EveryRouteAnswersWhatIsForeignAsUnknown(t *testing.T) {
	t.Parallel()
	cases := crossingsOf()
	transcript := func(foreign bool) (all []string) {
		w, mine, myGroup, theirs := neighbours(t)
		before := w.visible(southern)
		if !foreign {
			theirs = nobodys(theirs)
		}
		clean := &ordinals{theirs: theirs}
		for _, route := range casesOf(t, w.scim.(*scim.Server), cases) {
			method, _, _ := strings.Cut(route, " ")
			for _, c := range cases[strings.Replace(route, "HEAD ", "GET ", 1)] {
				w.clock.Add(time.Second)
				fill := func(s string, escape func(string) string) string {
					s = strings.NewReplacer("MYGROUP", myGroup, "MINE", mine).Replace(s)
					for _, word := range []string{"PERSON", "GROUP", "NAME", "EXTERNAL", "TEAM", "CURSOR", "VERSION"} {
						s = strings.ReplaceAll(s, word, escape(theirs[word]))
					}
					return s
				}
				asItIs := func(s string) string { return s }
				var headers []string
				for _, h := range c.headers {
					headers = append(headers, fill(h, asItIs))
				}
				path, body := fill(c.path, url.QueryEscape), fill(c.body, asItIs)
				for _, as := range []struct {
					connection access.ConnectionID
					token      string
				}{{banksia, w.tokens[banksia]}, {banksia, theirs["TOKEN"]}, {access.ConnectionID(theirs["CONNECTION"]), w.tokens[banksia]}} {
					all = append(all, fmt.Sprintf("%s %s %s %v\n%s", method, c.path, c.body, c.headers, clean.answer(w.ask(as.connection, as.token, method, path, body, headers...))))
				}
			}
		}
		if after := w.visible(southern); after != before {
			t.Errorf("the other customer had\n%s\nand has\n%s", before, after)
		}
		return all
	}
	unknown, foreign := transcript(false), transcript(true)
	refused := 0
	for i := range unknown {
		if unknown[i] != foreign[i] {
			t.Errorf("%s\nwith what is another customer's: %s", unknown[i], foreign[i])
		}
		if strings.Contains(unknown[i], "\n401 ") {
			refused++
		}
	}
	if want := len(unknown) / 3 * 2; refused != want {
		t.Errorf("%d of %d requests with a wrong credential were refused", refused, want)
	}
}

// visible is all that a customer's provider can see.
func (w *world) visible(c access.ConnectionID) string {
	return w.ask(c, w.tokens[c], "GET", "/Users", "") + w.ask(c, w.tokens[c], "GET", "/Groups", "")
}

// TestI7_ACustomerSeesNothingOfWhatAnotherDoes: the same script, with and without
// another customer's busy traffic in between, is answered with the same bytes, but
// for what is made at random (I-7).
func TestI7_ACustomerSeesNothingOfWhatAnotherDoes(t *testing.T) {
	t.Parallel()
	transcript := func(busy bool) (all []string) {
		w := newWorld(t)
		clean := &ordinals{}
		ours, others := &actor{w: w, c: southern, d: rand.New(rand.NewPCG(1, 2))}, &actor{w: w, c: banksia, d: rand.New(rand.NewPCG(3, 4))} //nolint:gosec // test data
		for range 120 {
			w.clock.Add(time.Second)
			if busy {
				for range others.d.IntN(4) {
					others.act()
				}
			}
			all = append(all, clean.answer(ours.act()))
		}
		return append(all, clean.answer(w.visible(southern)))
	}
	quiet, busy := transcript(false), transcript(true)
	for i := range quiet {
		if quiet[i] != busy[i] {
			t.Fatalf("step %d, alone:\n%s\nbeside another customer:\n%s", i, quiet[i], busy[i])
		}
	}
}

// actor is a provider that does this and that, with names that others have, too.
type actor struct {
	w              *world
	c              access.ConnectionID
	d              *rand.Rand
	people, groups []string
	cursor         string
}

var made = regexp.MustCompile(`"id":"((?:per|grp)_[^"]*)"`)

func (a *actor) one(ids []string) string {
	if len(ids) == 0 {
		return "per_0000000000000000"
	}
	return ids[a.d.IntN(len(ids))]
}

func (a *actor) act() string {
	send := func(method, path, body string) string {
		return method + " " + path + " " + a.w.ask(a.c, a.w.tokens[a.c], method, path, body)
	}
	patch := func(op string) string { return `{` + patchURN + `,"Operations":[` + op + `]}` }
	name, team := fmt.Sprintf("p%d@shared.example", a.d.IntN(12)), fmt.Sprintf("GL %s Managers", []string{"Geelong", "Hobart", "Cairns", "Perth"}[a.d.IntN(4)])
	switch a.d.IntN(12) {
	case 0, 1, 2:
		answer := send("POST", "/Users", fmt.Sprintf(`{%s,"userName":%q,"externalId":%q,"active":true,"title":"Fitter"}`, userURN, name, name))
		if m := made.FindStringSubmatch(answer); m != nil {
			a.people = append(a.people, m[1])
		}
		return answer
	case 3:
		answer := send("POST", "/Groups", fmt.Sprintf(`{%s,"displayName":%q,"members":[{"value":%q}]}`, groupURN, team, a.one(a.people)))
		if m := made.FindStringSubmatch(answer); m != nil {
			a.groups = append(a.groups, m[1])
		}
		return answer
	case 4:
		return send("PATCH", "/Groups/"+a.one(a.groups), patch(fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":%q}]}`, a.one(a.people))))
	case 5:
		return send("PATCH", "/Users/"+a.one(a.people), patch(fmt.Sprintf(`{"op":"replace","path":"active","value":%t}`, a.d.IntN(2) == 0)))
	case 6:
		return send("DELETE", "/Users/"+a.one(a.people), "")
	case 7:
		return send("GET", "/Users?filter="+url.QueryEscape(fmt.Sprintf(`userName eq %q or title eq "fitter"`, name))+"&count=5", "")
	case 8:
		return send("GET", "/Groups?filter="+url.QueryEscape(fmt.Sprintf(`displayName eq %q`, team)), "")
	case 9:
		answer := send("GET", "/Users?count=2&cursor="+url.QueryEscape(a.cursor), "")
		a.cursor = ""
		if _, rest, found := strings.Cut(answer, `"nextCursor":"`); found {
			a.cursor, _, _ = strings.Cut(rest, `"`)
		}
		return strings.Split(answer, "cursor=")[0] + madeCursor.ReplaceAllString(answer[strings.LastIndex(answer, `{"schemas"`):], "")
	case 10:
		return send("POST", "/Bulk", fmt.Sprintf(`{%s,"Operations":[{"method":"POST","path":"/Users","bulkId":"a","data":{%s,"userName":%q}},{"method":"DELETE","path":"/Groups/%s"}]}`, bulkURN, userURN, name, a.one(a.groups)))
	}
	return send("GET", "/Groups/"+a.one(a.groups), "")
}
