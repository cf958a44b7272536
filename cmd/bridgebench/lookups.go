package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"
)

// aPage is the largest page there is.
const aPage = 200

// lookups measures what an index answers beside a read by id, pages, and a walk over
// everybody.
func lookups(ctx context.Context, b *bridge, s size, t *table) error {
	host, prefix, auth, err := b.scim(connection)
	if err != nil {
		return err
	}
	for _, ask := range []struct {
		what string
		path func(n int) string
	}{
		{"GET /Users?filter=id eq", func(n int) string { return filtered("/Users?", `id eq "%s"`, people[n]) }},
		{"GET /Users?filter=emails.value eq", func(n int) string { return filtered("/Users?", `emails.value eq "bench-%d@banksia.example"`, n) }},
		{"GET /Users?filter=emails[type eq and value eq]", func(n int) string {
			return filtered("/Users?", `emails[type eq "work" and value eq "bench-%d@banksia.example"]`, n)
		}},
		{"GET /Groups?filter=members[value eq]", func(n int) string {
			return filtered("/Groups?excludedAttributes=members&", `members[value eq "%s"]`, people[n])
		}},
		{fmt.Sprintf("GET /Users, a page of %d with their groups", aPage), func(n int) string {
			return fmt.Sprintf("/Users?count=%d&startIndex=%d", aPage, 1+n%min(1000, len(people)))
		}},
		{"GET /Users, how many there are", func(int) string { return "/Users?count=0" }},
	} {
		r, err := b.load(ctx, host, s.conns, s.perRun, anyCount, func(w *wire, _ int64) error {
			status, answer, err := w.do("GET", prefix+ask.path(rand.IntN(len(people))), auth, "", "")
			return expect(200, status, answer, err)
		})
		if err != nil {
			return err
		}
		t.add(ask.what, r)
	}
	return walk(b, t)
}

func filtered(path, form string, value any) string {
	return path + "filter=" + url.QueryEscape(fmt.Sprintf(form, value))
}

// walk goes over everybody by cursors, and tells each fifth of the way apart.
func walk(b *bridge, t *table) error {
	host, prefix, auth, err := b.scim(connection)
	if err != nil {
		return err
	}
	w, err := dial(host)
	if err != nil {
		return err
	}
	defer w.c.Close()
	fifth := max(1, len(people)/aPage/5)
	cursor := ""
	for part := range 5 {
		before, err := b.spent()
		if err != nil {
			return err
		}
		began := time.Now()
		for range fifth {
			status, answer, err := w.do("GET", fmt.Sprintf("%s/Users?count=%d&cursor=%s", prefix, aPage, url.QueryEscape(cursor)), auth, "", "")
			if err := expect(200, status, answer, err); err != nil {
				return err
			}
			if cursor, err = field(answer, "nextCursor"); err != nil {
				return err
			}
		}
		took := time.Since(began)
		after, err := b.spent()
		if err != nil {
			return err
		}
		each := time.Duration(fifth)
		t.rows = append(t.rows, []string{fmt.Sprintf("walk over %d people by cursors, a page of %d, fifth %d of 5", len(people), aPage, part+1), "", short(took / each), "", short((after.bridge - before.bridge) / each)})
	}
	return nil
}
