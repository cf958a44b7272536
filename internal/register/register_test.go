package register

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what is read now into the promises")

// TestPromises holds every file under testdata: a table, and what is read of it or said
// about it.
func TestPromises(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d promises, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var said strings.Builder
			rows, faults := Parse(a.Files[0].Data)
			for _, r := range rows {
				fmt.Fprintf(&said, "%d: %s %s %q until %s %q\n", r.Line, r.Connection, r.User, r.Level, r.Until.Format(time.RFC3339), r.Note)
			}
			for _, f := range faults {
				fmt.Fprintf(&said, "register.csv:%d:%d: %s\n", f.Line, f.Column, f.Text)
			}
			switch want := string(a.Files[1].Data); {
			case *update:
				a.Files[1].Data = []byte(said.String())
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			case want != said.String():
				t.Errorf("said\n%s\nwant\n%s", said.String(), want)
			}
		})
	}
}

// The last instant that counts is the one before until.
func TestADayEndsInUTC(t *testing.T) {
	for text, want := range map[string]string{"2027-06-30": "2027-07-01T00:00:00Z", "2027-06-30T16:00:00+10:00": "2027-06-30T06:00:00Z",
		"2027-06-30T06:00:00.0019Z": "2027-06-30T06:00:00.001Z"} {
		until, err := ParseUntil(text)
		if err != nil || until.Format(time.RFC3339Nano) != want {
			t.Errorf("%s is %v, %v", text, until, err)
		}
		if again, err := ParseUntil(FormatUntil(until)); err != nil || !again.Equal(until) {
			t.Errorf("%s is written %q and read %v, %v", text, FormatUntil(until), again, err)
		}
	}
	for _, text := range []string{"1969-12-31", "0001-01-01", "30.6.2027", "2027-02-30", "9999-12-31", "2027-06-30T16:00:00"} {
		if until, err := ParseUntil(text); err == nil {
			t.Errorf("%s is read as %v", text, until)
		}
	}
}

func TestLimits(t *testing.T) {
	if _, faults := Parse(bytes.Repeat([]byte("x"), MaxBytes+1)); len(faults) != 1 {
		t.Errorf("%v", faults)
	}
	var table strings.Builder
	table.WriteString("connection,user,level,until\n")
	for i := range MaxRows + 1 {
		fmt.Fprintf(&table, "southern,u%d,Trainer,\n", i)
	}
	rows, faults := Parse([]byte(table.String()))
	if len(rows) != MaxRows || len(faults) != 1 || faults[0].Line != MaxRows+2 {
		t.Errorf("%d rows, %v", len(rows), faults)
	}
	_, faults = Parse([]byte("connection,user,level,until\n" + strings.Repeat("southern,,Trainer,\n", 1000)))
	if len(faults) != MaxFaults+1 {
		t.Errorf("%d faults", len(faults))
	}
}

// What was read is written so that it is read again, and no cell is a spreadsheet's formula.
func FuzzParse(f *testing.F) {
	f.Add([]byte("connection,user,level,until,note\nsouthern,kim@southern.example,Trainer,2027-06-30,\"a, \"\"b\"\"\"\n"))
	f.Add([]byte("\ufeffuntil,level,user,connection\r\n,Trainer,'=1+1,'@x\r\n2027-06-30T16:00:00.5+10:00,Untrained Technician,''-x,y\r\n"))
	f.Add([]byte("connection,user\n\"a\n"))
	f.Fuzz(func(t *testing.T, table []byte) {
		rows, faults := Parse(table)
		for i, x := range faults {
			if x.Line < 1 || x.Column < 1 || x.Text == "" || i > MaxFaults {
				t.Fatalf("%+v", x)
			}
		}
		for _, r := range rows {
			if err := r.Check(); err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
		}
		var written bytes.Buffer
		if err := Write(&written, rows); err != nil {
			t.Fatal(err)
		}
		again, faults := Parse(written.Bytes())
		if len(faults) > 0 || len(again) != len(rows) {
			t.Fatalf("%d rows of %d, %v in\n%s", len(again), len(rows), faults, written.Bytes())
		}
		for i, r := range again {
			r.Line = rows[i].Line
			if r != rows[i] {
				t.Fatalf("%+v became %+v", rows[i], r)
			}
			for _, cell := range []string{string(r.Connection), r.User, r.Note} {
				if c := closed(cell); c != "" && strings.ContainsRune(formula, rune(c[0])) {
					t.Fatalf("%q would be calculated", c)
				}
			}
		}
	})
}

func FuzzParseUntil(f *testing.F) {
	f.Add("2027-06-30")
	f.Add("2027-06-30T16:00:00.25+10:00")
	f.Fuzz(func(t *testing.T, text string) {
		until, err := ParseUntil(text)
		if err != nil {
			return
		}
		if again, err := ParseUntil(FormatUntil(until)); err != nil || !again.Equal(until) {
			t.Fatalf("%q is %v, and then %v, %v", text, until, again, err)
		}
	})
}
