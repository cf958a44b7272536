package sqlitedb

import (
	"fmt"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// What a caller gets wrong is an internal fault that says so, and the connection
// serves the next one as if nothing had been.
func TestMistakesOfTheCallerAreNamed(t *testing.T) {
	d := open(t)
	twoRows := `select 1 union all select 2`
	for name, fn := range map[string]func(Querier) error{
		"too few arguments":      func(q Querier) error { return q.QueryRow(`select $1, $2`, 1).Scan(new(int), new(int)) },
		"too many arguments":     func(q Querier) error { return q.QueryRow(`select $1`, 1, 2).Scan(new(int)) },
		"an unknown parameter":   func(q Querier) error { return q.QueryRow(`select :name`, 1).Scan(new(int)) },
		"an argument of no type": func(q Querier) error { return q.QueryRow(`select $1`, struct{}{}).Scan(new(int)) },
		"too few places":         func(q Querier) error { return q.QueryRow(`select 1, 2`).Scan(new(int)) },
		"NULL into text":         func(q Querier) error { return q.QueryRow(`select null`).Scan(new(string)) },
		"text into a number":     func(q Querier) error { return q.QueryRow(`select 'a'`).Scan(new(int64)) },
		"a number into text":     func(q Querier) error { return q.QueryRow(`select 1`).Scan(new(string)) },
		"two statements":         func(q Querier) error { return q.QueryRow(`select 1; select 2`).Scan(new(int)) },
		"two statements at once": func(q Querier) error { return q.Search(t.Context(), ignore, `select 1; select 2`) },
		"bad SQL":                func(q Querier) error { return q.Search(t.Context(), ignore, `select nonsense`) },
		"a statement inside itself": func(q Querier) error {
			return q.Each(func(Row) error { return q.Each(ignore, twoRows) }, twoRows)
		},
		"a search inside a statement": func(q Querier) error {
			return q.Each(func(Row) error { return q.Search(t.Context(), ignore, `select 3`) }, twoRows)
		},
		"a search inside a search": func(q Querier) error {
			return q.Search(t.Context(), func(Row) error { return q.Search(t.Context(), ignore, `select 3`) }, twoRows)
		},
	} {
		if err := d.View(t.Context(), fn); !fault.Is(err, fault.Internal) {
			t.Errorf("%s: %v", name, err)
		}
		if count(t, d) != 0 {
			t.Errorf("%s: the reader is of no use any more", name)
		}
	}
}

func TestParametersAreTakenByTheirNumber(t *testing.T) {
	d := open(t)
	err := d.View(t.Context(), func(q Querier) error {
		var first, second, third string
		if err := q.QueryRow(`select $2, $1, $2`, "a", "b").Scan(&first, &second, &third); err != nil {
			return err
		}
		if first+second+third != "bab" {
			t.Errorf("%s, %s, %s", first, second, third)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A statement may run others while it is on a row, also when so many are kept that
// some must go: never the one that runs.
func TestStatementsAreKeptUpToALimit(t *testing.T) {
	d := open(t)
	err := d.View(t.Context(), func(q Querier) error {
		rows := 0
		err := q.Each(func(Row) error {
			rows++
			for i := range maxStatements + 10 {
				var got int
				if err := q.QueryRow(fmt.Sprintf(`select %d`, i)).Scan(&got); err != nil || got != i {
					return fmt.Errorf("%d, want %d: %w", got, i, err)
				}
			}
			return nil
		}, `select 1 union all select 2`)
		if rows != 2 {
			t.Errorf("%d rows, want 2", rows)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range d.all {
		if len(s.stmts) > maxStatements {
			t.Errorf("%d statements are kept", len(s.stmts))
		}
	}
}

func TestValuesComeBackAsTheyWent(t *testing.T) {
	type name string
	type number int64
	d := open(t)
	err := d.View(t.Context(), func(q Querier) error {
		var n name
		var i number
		var yes bool
		var blob, none []byte
		err := q.QueryRow(`select $1, $2, $3, $4, $5`, name("Ā"), number(1<<62), true, []byte{0, 1}, nil).Scan(&n, &i, &yes, &blob, &none)
		if n != "Ā" || i != 1<<62 || !yes || len(blob) != 2 || none != nil {
			t.Errorf("%v %v %v %v %v", n, i, yes, blob, none)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Views that come one after the other are all read by one connection: a statement is
// prepared once, not once on each of them.
func TestOneAfterTheOtherIsReadByOneConnection(t *testing.T) {
	d := open(t)
	const query = `select 1`
	for range 20 {
		err := d.View(t.Context(), func(q Querier) error {
			var one int
			return q.QueryRow(query).Scan(&one)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	prepared := 0
	for _, s := range d.all {
		if s.stmts[query] != nil {
			prepared++
		}
	}
	if prepared != 1 {
		t.Errorf("20 views of one statement prepared it %d times", prepared)
	}
}
