package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
	"github.com/drawbridge-id/drawbridge/internal/sqlitedb"
)

// crashFolder tells the test binary to be the process that is killed.
const crashFolder = "DRAWBRIDGE_TEST_CRASH_FOLDER"

const crashFamilies = 8

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashFolder); dir != "" {
		os.Exit(rotateUntilKilled(dir))
	}
	os.Exit(m.Run())
}

// rotateUntilKilled rotates some families from where they stand and prints each
// rotation once it was acknowledged.
func rotateUntilKilled(dir string) int {
	ctx := context.Background()
	e, err := Open(ctx, filepath.Join(dir, "hot.db"), Limits{})
	if err != nil {
		fmt.Println("failed", err)
		return 1
	}
	var out sync.Mutex
	var all sync.WaitGroup
	for i := range crashFamilies {
		all.Go(func() {
			id := fmt.Sprint("fam_", i)
			f, err := e.Family(ctx, id, at(0))
			if fault.Is(err, fault.NotFound) {
				f, err = familyAt(id, 0), e.PutFamily(ctx, familyAt(id, 0))
			}
			for n := f.N; err == nil; n++ {
				var outcome hot.Outcome
				_, outcome, err = e.Rotate(ctx, hot.Rotation{Family: id, Client: "fleet-web", N: n, Now: at(0)})
				if outcome != hot.OK {
					err = errors.Join(err, fmt.Errorf("outcome %d", outcome))
				}
				out.Lock()
				fmt.Println(id, n+1)
				out.Unlock()
			}
			fmt.Println("failed", err)
		})
	}
	all.Wait()
	return 1
}

// Families continue where they were acknowledged, however often the process is
// killed: invariant I-9 of the refresh families.
func TestI9_FamiliesSurviveKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]int64{}
	for round := range 4 {
		killAfter(t, dir, 300+round*200, acknowledged)
	}
	e := open(t, dir, Limits{})
	for i := range crashFamilies {
		id := fmt.Sprint("fam_", i)
		f, err := e.Family(t.Context(), id, at(0))
		if err != nil {
			t.Fatal(err)
		}
		// One rotation may have been committed and not yet told.
		if f.N < acknowledged[id] || f.N > acknowledged[id]+1 {
			t.Errorf("%s stands at %d, acknowledged was %d", id, f.N, acknowledged[id])
		}
		if _, outcome, err := e.Rotate(t.Context(), hot.Rotation{Family: id, Client: "fleet-web", N: f.N, Now: at(0)}); err != nil || outcome != hot.OK {
			t.Errorf("%s does not go on: outcome %d, %v", id, outcome, err)
		}
	}
}

// killAfter starts the process, reads that many acknowledgements and kills it.
func killAfter(t *testing.T, dir string, lines int, acknowledged map[string]int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), crashFolder+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	scan := bufio.NewScanner(out)
	for read := 0; scan.Scan(); read++ {
		id, number, _ := strings.Cut(scan.Text(), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			t.Fatalf("the process says %q", scan.Text())
		}
		acknowledged[id] = max(acknowledged[id], n)
		if read == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || ctx.Err() != nil {
		t.Fatalf("the process was not killed: %v, %v", err, ctx.Err())
	}
}

// A power cut takes the last rotation; the client's newer token proves itself and
// the family goes on (hot.Rotation.Verified).
func TestFamilyGoesOnAfterPowerLoss(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir, Limits{})
	if err := e.PutFamily(t.Context(), familyAt("fam_1", 0)); err != nil {
		t.Fatal(err)
	}
	r := hot.Rotation{Family: "fam_1", Client: "fleet-web", N: 1, Now: at(0), Verified: true}
	if _, outcome, err := e.Rotate(t.Context(), r); err != nil || outcome != hot.OK {
		t.Fatal(outcome, err)
	}
	set(t, e, "UPDATE families SET n = 1")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, dir, Limits{})
	r.N = 2
	f, outcome, err := e.Rotate(t.Context(), r)
	if err != nil || outcome != hot.OK || f.N != 3 {
		t.Errorf("the family stands at %d: outcome %d, %v", f.N, outcome, err)
	}
}

// The file has the last word: memory that is ahead of it gives nothing.
func TestMemoryIsNotBelievedOverTheFile(t *testing.T) {
	e := open(t, t.TempDir(), Limits{})
	if err := e.PutFamily(t.Context(), familyAt("fam_1", 0)); err != nil {
		t.Fatal(err)
	}
	set(t, e, "DELETE FROM families")
	r := hot.Rotation{Family: "fam_1", Client: "fleet-web", N: 1, Now: at(0)}
	if _, outcome, err := e.Rotate(t.Context(), r); err != nil || outcome != hot.Unknown {
		t.Errorf("outcome %d, %v", outcome, err)
	}
}

// I-23 for the families: no file, no rotation, and no success that is none.
func TestI23_NoFileNoRotation(t *testing.T) {
	e := open(t, t.TempDir(), Limits{})
	if err := e.PutFamily(t.Context(), familyAt("fam_1", 0)); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	r := hot.Rotation{Family: "fam_1", Client: "fleet-web", N: 1, Now: at(0)}
	if f, outcome, err := e.Rotate(t.Context(), r); err == nil || outcome != hot.Unknown || f.ID != "" {
		t.Errorf("rotated without a file: %v, %d, %v", f, outcome, err)
	}
	if err := e.EndFamily(t.Context(), "fam_1"); err == nil {
		t.Error("ended without a file")
	}
	if err := e.EndSession(t.Context(), "s"); err == nil {
		t.Error("ended a session without a file")
	}
	if err := e.PutFamily(t.Context(), familyAt("fam_2", 0)); err == nil {
		t.Error("stored without a file")
	}
	if _, err := e.Family(t.Context(), "fam_1", at(0)); err == nil {
		t.Error("read without a file")
	}
}

func set(t *testing.T, e *Engine, statement string) {
	t.Helper()
	err := e.db.Update(t.Context(), func(q sqlitedb.Querier) error {
		_, err := q.Exec(statement)
		return err
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

func rows(t *testing.T, e *Engine) (n int) {
	t.Helper()
	err := e.db.View(t.Context(), func(q sqlitedb.Querier) error {
		return q.QueryRow("SELECT count(*) FROM families").Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// BenchmarkRotate is one durable rotation, 16 clients at once (8 for each of two cores).
func BenchmarkRotate(b *testing.B) {
	e, err := Open(b.Context(), filepath.Join(b.TempDir(), "hot.db"), Limits{})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close() //nolint:errcheck // the numbers are in
	b.SetParallelism(8)
	var mu sync.Mutex
	client := 0
	b.RunParallel(func(pb *testing.PB) {
		mu.Lock()
		client++
		id := fmt.Sprint("fam_", client)
		mu.Unlock()
		if err := e.PutFamily(b.Context(), familyAt(id, 0)); err != nil {
			b.Error(err)
		}
		for n := int64(1); pb.Next(); n++ {
			r := hot.Rotation{Family: id, Client: "fleet-web", N: n, Now: at(0)}
			if _, outcome, err := e.Rotate(b.Context(), r); err != nil || outcome != hot.OK {
				b.Errorf("outcome %d, %v", outcome, err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rotations/s")
}
