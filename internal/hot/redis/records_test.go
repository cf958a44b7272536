package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// filled sets every field of a value to something of its own: one that is added and not stored
// fails the tests below.
func filled(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Date(2026, 3, 2, 9, 30, 0, *n, time.UTC)))
	case v.Type() == reflect.TypeFor[json.RawMessage]():
		v.Set(reflect.ValueOf(json.RawMessage(fmt.Sprintf(`{"n":%d}`, *n))))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			filled(t, v.Field(i), n)
		}
	case v.Kind() == reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case v.CanInt():
		v.SetInt(int64(*n))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		filled(t, v.Index(0), n)
		filled(t, v.Index(1), n)
	case v.Kind() == reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(*n+i) % 256)
		}
	default:
		t.Fatalf("nobody has said how to fill %s", v.Type())
	}
}

func stored[R any](t *testing.T, record R) (back R) {
	t.Helper()
	key, err := credential.NewDataKey().HotKey()
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{key: key}
	sealed, err := e.seal("op", "here", record)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.open("op", "here", sealed, &back); err != nil {
		t.Fatal(err)
	}
	if err := e.open("op", "elsewhere", sealed, &back); !fault.Is(err, fault.Internal) {
		t.Errorf("a record opens under another name: %v", err)
	}
	again, err := e.seal("op", "here", record)
	if err != nil || again == sealed {
		t.Errorf("two records are sealed alike (%v)", err)
	}
	return back
}

func TestEveryFieldIsStored(t *testing.T) {
	n := 0
	var f hot.Family
	filled(t, reflect.ValueOf(&f).Elem(), &n)
	if got := stored(t, recordOfFamily(f)).family(); !reflect.DeepEqual(got, f) {
		t.Errorf("a family\ngot  %+v\nwant %+v", got, f)
	}
	var g hot.CodeGrant
	filled(t, reflect.ValueOf(&g).Elem(), &n)
	if got := stored(t, recordOfCode(g, true)); !got.Used || !reflect.DeepEqual(got.grant(), g) {
		t.Errorf("a code\ngot  %+v\nwant %+v", got, g)
	}
	var p hot.Pushed
	filled(t, reflect.ValueOf(&p).Elem(), &n)
	if got := stored(t, pushedRecord{Pushed: p}); got.Pushed != p {
		t.Errorf("a pushed request\ngot  %+v\nwant %+v", got, p)
	}
	var a hot.AuthRequest
	filled(t, reflect.ValueOf(&a).Elem(), &n)
	if got := stored(t, a); !reflect.DeepEqual(got, a) {
		t.Errorf("a request\ngot  %+v\nwant %+v", got, a)
	}
}

func TestWhoseFaultAnAnswerIs(t *testing.T) {
	says := func(text string) error { return answered(text) }
	for err, want := range map[error]fault.Kind{
		io.EOF: fault.Unavailable, context.DeadlineExceeded: fault.Unavailable, goredis.ErrClosed: fault.Unavailable, goredis.ErrPoolTimeout: fault.Unavailable,
		errors.New("dial tcp 127.0.0.1:1: connect: connection refused"): fault.Unavailable,
		says("LOADING Redis is loading the dataset in memory"):          fault.Unavailable,
		says("READONLY You can't write against a read only replica."):   fault.Unavailable,
		says("OOM command not allowed when used memory > 'maxmemory'."): fault.Unavailable,
		says("CLUSTERDOWN The cluster is down"):                         fault.Unavailable,
		says("MISCONF Errors writing to the AOF file"):                  fault.Unavailable,
		says("NOPERM this user has no permissions"):                     fault.Unavailable,
		says("WRONGPASS invalid username-password pair"):                fault.Unavailable,
		says("CROSSSLOT Keys in request don't hash to the same slot"):   fault.Internal,
		says("ERR Error running script (call to f_1)"):                  fault.Internal,
		says("ERR user_script:1: attempt to index a nil value"):         fault.Internal,
		says("WRONGTYPE Operation against a key"):                       fault.Internal,
	} {
		if got := classified("op", err); !fault.Is(got, want) || !errors.Is(got, err) {
			t.Errorf("%v: %v, want %s", err, got, want)
		}
	}
	if err := classified("op", nil); err != nil {
		t.Errorf("no error is %v", err)
	}
}

// answered is an error that a server said.
type answered string

func (a answered) Error() string { return string(a) }

// RedisError implements goredis.Error.
func (answered) RedisError() {}

// Names spread over the partitions, and are as long whatever they name.
func TestNamesSpread(t *testing.T) {
	var in [partitions]int
	for n := range 64 * partitions {
		p, name := nameOf(kindFamily, fmt.Sprint("fam_", n))
		if in[p]++; len(name) != 24 {
			t.Fatalf("a name of %d letters", len(name))
		}
	}
	for p, n := range in {
		if n < 20 || n > 120 {
			t.Errorf("partition %d has %d of %d", p, n, 64*partitions)
		}
	}
	_, code := nameOf(kindCode, "x")
	if _, family := nameOf(kindFamily, "x"); code == family {
		t.Error("two kinds share names")
	}
}

func TestRedemptionsAreForgotten(t *testing.T) {
	r, now := newRedeemed(), time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)
	old, young := mark{incarnation: "inc_1"}, mark{incarnation: "inc_2"}
	r.note("fam_1", old, now)
	if !r.holds("fam_1", old) || r.holds("fam_1", young) || !r.holds("fam_2", young) {
		t.Error("a family is stored under another incarnation than its code was redeemed under")
	}
	r.note("fam_2", young, now.Add(hot.CodeMemory+1))
	if len(r.under) != 1 || len(r.order) != 1 {
		t.Errorf("%d redemptions are remembered", len(r.under))
	}
	for n := range mostRedeemed + 10 {
		r.note(fmt.Sprint("fam_", n), old, now)
	}
	if len(r.under) > mostRedeemed || len(r.order) != len(r.under) {
		t.Errorf("%d redemptions are remembered", len(r.under))
	}
}
