package postgres

import (
	"context"
	"fmt"
	"hash/fnv"
	"regexp"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// names are what the engine knows of the schema: of each table its first column, of each
// unique index its last.
type names struct {
	first  map[string]string
	last   map[string]string
	keys   map[string]string  // by table, the sequence that its first column is from
	refers map[[2]string]bool // a table's rows, to another's
	texts  sync.Map           // inserts, with what they return
	keyed  sync.Map           // inserts, with the key as their last parameter
}

const namesSQL = `select 't', c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum = 1
	where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'
	union all select 'i', c.relname, a.attname from pg_index i join pg_class c on c.oid = i.indexrelid
	join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indnatts
	where c.relnamespace = current_schema()::regnamespace and i.indisunique
	union all select 's', c.relname, pg_get_serial_sequence(quote_ident(c.relname), a.attname) from pg_class c
	join pg_attribute a on a.attrelid = c.oid and a.attnum = 1 and a.attidentity <> ''
	where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'
	union all select 'f', c.relname, r.relname from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_class r on r.oid = f.confrelid
	where f.contype = 'f' and c.relnamespace = current_schema()::regnamespace`

func readNames(ctx context.Context, pg *pgconn.PgConn) (*names, error) {
	n := &names{first: map[string]string{}, last: map[string]string{}, keys: map[string]string{}, refers: map[[2]string]bool{}}
	results, err := pg.Exec(ctx, namesSQL).ReadAll()
	if err != nil {
		return nil, classify(err, n.lastColumn)
	}
	for _, values := range results[0].Rows {
		if string(values[0]) == "f" {
			n.refers[[2]string{string(values[1]), string(values[2])}] = true
			continue
		}
		of := map[string]map[string]string{"t": n.first, "i": n.last, "s": n.keys}[string(values[0])]
		of[string(values[1])] = string(values[2])
	}
	return n, nil
}

func (n *names) lastColumn(constraint string) string { return n.last[constraint] }

var inserts = regexp.MustCompile(`(?i)^\s*insert into (\w+)`)

// returning makes an insert return the table's first column.
func (n *names) returning(query string) (string, error) {
	if text, known := n.texts.Load(query); known {
		return text.(string), nil
	}
	table := inserts.FindStringSubmatch(query)
	if table == nil || n.first[table[1]] == "" {
		return "", fault.New(fault.Internal, op, "this inserts into no table: %s", query)
	}
	text := query + " returning " + n.first[table[1]]
	n.texts.Store(query, text)
	return text, nil
}

var oneRow = regexp.MustCompile(`(?is)^\s*insert into (\w+) \(([^()]*)\)\s*values \((.*)\)$`)

// withKey is an insert of one row that takes its key as one more parameter; "": this one cannot.
func (n *names) withKey(query string, params int) (text, table string) {
	if known, ok := n.keyed.Load(query); ok {
		found := known.([2]string)
		return found[0], found[1]
	}
	if parts := oneRow.FindStringSubmatch(query); parts != nil && n.keys[parts[1]] != "" {
		table = parts[1]
		text = fmt.Sprintf("insert into %s (%s, %s) values ($%d, %s)", table, n.first[table], parts[2], params+1, parts[3])
	}
	n.keyed.Store(query, [2]string{text, table})
	return text, table
}

// Advisory locks are pairs of integers: the first is ours.
const (
	lockSpace   = 0x64726272 // "drbr"
	orderLock   = "1685217906, 1"
	migrateLock = "1685217906, 2"
	writeLock   = "1685217906, 3" // shared by all who write, but for one who must be alone
)

// lockOf is the lock of those who write in a connection; "" is the host. Two connections
// may have the same one: they only wait for each other then.
func lockOf(conn access.ConnectionID) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte("connection " + conn))                                  // never fails
	return strconv.Itoa(lockSpace+1) + ", " + strconv.Itoa(int(int32(h.Sum32()))) //nolint:gosec // any 32 bits do
}
