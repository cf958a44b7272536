package models

import (
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/drawbridge-id/drawbridge/internal/history"
)

// Each row is a history: "from-to verb what: outcome got", a span without its end is open.
func TestModels(t *testing.T) {
	for _, row := range []struct {
		name, history string
		of            porcupine.NondeterministicModel
		want          porcupine.CheckResult
	}{
		{"a family rotates", "0-1 refresh r0: accepted r1; 2-3 refresh r1: accepted r2", Family("r0"), porcupine.Ok},
		{"two nodes answer two retries with one successor", "0-3 refresh r0: accepted r1; 1-2 refresh r0: accepted r1; 4-5 refresh r1: accepted r2", Family("r0"), porcupine.Ok},
		{"a family forks", "0-3 refresh r0: accepted r1; 1-2 refresh r0: accepted r9", Family("r0"), porcupine.Illegal},
		{"an older token rotates", "0-1 refresh r0: accepted r1; 2-3 refresh r1: accepted r2; 4-5 refresh r0: accepted r1", Family("r0"), porcupine.Illegal},
		{"an answer was lost, the retry gets it", "0- refresh r0: no answer; 2-3 refresh r0: accepted r1; 4-5 refresh r1: accepted r2", Family("r0"), porcupine.Ok},
		{"what has ended rotates", "0-1 end all: accepted; 2-3 refresh r0: accepted r1", Family("r0"), porcupine.Illegal},
		{"what was refused rotates later", "0-1 refresh r0: accepted r1; 2-3 refresh r1: refused; 4-5 refresh r1: accepted r2", Family("r0"), porcupine.Illegal},
		{"an end without an answer", "0- end all: no answer; 2-3 refresh r0: accepted r1; 4-5 refresh r1: refused", Family("r0"), porcupine.Ok},
		{"a code is redeemed once", "0-1 redeem c: accepted; 2-3 redeem c: refused", Code(), porcupine.Ok},
		{"a code is redeemed twice at once", "0-3 redeem c: accepted; 1-2 redeem c: accepted", Code(), porcupine.Illegal},
		{"a code is redeemed after a refusal", "0-1 redeem c: refused; 2-3 redeem c: accepted", Code(), porcupine.Illegal},
		{"a code without an answer, then redeemed", "0- redeem c: no answer; 2-3 redeem c: accepted", Code(), porcupine.Ok},
		{"members come and go", "0-1 add a: accepted; 2-3 add b: accepted; 4-5 remove a: accepted; 6-7 read: accepted b", Members(), porcupine.Ok},
		{"an acknowledged member is lost", "0-1 add a: accepted; 0-1 add b: accepted; 2-3 read: accepted b", Members(), porcupine.Illegal},
		{"a member comes late", "0- add a: no answer; 2-3 read: accepted; 4-5 read: accepted a", Members(), porcupine.Ok},
		{"a member flickers", "0- add a: no answer; 2-3 read: accepted a; 4-5 read: accepted; 6-7 read: accepted a", Members(), porcupine.Illegal},
		{"a stale read", "0-1 remove a: accepted; 2-3 read: accepted a", Members("a"), porcupine.Illegal},
		{"a switch ends what was before", "0-0 switch s1: accepted; 1-1 switched s1: accepted; 2-3 stand s0: refused; 2-3 stand s1: accepted", ActiveGrant("s0"), porcupine.Ok},
		{"nodes differ while a switch is under way", "0-0 switch s1: accepted; 1-2 stand s0: refused; 3-4 stand s0: accepted; 5-5 switched s1: accepted; 6-7 stand s0: refused", ActiveGrant("s0"), porcupine.Ok},
		{"another node knows the place before", "0-0 switch s1: accepted; 1-1 switched s1: accepted; 2-3 stand s0: accepted", ActiveGrant("s0"), porcupine.Illegal},
		{"what was switched to is refused", "0-0 switch s1: accepted; 1-1 switched s1: accepted; 2-3 stand s1: refused", ActiveGrant("s0"), porcupine.Illegal},
		{"a switch without an answer", "0-0 switch s1: accepted; 1-2 stand s0: refused; 3-4 stand s0: accepted", ActiveGrant("s0"), porcupine.Ok},
		{"a switch that was refused", "0-0 switch s1: accepted; 1-1 switched s1: refused; 2-3 stand s0: refused", ActiveGrant("s0"), porcupine.Illegal},
		{"what stands is refused", "0-1 stand s0: refused", ActiveGrant("s0"), porcupine.Illegal},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := Check(row.of, steps(t, row.history), 10*time.Second); got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
		})
	}
}

func steps(t *testing.T, text string) (all []Step) {
	t.Helper()
	for line := range strings.SplitSeq(text, "; ") {
		asked, said, _ := strings.Cut(line, ":")
		words := strings.Fields(asked)
		from, to, _ := strings.Cut(words[0], "-")
		s := Step{At: history.Span{From: seconds(t, from), To: history.Open}, Asked: Asked{Verb: words[1], What: strings.Join(words[2:], " ")}}
		if to != "" {
			s.At.To = seconds(t, to)
		}
		switch outcome, got, _ := strings.Cut(strings.TrimSpace(said), " "); outcome {
		case "accepted":
			s.Outcome, s.Got = Accepted, got
		case "refused":
			s.Outcome = Refused
		}
		all = append(all, s)
	}
	return all
}

func seconds(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s + "s")
	if err != nil {
		t.Fatal(err)
	}
	return d
}
