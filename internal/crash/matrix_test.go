//go:build failpoints

package crash

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/failpoint"
)

// act is what is done while a point strikes, and how what is left is judged.
type act struct {
	name  string
	do    func(*walk) (acknowledged bool)
	judge func(w *walk, acknowledged bool)
}

var (
	deactivation = act{"deactivation", (*walk).deactivate, (*walk).judgeDeactivation}
	joining      = act{"joining a group", (*walk).join, (*walk).judgeJoining}
	signIn       = act{"sign-in", (*walk).signInAgain, (*walk).judgeSignIn}
	delivery     = act{"delivery", (*walk).deactivate, (*walk).judgeDelivery}
	rotation     = act{"rotation of keys", (*walk).rotateKeys, (*walk).judgeRotation}
)

// matrix has the acts on whose way each point lies; the first of them is the short form's.
var matrix = []struct {
	point failpoint.Point
	acts  []act
}{
	{failpoint.AfterAuth, []act{deactivation, joining}},
	{failpoint.AfterBegin, []act{deactivation, joining}},
	{failpoint.AfterPerson, []act{deactivation}},
	{failpoint.AfterGrants, []act{deactivation}},
	{failpoint.AfterAudit, []act{deactivation, joining}},
	{failpoint.AfterOutbox, []act{joining, deactivation}},
	{failpoint.BeforeCommit, []act{deactivation, joining}},
	{failpoint.AfterCommit, []act{deactivation, joining}},
	{failpoint.BeforePurge, []act{deactivation}},
	{failpoint.BeforeReply, []act{deactivation, joining}},
	{failpoint.AfterConsume, []act{signIn}},
	{failpoint.AfterFamily, []act{signIn}},
	{failpoint.BeforeHot, []act{signIn}},
	{failpoint.SentNotMarked, []act{delivery}},
	{failpoint.DuringRotation, []act{rotation}},
	{failpoint.DuringSealing, []act{deactivation}},
}

// long says whether this is make crash-whole, which leaves nothing out.
var long = os.Getenv("CRASH_WHOLE") != ""

func ways() []string {
	if long {
		return []string{"kill", "panic", "error", "stall"}
	}
	return []string{"kill", "error"}
}

// TestCrashMatrix: at whichever of the points between two steps the process dies, fails or
// stands still, nobody who left is accepted, nothing acknowledged is lost, nothing is half
// done, everything may be said again, and the record has it all.
func TestCrashMatrix(t *testing.T) {
	every(t, ways(), func(t *testing.T) engine { return freshFolder(t) })
}

// atServers are the points of the short form on servers: those around what they alone do.
var atServers = []failpoint.Point{failpoint.BeforeCommit, failpoint.AfterCommit, failpoint.BeforePurge, failpoint.AfterFamily, failpoint.SentNotMarked}

// TestCrashMatrixOnServers is the same on PostgreSQL and Redis.
func TestCrashMatrixOnServers(t *testing.T) {
	onServers(t, func(t *testing.T) engine { return freshServers(t) }, atServers...)
}

// TestCrashMatrixOnPostgreSQL is the same on PostgreSQL, without Redis.
func TestCrashMatrixOnPostgreSQL(t *testing.T) {
	onServers(t, func(t *testing.T) engine { return onlyPostgres{freshServers(t)} }, failpoint.BeforePurge)
}

// TestCrashMatrixOnRedis is the same on SQLite beside a Redis.
func TestCrashMatrixOnRedis(t *testing.T) {
	onServers(t, func(t *testing.T) engine { return freshRedis(t) }, failpoint.BeforePurge)
}

// onServers leaves nothing out in the long form; in the short one it kills at some points.
func onServers(t *testing.T, fresh func(*testing.T) engine, inShort ...failpoint.Point) {
	if long {
		every(t, ways(), fresh)
		return
	}
	every(t, []string{"kill"}, fresh, inShort...)
}

// every strikes at the points, or at all of them if none is named.
func every(t *testing.T, hows []string, fresh func(*testing.T) engine, points ...failpoint.Point) {
	for _, line := range matrix {
		if len(points) > 0 && !slices.Contains(points, line.point) {
			continue
		}
		acts := line.acts
		if !long {
			acts = acts[:1]
		}
		for _, a := range acts {
			for _, how := range hows {
				t.Run(string(line.point)+"/"+how+"/"+a.name, func(t *testing.T) { pass(t, fresh(t), line.point, how, a) })
			}
		}
	}
}

func pass(t *testing.T, e engine, p failpoint.Point, how string, a act) {
	if a.name == delivery.name {
		e = telling(t, e)
	}
	armed, stall := filepath.Join(t.TempDir(), "armed"), 2*time.Second
	if long {
		stall = 30 * time.Second
	}
	b, err := start(t, e, "BRIDGE_FAILPOINT="+string(p)+":"+how, "BRIDGE_FAILPOINT_ARMED="+armed, "BRIDGE_FAILPOINT_STALL="+stall.String())
	if err != nil {
		t.Fatal(err)
	}
	w := &walk{bridge: b, t: t, engine: e}
	w.before()
	if err := os.WriteFile(armed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	acknowledged := a.do(w)
	if !waited(t.Context(), func() bool { _, err := os.Stat(armed); return os.IsNotExist(err) }) {
		t.Fatalf("%s was not passed by a %s", p, a.name)
	}
	if how == "stall" {
		w.busy = time.Now().Add(stall)
	}
	patient := 300 * time.Millisecond // a panic may end the process, or one request
	if how == "kill" {
		patient = patience
	}
	switch alive := b.livesFor(patient); {
	case alive && how == "kill":
		t.Fatal("it was killed, and lives")
	case !alive && (how == "error" || how == "stall"):
		t.Fatalf("it ended by itself:\n%s", b.log)
	case !alive:
		w.bridge = restarted(t, e)
	}
	a.judge(w, acknowledged)
	w.bridge.kill()
	e.verify(t)
}

// TestCrashDuringMigration: a process that dies while it makes the schema goes on at the
// next start.
func TestCrashDuringMigration(t *testing.T) {
	steps := []int{2, 20}
	if long {
		steps = []int{1, 2, 3, 5, 8, 13, 21, 34, 46}
	}
	migrations(t, steps, func(t *testing.T) engine { return folder{t.TempDir()} })
}

// TestCrashDuringMigrationOnServers is the same on PostgreSQL, where functions follow the
// last migration, and row-level security them.
func TestCrashDuringMigrationOnServers(t *testing.T) {
	files, err := filepath.Glob("../store/postgres/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	steps := []int{2, len(files) + 2}
	if long {
		steps = nil
		for n := range len(files) + 2 {
			steps = append(steps, n+1)
		}
	}
	migrations(t, steps, func(t *testing.T) engine { return newServers(t, "template1") })
}

func migrations(t *testing.T, steps []int, empty func(*testing.T) engine) {
	for _, how := range slices.DeleteFunc(ways(), func(how string) bool { return how == "stall" }) {
		for _, nth := range steps {
			t.Run(how+"/step "+strconv.Itoa(nth), func(t *testing.T) {
				e := empty(t)
				if b, err := start(t, e, "BRIDGE_FAILPOINT="+string(failpoint.DuringMigration)+":"+how+":"+strconv.Itoa(nth)); err == nil {
					b.kill()
					t.Fatal("it started, though its schema could not be made")
				}
				w := &walk{bridge: restarted(t, e), t: t, engine: e}
				w.before()
				w.leaveForGood()
				w.bridge.kill()
				e.verify(t)
			})
		}
	}
}
