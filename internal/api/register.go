package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	certified "github.com/drawbridge-id/drawbridge/internal/register"
	"github.com/drawbridge-id/drawbridge/internal/steward"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

func (a *api) registerRoutes(h huma.API) {
	get(a, h, "/register", "The register of technicians' certifications, part by part", a.entries, people)
	get(a, h, "/register/table", "The register as CSV, as it can be imported", a.registerTable, people, csvAnswer)
	get(a, h, "/register/entry", "What the register says of one person, by a name or an id", a.entry, people)
	register(a, h, http.MethodPut, "/register/entry", "Record what the vendor says of one technician; it outranks the identity provider, and counts at once", http.StatusOK, a.setEntry, people)
	register(a, h, http.MethodDelete, "/register/entry", "Take the vendor's word about one technician back, at once", http.StatusNoContent, a.removeEntry, people)
	register(a, h, http.MethodPost, "/register/imports", "Take entries in: all that is wrong is said at once, and then nothing is changed", http.StatusOK, a.importEntries, people, large)
	register(a, h, http.MethodPost, "/register/tables", "Take a table in, as CSV (RFC 4180) with the columns connection, user, level, until and, if you like, note", http.StatusOK, a.importTable, people, large)
}

// large lets a body be as large as a table may be.
func large(o *huma.Operation) { o.MaxBodyBytes = 3 * certified.MaxBytes }

func csvAnswer(o *huma.Operation) {
	o.Responses = map[string]*huma.Response{"200": {Description: "The table", Content: map[string]*huma.MediaType{"text/csv": {}}}}
}

type entriesInput struct {
	Connection access.ConnectionID `query:"connection" maxLength:"128"`
	State      string              `query:"state" enum:"waiting,lapsed" doc:"only entries that wait for their person, or whose end is over"`
	After      int64               `query:"after" minimum:"0" doc:"next of the part before"`
	Limit      int                 `query:"limit" minimum:"1" maximum:"1000" default:"200"`
}

func (a *api) entries(ctx context.Context, in *entriesInput) (*body[steward.EntryPage], error) {
	page, err := a.Steward.Register(ctx, actor(ctx, ""), steward.EntryQuery{Connection: in.Connection, Waiting: in.State == "waiting", Lapsed: in.State == "lapsed", After: store.RegisterKey(in.After), Count: in.Limit})
	return &body[steward.EntryPage]{page}, err
}

// registerTable writes part by part what is there meanwhile.
func (a *api) registerTable(ctx context.Context, in *entriesInput) (*huma.StreamResponse, error) {
	by := actor(ctx, "")
	q := steward.EntryQuery{Connection: in.Connection, Waiting: in.State == "waiting", Lapsed: in.State == "lapsed", Count: 1000}
	page, err := a.Steward.Register(ctx, by, q)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "text/csv; charset=utf-8; header=present")
		hc.SetHeader("Content-Disposition", `attachment; filename="register.csv"`)
		table := certified.NewWriter(hc.BodyWriter())
		for err == nil {
			for _, e := range page.Entries {
				table.Write(e.Row())
			}
			if q.After = page.Next; page.Next == 0 {
				break
			}
			page, err = a.Steward.Register(ctx, by, q)
		}
		if flushed := table.Flush(); err == nil {
			err = flushed
		}
		if err != nil { // the client sees a table that breaks off: no last line, and no end of the answer
			if a.Observe != nil {
				a.Observe(ctx, err)
			}
			panic(http.ErrAbortHandler)
		}
	}}, nil
}

type entryInput struct {
	Connection access.ConnectionID `query:"connection" required:"true" maxLength:"128"`
	User       string              `query:"user" required:"true" maxLength:"320" doc:"userName, e-mail address or id"`
	Author     string              `query:"author" maxLength:"200" doc:"who takes it back, if the operator does"`
}

func (a *api) entry(ctx context.Context, in *entryInput) (*body[steward.Entry], error) {
	e, err := a.Steward.Entry(ctx, actor(ctx, ""), in.Connection, in.User)
	return &body[steward.Entry]{e}, err
}

func (a *api) removeEntry(ctx context.Context, in *entryInput) (*struct{}, error) {
	return nil, a.Steward.RemoveEntry(ctx, actor(ctx, in.Author), in.Connection, in.User)
}

// RegisterRow is what the vendor says of one technician.
type RegisterRow struct {
	Line       int                 `json:"line,omitempty" minimum:"0" doc:"of the table that it comes from, for faults"`
	Connection access.ConnectionID `json:"connection" maxLength:"128"`
	User       string              `json:"user" maxLength:"320" doc:"userName, e-mail address or id"`
	Level      string              `json:"level" maxLength:"200"`
	Until      time.Time           `json:"until,omitzero" doc:"left out: no end"`
	Note       string              `json:"note,omitempty" maxLength:"200"`
}

func (r RegisterRow) row() certified.Row {
	return certified.Row{Line: r.Line, Connection: r.Connection, User: r.User, Level: r.Level, Until: r.Until.UTC().Truncate(time.Millisecond), Note: r.Note}
}

type setEntryInput struct {
	Body struct {
		RegisterRow
		Author string `json:"author,omitempty" maxLength:"200" doc:"who says so, if the operator does"`
	}
}

func (a *api) setEntry(ctx context.Context, in *setEntryInput) (*body[steward.Entry], error) {
	e, err := a.Steward.SetEntry(ctx, actor(ctx, in.Body.Author), in.Body.row())
	return &body[steward.Entry]{e}, err
}

type importEntriesInput struct {
	Body struct {
		Rows   []RegisterRow `json:"rows" maxItems:"50000"`
		Source string        `json:"source,omitempty" maxLength:"200" doc:"what is imported, for who looks at an entry"`
		DryRun bool          `json:"dry_run,omitempty" doc:"say what it would do, and do nothing"`
		Author string        `json:"author,omitempty" maxLength:"200" doc:"who imports it, if the operator does"`
	}
}

func (a *api) importEntries(ctx context.Context, in *importEntriesInput) (*body[steward.Import], error) {
	rows := make([]certified.Row, len(in.Body.Rows))
	var faults []certified.Fault
	for i, r := range in.Body.Rows {
		if rows[i] = r.row(); rows[i].Line == 0 {
			rows[i].Line = i + 1
		}
		if err := rows[i].Check(); err != nil && len(faults) <= certified.MaxFaults {
			faults = append(faults, certified.Fault{Line: rows[i].Line, Column: 1, Text: err.Error()})
		}
	}
	return a.takeIn(ctx, in.Body.Author, rows, faults, in.Body.Source, in.Body.DryRun)
}

type importTableInput struct {
	Source  string `query:"source" maxLength:"200" doc:"what is imported, for who looks at an entry"`
	DryRun  bool   `query:"dry_run" doc:"say what it would do, and do nothing"`
	Author  string `query:"author" maxLength:"200" doc:"who imports it, if the operator does"`
	RawBody []byte `contentType:"text/csv"`
}

func (a *api) importTable(ctx context.Context, in *importTableInput) (*body[steward.Import], error) {
	rows, faults := certified.Parse(in.RawBody)
	return a.takeIn(ctx, in.Author, rows, faults, in.Source, in.DryRun)
}

// takeIn imports rows unless anything is wrong: then the answer to a trial lists it, and
// anything else is refused with the same list.
func (a *api) takeIn(ctx context.Context, author string, rows []certified.Row, faults []certified.Fault, source string, dryRun bool) (*body[steward.Import], error) {
	if source == "" {
		source = "import"
	}
	done, err := steward.Import{Rows: len(rows), DryRun: true, Faults: faults}, error(nil)
	if len(faults) == 0 {
		done, err = a.Steward.ImportRegister(ctx, actor(ctx, author), rows, source, dryRun)
	}
	if err == nil && len(done.Faults) > 0 && !dryRun {
		err = fault.New(fault.Invalid, "api.takeIn", "%d lines are wrong, and nothing was changed: %s", len(done.Faults), certified.Listed(done.Faults)).Because(steward.ReasonFaults)
	}
	return &body[steward.Import]{done}, err
}
