// Package register reads and writes the vendor's certification register as a table: whom
// it names, which level they have, and until when.
package register

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/suggest"
)

// What a table holds at most.
const (
	MaxBytes  = 8 << 20
	MaxRows   = 50_000
	MaxFaults = 100 // of which the first are told
	MaxUser   = 320 // characters of a userName, an address or an id
	MaxNote   = 200 // characters
	maxID     = 128
)

// Row is one line of the register: a person of a connection, by userName, e-mail address
// or id, and what the vendor says of them.
type Row struct {
	Line       int // of the table; 0: it is of none
	Connection access.ConnectionID
	User       string
	Level      string
	Until      time.Time // zero: no end
	Note       string
}

// Certification is what the row says.
func (r Row) Certification() access.Certification {
	return access.Certification{Level: r.Level, Until: r.Until}
}

// Fault is what is wrong at a place of a table, both counted from 1; column counts bytes.
type Fault struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Text   string `json:"text"`
}

// Columns are those of a table. The first four must be there, in any order.
func Columns() []string { return []string{"connection", "user", "level", "until", "note"} }

const needed = 4

// DayFormat is how an end is written that is a day: it is certified to the last instant of
// that day, in UTC.
const DayFormat = time.DateOnly

// Parse reads a table as RFC 4180 has it, in UTF-8, with its header. It says all that is
// wrong with it at once, in the order of the lines; rows are those that nothing is wrong with.
func Parse(table []byte) (rows []Row, faults []Fault) {
	p := parser{seen: map[string]int{}}
	if len(table) > MaxBytes {
		return nil, []Fault{{1, 1, fmt.Sprintf("the table has more than %d MiB; import it in parts", MaxBytes>>20)}}
	}
	if !utf8.Valid(table) {
		return nil, []Fault{{notUTF8(table), 1, "this is not UTF-8: save the table as CSV in UTF-8"}}
	}
	p.csv = csv.NewReader(bytes.NewReader(bytes.TrimPrefix(table, []byte("\ufeff"))))
	p.csv.FieldsPerRecord = -1
	if p.header(); len(p.faults) > 0 {
		return nil, p.faults
	}
	for p.next() {
		if len(p.faults) > MaxFaults {
			break
		}
	}
	slices.SortStableFunc(p.faults, func(a, b Fault) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) })
	return p.rows, p.faults
}

// notUTF8 is the line on which a table stops being UTF-8.
func notUTF8(table []byte) int {
	line := 1
	for l := range bytes.Lines(table) {
		if !utf8.Valid(l) {
			return line
		}
		line++
	}
	return line
}

type parser struct {
	csv     *csv.Reader
	columns []string
	seen    map[string]int // whom, by line
	rows    []Row
	faults  []Fault
}

func (p *parser) say(line, column int, format string, args ...any) {
	p.faults = append(p.faults, Fault{line, column, fmt.Sprintf(format, args...)})
}

func (p *parser) header() {
	all := Columns()
	head, err := p.csv.Read()
	if err != nil {
		p.say(1, 1, "the first line names the columns: %s", strings.Join(all, ","))
		return
	}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(name))
		line, column := p.csv.FieldPos(i)
		switch {
		case !slices.Contains(all, name):
			p.say(line, column, "there is no column %q; there are %s", name, strings.Join(all, ", "))
		case slices.Contains(p.columns, name):
			p.say(line, column, "the column %s comes twice", name)
		}
		p.columns = append(p.columns, name)
	}
	for _, name := range all[:needed] {
		if !slices.Contains(p.columns, name) {
			p.say(1, 1, "the column %s is missing", name)
		}
	}
}

// next reads one line; false at the end.
func (p *parser) next() bool {
	record, err := p.csv.Read()
	if errors.Is(err, io.EOF) {
		return false
	}
	var bad *csv.ParseError
	if errors.As(err, &bad) {
		p.say(bad.Line, bad.Column, "this is not CSV: %v", bad.Err)
		return true
	}
	if err != nil {
		p.say(1, 1, "the table cannot be read: %v", err)
		return false
	}
	line, column := p.csv.FieldPos(0)
	if len(record) != len(p.columns) {
		p.say(line, column, "the line has %d fields, and the header %d", len(record), len(p.columns))
		return true
	}
	if len(p.rows) >= MaxRows {
		p.say(line, column, "the table has more than %d lines; import it in parts", MaxRows)
		return false
	}
	told := len(p.faults)
	r := Row{Line: line}
	for i, name := range p.columns {
		p.cell(&r, i, name, opened(strings.TrimSpace(record[i])))
	}
	if len(p.faults) == told && p.once(r) {
		p.rows = append(p.rows, r)
	}
	return true
}

// once reports whether nobody is named by two lines.
func (p *parser) once(r Row) bool {
	whom := string(r.Connection) + "\x00" + strings.ToLower(r.User)
	if before, twice := p.seen[whom]; twice {
		p.say(r.Line, 1, "%s of %s stands on line %d already", r.User, r.Connection, before)
		return false
	}
	p.seen[whom] = r.Line
	return true
}

func (p *parser) cell(r *Row, i int, name, value string) {
	line, column := p.csv.FieldPos(i)
	say := func(err error) {
		if err != nil {
			p.say(line, column, "%v", err)
		}
	}
	switch name {
	case "connection":
		r.Connection = access.ConnectionID(value)
		say(checkText("connection", value, maxID, true))
	case "user":
		r.User = value
		say(checkText("user", value, MaxUser, true))
	case "level":
		r.Level = value
		say(CheckLevel(value))
	case "until":
		var err error
		r.Until, err = ParseUntil(value)
		say(err)
	case "note":
		r.Note = value
		say(checkText("note", value, MaxNote, false))
	}
}

// Check says what is wrong with a row that came by other ways than a table.
func (r Row) Check() error {
	return cmp.Or(checkText("connection", string(r.Connection), maxID, true), checkText("user", r.User, MaxUser, true),
		CheckLevel(r.Level), checkText("note", r.Note, MaxNote, false))
}

func checkText(what, value string, most int, needed bool) error {
	switch {
	case value == "" && needed:
		return fmt.Errorf("the %s is empty", what)
	case utf8.RuneCountInString(value) > most:
		return fmt.Errorf("the %s is longer than %d characters", what, most)
	case !utf8.ValidString(value) || strings.TrimSpace(value) != value || strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("the %s holds a character that is not printed, or begins or ends with space", what)
	}
	return nil
}

// CheckLevel holds a level to those that count: a misspelt one would take access away.
func CheckLevel(level string) error {
	all := access.CertificationLevels()
	if slices.Contains(all, level) {
		return nil
	}
	if near := suggest.Closest(level, all); near != "" {
		return fmt.Errorf("%q is not a certification that counts; did you mean %q?", level, near)
	}
	return fmt.Errorf("%q is not a certification that counts; there are: %s", level, strings.Join(all, ", "))
}

// ParseUntil reads an end: an instant of RFC 3339, or a day, at the end of which (UTC) it is
// over. "" is no end.
func ParseUntil(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.Parse(DayFormat, text)
	until := day.AddDate(0, 0, 1)
	if err != nil {
		if until, err = time.Parse(time.RFC3339, text); err != nil {
			return time.Time{}, fmt.Errorf("until %q is neither a day such as 2027-06-30 nor an instant such as 2027-06-30T16:00:00+10:00", text)
		}
	}
	if until = until.UTC().Truncate(time.Millisecond); until.Year() < 1971 || until.Year() > 9999 {
		return time.Time{}, fmt.Errorf("until %q lies in no year from 1971 to 9999", text)
	}
	return until, nil
}

// FormatUntil writes an end so that ParseUntil reads it.
func FormatUntil(until time.Time) string {
	until = until.UTC()
	switch {
	case until.IsZero():
		return ""
	case until.Equal(until.Truncate(24 * time.Hour)):
		return until.AddDate(0, 0, -1).Format(DayFormat)
	}
	return until.Format(time.RFC3339Nano)
}

// Write writes rows as a table that Parse reads.
func Write(w io.Writer, rows []Row) error {
	t := NewWriter(w)
	for _, r := range rows {
		t.Write(r)
	}
	return t.Flush()
}

// Writer writes a table row by row.
type Writer struct {
	csv *csv.Writer
	err error
}

// NewWriter begins a table.
func NewWriter(w io.Writer) *Writer {
	t := &Writer{csv: csv.NewWriter(w)}
	t.csv.UseCRLF = true
	t.err = t.csv.Write(Columns())
	return t
}

// Write adds a row. Flush tells of its errors.
func (t *Writer) Write(r Row) {
	if t.err == nil {
		t.err = t.csv.Write([]string{closed(string(r.Connection)), closed(r.User), r.Level, FormatUntil(r.Until), closed(r.Note)})
	}
}

// Flush ends the table, and gives the first error of all.
func (t *Writer) Flush() error {
	t.csv.Flush()
	return cmp.Or(t.err, t.csv.Error())
}

// Listed are faults as one text: the first of them, and how many more there are.
func Listed(faults []Fault) string {
	const most = 10
	var said []string
	for i, f := range faults {
		if i == most {
			said = append(said, fmt.Sprintf("and %d more", len(faults)-most))
			break
		}
		said = append(said, fmt.Sprintf("line %d, column %d: %s", f.Line, f.Column, f.Text))
	}
	return strings.Join(said, "; ")
}

// formula begins what a spreadsheet would calculate.
const formula = "=+-@"

// closed is a cell that no spreadsheet calculates, and opened its text again.
func closed(cell string) string {
	if bare := strings.TrimLeft(cell, "'"); bare != "" && strings.ContainsRune(formula, rune(bare[0])) {
		return "'" + cell
	}
	return cell
}

func opened(cell string) string {
	inner, ok := strings.CutPrefix(cell, "'")
	if bare := strings.TrimLeft(inner, "'"); ok && bare != "" && strings.ContainsRune(formula, rune(bare[0])) {
		return inner
	}
	return cell
}
