package review

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"hash"
	"html/template"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
)

// Line is one assignment in a report: who holds what, why, and what was decided about it.
type Line struct {
	Item       string              `json:"item,omitempty"`
	Connection access.ConnectionID `json:"connection"`
	Person     access.PersonID     `json:"person"`
	UserName   string              `json:"user_name,omitempty" doc:"as it is now; empty for somebody who was deleted"`
	Name       string              `json:"name,omitempty"`
	Grant      access.Grant        `json:"grant"`
	Path       string              `json:"path" doc:"of the scope"`
	Scope      access.ScopeID      `json:"scope"`
	Events     string              `json:"events"`
	Video      bool                `json:"video"`
	Standing   access.Standing     `json:"standing"`
	Risk       access.Risk         `json:"risk"`
	Above      bool                `json:"from_above,omitempty" doc:"it is held above the scope that the report is about, and opens it"`
	Why        string              `json:"why"`
	How        string              `json:"how" doc:"rule, request, break_glass or act, each that applies"`
	AskedBy    string              `json:"asked_by,omitempty"`
	ApprovedBy string              `json:"approved_by,omitempty"`
	Reason     string              `json:"reason,omitempty" doc:"as whoever asked wrote it"`
	Requests   string              `json:"requests,omitempty"`
	Cases      string              `json:"cases,omitempty"`
	Since      time.Time           `json:"since,omitzero"`
	Until      time.Time           `json:"until,omitzero"`
	LastUsed   time.Time           `json:"last_used,omitzero"`
	Reviewed   time.Time           `json:"reviewed,omitzero" doc:"when it was decided; left out: it was not"`
	ReviewedBy string              `json:"reviewed_by,omitempty"`
	Verdict    Verdict             `json:"verdict,omitempty"`
	Comment    string              `json:"comment,omitempty"`
	Ended      time.Time           `json:"ended,omitzero" doc:"left out: it is held"`
	EndedBy    string              `json:"ended_by,omitempty" doc:"where a review ended it"`
	Because    string              `json:"because,omitempty" doc:"why it ended, or was kept though nobody answered"`
	Outcome    string              `json:"outcome,omitempty" doc:"the same in words"`
}

// Head is what a report says of itself.
type Head struct {
	Title      string    `json:"title"`
	Review     string    `json:"review,omitempty"`
	About      string    `json:"about"`
	Select     string    `json:"select,omitempty"`
	State      string    `json:"state,omitempty"`
	Began      time.Time `json:"began,omitzero"`
	Deadline   time.Time `json:"deadline,omitzero"`
	Ended      time.Time `json:"ended,omitzero"`
	EndedBy    string    `json:"ended_by,omitempty"` // a sentence, where answers were cut off
	Unanswered string    `json:"unanswered,omitempty"`
	Counts     Counts    `json:"counts,omitzero"`
	Made       time.Time `json:"made"`
	Items      int64     `json:"items"`        // lines of the report
	SHA256     string    `json:"items_sha256"` // of the JSON lines, each with its line feed
}

// Columns name the columns of the CSV form, in their order.
func Columns() []string {
	return []string{"item", "connection", "person", "user_name", "name", "grant", "path", "scope", "events", "video", "standing", "risk", "from_above", "why", "how", "asked_by", "approved_by", "reason", "requests", "cases",
		"since", "until", "last_used", "reviewed", "reviewed_by", "verdict", "comment", "ended", "ended_by", "because", "outcome"}
}

// Cells are the line as the CSV form has it.
func (l Line) Cells() []string {
	cells := []string{l.Item, string(l.Connection), string(l.Person), l.UserName, l.Name, string(l.Grant), l.Path, string(l.Scope), l.Events, strconv.FormatBool(l.Video), string(l.Standing),
		l.Risk.String(), strconv.FormatBool(l.Above), l.Why, l.How, l.AskedBy, l.ApprovedBy, l.Reason, l.Requests, l.Cases, stamp(l.Since), stamp(l.Until), stamp(l.LastUsed), stamp(l.Reviewed), l.ReviewedBy, string(l.Verdict), l.Comment,
		stamp(l.Ended), l.EndedBy, l.Because, l.Outcome}
	for i, c := range cells {
		cells[i] = harmless(c)
	}
	return cells
}

// harmless keeps a spreadsheet from taking a text for a formula: names and comments are
// whatever people write.
func harmless(cell string) string {
	if trimmed := strings.TrimLeft(cell, " \t\r\n"); trimmed != "" && strings.ContainsRune("=+-@", rune(trimmed[0])) || strings.HasPrefix(cell, "\t") || strings.HasPrefix(cell, "\r") {
		return "'" + cell
	}
	return cell
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// Report writes a report line by line, as one of the formats.
type Report struct {
	out  io.Writer
	form form
	sum  hash.Hash
	n    int64
}

type form interface {
	begin(h Head) error
	line(l Line, text []byte) error
	end(h Head) error
}

// Formats are what a report may be written as.
func Formats() []string { return []string{"csv", "json", "html"} }

// NewReport begins a report; nil if there is no such format.
func NewReport(out io.Writer, format string, h Head) (*Report, error) {
	r := &Report{out: out, sum: sha256.New()}
	switch format {
	case "csv":
		r.form = &csvForm{w: csv.NewWriter(out)}
	case "json":
		r.form = jsonForm{out}
	case "html":
		r.form = htmlForm{out}
	default:
		return nil, nil
	}
	return r, r.form.begin(h)
}

// Add writes a line.
func (r *Report) Add(l Line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	r.n++
	r.sum.Write(text)
	return r.form.line(l, text)
}

// End writes what a report says of itself, with the hash of its lines, and gives that.
func (r *Report) End(h Head) (Head, error) {
	h.Items, h.SHA256 = r.n, hex.EncodeToString(r.sum.Sum(nil))
	return h, r.form.end(h)
}

// csvForm is lines alone: a line about the report would be no line of the table.
type csvForm struct{ w *csv.Writer }

func (f *csvForm) begin(Head) error            { return f.w.Write(Columns()) }
func (f *csvForm) line(l Line, _ []byte) error { return f.w.Write(l.Cells()) }
func (f *csvForm) end(Head) error              { f.w.Flush(); return f.w.Error() }

// jsonForm is one JSON object a line; the last says what the report is.
type jsonForm struct{ out io.Writer }

func (f jsonForm) begin(Head) error { return nil }

func (f jsonForm) line(_ Line, text []byte) error {
	_, err := f.out.Write(text)
	return err
}

func (f jsonForm) end(h Head) error {
	text, err := json.Marshal(map[string]Head{"report": h})
	if err != nil {
		return err
	}
	_, err = f.out.Write(append(text, '\n'))
	return err
}

// htmlForm is one page without scripts, for screens and paper.
type htmlForm struct{ out io.Writer }

func (f htmlForm) begin(h Head) error          { return page.ExecuteTemplate(f.out, "begin", h) }
func (f htmlForm) line(l Line, _ []byte) error { return page.ExecuteTemplate(f.out, "line", l) }
func (f htmlForm) end(h Head) error            { return page.ExecuteTemplate(f.out, "end", h) }

var page = template.Must(template.New("").Funcs(template.FuncMap{"at": stamp}).Parse(`
{{- define "begin"}}<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>{{.Title}}</title>
<style>
:root { --ink: #1c1f23; --paper: #ffffff; --line: #c9ced6; --faint: #59616c }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaee; --paper: #15181c; --line: #3b424b; --faint: #a2abb6 } }
body { margin: 2rem; font: 0.875rem/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper) }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1rem }
dt { color: var(--faint) } dd { margin: 0; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid var(--line); padding: 0.35rem 0.5rem; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { white-space: nowrap } small { color: var(--faint) }
@media print { :root { --ink: #000000; --paper: #ffffff; --line: #999999; --faint: #444444 } @page { size: landscape; margin: 12mm } body { margin: 0; font-size: 8pt } thead { display: table-header-group } tr { break-inside: avoid } }
</style></head><body>
<h1>{{.Title}}</h1>
<dl>{{with .Review}}<dt>Review</dt><dd>{{.}}</dd>{{end}}<dt>About</dt><dd>{{.About}}</dd>{{with .Select}}<dt>Looks at</dt><dd>{{.}}</dd>{{end}}
{{with at .Began}}<dt>Began</dt><dd>{{.}}</dd>{{end}}{{with at .Deadline}}<dt>Answers until</dt><dd>{{.}}</dd>{{end}}{{with at .Ended}}<dt>Ended</dt><dd>{{.}}</dd>{{end}}{{with .EndedBy}}<dt>Closed early</dt><dd>{{.}}</dd>{{end}}
{{with .Unanswered}}<dt>Without an answer</dt><dd>{{.}}</dd>{{end}}<dt>Written</dt><dd>{{at .Made}}</dd></dl>
<table><thead><tr><th scope="col">Who</th><th scope="col">What</th><th scope="col">Why</th><th scope="col">Held</th><th scope="col">Reviewed</th><th scope="col">Outcome</th></tr></thead><tbody>
{{end}}
{{- define "line"}}<tr><td>{{or .Name .UserName .Person}}<br><small>{{with .UserName}}{{.}}<br>{{end}}{{.Connection}}</small></td>
<td>{{.Grant}} @ {{.Path}}{{if .Above}} (from above){{end}}<br><small>{{.Standing}}, risk {{.Risk}}, events {{.Events}}{{if .Video}}, video{{end}}</small></td>
<td>{{.Why}}{{with .AskedBy}}<br><small>asked by {{.}}</small>{{end}}{{with .Reason}}<br><small>“{{.}}”</small>{{end}}{{with .ApprovedBy}}<br><small>approved by {{.}}</small>{{end}}</td>
<td><small>{{with at .Since}}since {{.}}<br>{{end}}{{with at .Until}}until {{.}}<br>{{end}}{{with at .LastUsed}}last used {{.}}{{else}}never used{{end}}</small></td>
<td>{{with at .Reviewed}}{{.}}{{else}}no{{end}}{{with .ReviewedBy}}<br>{{.}}{{end}}</td>
<td>{{.Outcome}}{{with .Comment}}<br><small>“{{.}}”</small>{{end}}</td></tr>
{{end}}
{{- define "end"}}</tbody></table>
<dl><dt>Lines</dt><dd>{{.Items}}</dd>{{if .Counts.Items}}<dt>Under review</dt><dd>{{.Counts.Items}}: {{.Counts.Kept}} kept, {{.Counts.Removed}} removed, {{.Counts.Lowered}} lowered, {{.Counts.Gone}} had ended, {{.Counts.Lapsed}} unanswered, {{.Counts.Open}} undecided</dd>{{end}}<dt>SHA-256 of the JSON lines</dt><dd>{{.SHA256}}</dd></dl>
</body></html>
{{end}}`))
