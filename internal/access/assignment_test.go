package access

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

func TestTimeIsJudgedAtUse(t *testing.T) {
	a := Assignment{Grant: Standard, NotBefore: noon, Until: noon.Add(time.Hour)}
	s := Source{NotBefore: a.NotBefore, Until: a.Until}
	for at, want := range map[time.Duration]bool{-time.Nanosecond: false, 0: true, time.Hour - time.Nanosecond: true, time.Hour: false} {
		if now := noon.Add(at); a.ValidAt(now) != want || s.ValidAt(now) != want || a.MaySignIn(now) != want {
			t.Errorf("at %v it is %v", at, !want)
		}
	}
	if !(Assignment{}).ValidAt(noon) || !(Source{}).ValidAt(noon) {
		t.Error("without limits it is always valid")
	}
	if (Assignment{Grant: Associate}).MaySignIn(noon) {
		t.Error("a contact never signs in")
	}
}

// TestSameUseKnowsEveryField fails when a field is added to Assignment: decide
// whether a session would notice it, then put it here.
func TestSameUseKnowsEveryField(t *testing.T) {
	base := Assignment{ID: "asg_1", Person: "per_1", Grant: Standard, Scope: "adl", Standing: Primary, NotBefore: noon, Until: noon.Add(time.Hour)}
	noticed := map[string]func(*Assignment){
		"Grant":     func(a *Assignment) { a.Grant = Elevated },
		"Scope":     func(a *Assignment) { a.Scope = "per" },
		"Flags":     func(a *Assignment) { a.Flags.Video = true },
		"Standing":  func(a *Assignment) { a.Standing = Guest },
		"NotBefore": func(a *Assignment) { a.NotBefore = time.Time{} },
		"Until":     func(a *Assignment) { a.Until = time.Time{} },
	}
	ignored := map[string]func(*Assignment){
		"ID":       func(a *Assignment) { a.ID = "asg_2" },
		"Person":   func(a *Assignment) { a.Person = "per_2" },
		"Sources":  func(a *Assignment) { a.Sources = []Source{{ID: "r"}} }, // who gave it is not what it is
		"LastUsed": func(a *Assignment) { a.LastUsed = noon },
	}
	typ := reflect.TypeOf(base)
	for i := range typ.NumField() {
		name := typ.Field(i).Name
		other := base
		change, isNoticed := noticed[name]
		if !isNoticed {
			change = ignored[name]
		}
		if change == nil {
			t.Errorf("nobody decided whether a session notices %s", name)
			continue
		}
		change(&other)
		if base.SameUse(other) == isNoticed || other.SameUse(base) == isNoticed {
			t.Errorf("%s: noticed is %v", name, !isNoticed)
		}
	}
	for name, of := range map[string]any{"Flags": Flags{}} {
		if n := reflect.TypeOf(of).NumField(); n != 2 {
			t.Errorf("%s has %d fields; is the new one comparable with ==?", name, n)
		}
	}
	later, endless, sooner := base, base, base
	later.Until, endless.Until, sooner.Until = base.Until.Add(time.Hour), time.Time{}, base.Until.Add(-1)
	if !base.GoesOn(later) || !base.GoesOn(endless) || !base.GoesOn(base) || base.GoesOn(sooner) || endless.GoesOn(base) {
		t.Error("a session goes on where the end moves away, and only there")
	}
	later.Flags.Video = true
	if base.GoesOn(later) {
		t.Error("nothing else may differ")
	}
	abroad := base
	abroad.Until = base.Until.In(time.FixedZone("ACDT", 37800))
	if !base.SameUse(abroad) {
		t.Error("the same instant in another zone is the same")
	}
}

func TestPeopleReadPrimaryFirst(t *testing.T) {
	as := []Assignment{
		{ID: "5", Standing: Guest, Grant: Administrator, Scope: "a"},
		{ID: "4", Standing: Guest, Grant: Standard, Scope: "b"},
		{ID: "3", Standing: Guest, Grant: Standard, Scope: "a"},
		{ID: "2", Standing: Guest, Grant: Standard, Scope: "a"},
		{ID: "1", Standing: Primary, Grant: Administrator, Scope: "z"},
	}
	slices.SortFunc(as, CompareAssignments)
	for i, a := range as {
		if int(a.ID[0]-'1') != i {
			t.Fatalf("%+v", as)
		}
	}
}

func TestCertificationsCountByLevelAndDate(t *testing.T) {
	for _, c := range []struct {
		cert Certification
		want bool
	}{
		{Certification{}, false},
		{Certification{Level: "Trainer"}, true},
		{Certification{Level: "Untrained Technician", Until: noon.Add(time.Nanosecond)}, true},
		{Certification{Level: "Installation Certified Technician G2", Until: noon}, false},
		{Certification{Level: "trainer"}, false},
		{Certification{Level: "Senior Trainer"}, false},
	} {
		if got := c.cert.CertifiedAt(noon); got != c.want {
			t.Errorf("%+v: %v", c.cert, got)
		}
	}
}
