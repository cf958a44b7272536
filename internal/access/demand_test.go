package access

import (
	"strings"
	"testing"
	"time"
)

var signedIn = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

func TestADemandIsMetByASignInOfItsKindThatIsYoungEnough(t *testing.T) {
	for _, row := range []struct {
		name   string
		demand Demand
		acr    string
		at     time.Time
		age    time.Duration
		want   bool
	}{
		{"nothing asked", Demand{}, "", time.Time{}, 0, true},
		{"the kind", Demand{ACR: []string{"phr", "phrh"}}, "phrh", signedIn, 24 * time.Hour, true},
		{"another kind", Demand{ACR: []string{"phr"}}, "pwd", signedIn, 0, false},
		{"no kind said", Demand{ACR: []string{"phr"}}, "", signedIn, 0, false},
		{"part of the name", Demand{ACR: []string{"phrh"}}, "phr", signedIn, 0, false},
		{"just young enough", Demand{MaxAge: time.Hour}, "", signedIn, time.Hour - 1, true},
		{"just too old", Demand{MaxAge: time.Hour}, "", signedIn, time.Hour, false},
		{"nobody says when", Demand{MaxAge: time.Hour}, "", time.Time{}, 0, false},
		{"the kind, too old", Demand{ACR: []string{"phr"}, MaxAge: time.Hour}, "phr", signedIn, 2 * time.Hour, false},
		{"young, of another kind", Demand{ACR: []string{"phr"}, MaxAge: time.Hour}, "pwd", signedIn, 0, false},
	} {
		if got := row.demand.Met(row.acr, row.at, signedIn.Add(row.age)); got != row.want {
			t.Errorf("%s: met is %v", row.name, got)
		}
	}
	if d := (Demand{MaxAge: time.Hour}); !d.Until(signedIn).Equal(signedIn.Add(time.Hour)) || !(Demand{}).Until(signedIn).IsZero() {
		t.Error("a demand ends at another instant than the one at which it is met no more")
	}
}

func TestADemandIsHeldToItsBounds(t *testing.T) {
	long := make([]string, MaxDemandedACR+1)
	for i := range long {
		long[i] = "a"
	}
	c := Catalogue{Grants: map[Grant]Terms{
		Associate: {ACR: []string{"phr"}}, Standard: {ACR: []string{"two words"}}, Technician: {MaxAge: time.Minute},
		Elevated: {MaxAge: -time.Hour}, Administrator: {ACR: long},
	}}
	err := c.Check()
	if err == nil {
		t.Fatal("nothing is wrong with it")
	}
	for _, want := range []string{"associate never signs in", `standard: acr "two words"`, "technician: max_age is at least 5m0s", "elevated: max_age", "administrator: acr lists more than 16"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said in:\n%v", want, err)
		}
	}
	good := Catalogue{Grants: map[Grant]Terms{Administrator: {ACR: []string{"phrh", "phr"}, MaxAge: 15 * time.Minute}, Elevated: {ACR: []string{"phr"}}}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	if got := good.Demands(Administrator).String(); got != "acr phrh or phr, at most 15m0s old" {
		t.Errorf("it says %q", got)
	}
	if got := strings.Join(good.ACRValues(), " "); got != "phr phrh" {
		t.Errorf("all of them are %q", got)
	}
	if !good.Demands(Standard).IsZero() {
		t.Error("a grant without terms demands something")
	}
}
