package protocol_test

import (
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/protocol"
)

// TestMain collects less often: histories are short, and so is what they leave.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}

// number is what an environment variable says; otherwise what is usual.
func number(t testing.TB, name string, usual uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s is a number: %v", name, err)
	}
	return n
}

// usual is how many steps are run without PROTOCOL_STEPS: some two thousand histories.
const usual = 2_500_000

// TestI1_NoHistoryAcceptsWhatHasEnded: whatever goes wrong, no node accepts what was ended before
// it was asked, by any way to end it (I-1, I-2), nobody's decision counts after its end (I-12), and whoever
// comes back revives nothing (I-13). No commit is answered later than its leases last, and
// afterwards everybody is accepted again. PROTOCOL_SEED replays one history, PROTOCOL_STEPS runs
// more of them, from PROTOCOL_FROM on.
func TestI1_NoHistoryAcceptsWhatHasEnded(t *testing.T) {
	if os.Getenv("PROTOCOL_SEED") != "" {
		replay(t, number(t, "PROTOCOL_SEED", 0))
		return
	}
	steps, uses, seed := 0, 0, number(t, "PROTOCOL_FROM", 0)
	first := seed
	for most := int(number(t, "PROTOCOL_STEPS", usual)); steps < most; seed++ { //nolint:gosec // a number of steps
		r := protocol.Run(protocol.NewPlan(seed), 0, nil)
		steps, uses = steps+r.Steps, uses+r.Uses
		if found := slices.Concat(r.Unsafe, r.Wrong); len(found) > 0 {
			t.Fatalf("%s\nPROTOCOL_SEED=%d replays it; shrunk, it is\n%s", found[0], seed, protocol.Shrink(protocol.NewPlan(seed), 0))
		}
	}
	t.Logf("%d histories, %d steps, %d uses", seed-first, steps, uses)
}

func replay(t *testing.T, seed uint64) {
	t.Helper()
	p := protocol.NewPlan(seed)
	if r := protocol.Run(p, 0, nil); len(r.Unsafe)+len(r.Wrong) > 0 {
		p = protocol.Shrink(p, 0)
	}
	t.Log(p)
	r := protocol.Run(p, 0, func(line string) { t.Log(line) })
	for _, what := range slices.Concat(r.Unsafe, r.Wrong) {
		t.Error(what)
	}
}

func TestASeedIsAHistory(t *testing.T) {
	for seed := range uint64(20) {
		var told [2][]string
		for i := range told {
			protocol.Run(protocol.NewPlan(seed), 0, func(line string) { told[i] = append(told[i], line) })
		}
		if len(told[0]) == 0 || !slices.Equal(told[0], told[1]) {
			t.Fatalf("seed %d is two histories", seed)
		}
	}
}

// budget is how many histories may pass before a fault of the protocol is found.
const budget = 3000

// found is where each fault was found when this was written: to begin there takes less time.
var found = map[protocol.Fault]uint64{
	protocol.LeaseFromAnswer: 244, protocol.FeedRenews: 54, protocol.MonotonicOnly: 363, protocol.WallOnly: 1826, protocol.AckBeforeApply: 4, protocol.RegistryBeforeCommit: 6,
	protocol.NobodyUnheard: 0, protocol.DatabaseClockOnly: 176, protocol.NoBarrier: 0, protocol.ShortBarrier: 6, protocol.RetryDoesNotWait: 6, protocol.LastNumber: 9,
	protocol.PrimeBeforeJoin: 78, protocol.LeaveBelieving: 34, protocol.NoLapse: 435, protocol.SharedReading: 112, protocol.KeptThoughDropped: 30,
	protocol.BeatAfterRead: 209, protocol.RenewThoughFailed: 266, protocol.SweptLater: 3, protocol.EpochOfBefore: 6, protocol.NumbersAgain: 855,
}

// TestEveryFaultOfTheProtocolIsFound: each thing that could have been got wrong is found by some
// history to have let somebody in. PROTOCOL_FROM looks for them from there on.
func TestEveryFaultOfTheProtocolIsFound(t *testing.T) {
	for _, f := range protocol.Faults() {
		t.Run(f.String(), func(t *testing.T) {
			first := number(t, "PROTOCOL_FROM", found[f])
			for seed := first; seed < first+budget; seed++ {
				if r := protocol.Run(protocol.NewPlan(seed), f, nil); len(r.Unsafe) > 0 {
					t.Logf("seed %d: %s", seed, r.Unsafe[0])
					return
				}
			}
			t.Errorf("%d histories find nothing wrong", budget)
		})
	}
}

func BenchmarkHistories(b *testing.B) {
	seed, steps := uint64(0), 0
	for b.Loop() {
		steps += protocol.Run(protocol.NewPlan(seed), 0, nil).Steps
		seed++
	}
	b.ReportMetric(float64(seed)/b.Elapsed().Seconds(), "histories/s")
	b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "steps/s")
}
