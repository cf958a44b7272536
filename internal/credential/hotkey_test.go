package credential

import (
	"bytes"
	"testing"
)

func TestARecordOpensInItsPlaceAlone(t *testing.T) {
	key := func() HotKey {
		root := NewDataKey()
		k, err := root.HotKey()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	k, other := key(), key()
	sealed, err := k.Seal([]byte("per_mara"), "fam:1")
	again, err2 := k.Seal([]byte("per_mara"), "fam:1")
	if err != nil || err2 != nil || bytes.Contains(sealed, []byte("mara")) || bytes.Equal(sealed, again) {
		t.Fatalf("%q %q %v %v", sealed, again, err, err2)
	}
	if got, err := k.Open(sealed, "fam:1"); err != nil || string(got) != "per_mara" {
		t.Errorf("%q %v", got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"in another place":  func() ([]byte, error) { return k.Open(sealed, "fam:2") },
		"under another key": func() ([]byte, error) { return other.Open(sealed, "fam:1") },
		"without a key":     func() ([]byte, error) { return HotKey{}.Open(sealed, "fam:1") },
		"cut":               func() ([]byte, error) { return k.Open(sealed[:len(sealed)-1], "fam:1") },
		"empty":             func() ([]byte, error) { return k.Open(nil, "fam:1") },
	} {
		if got, err := open(); err == nil {
			t.Errorf("it opens %s: %q", name, got)
		}
	}
	if _, err := (HotKey{}).Seal([]byte("x"), "p"); err == nil {
		t.Error("a record is sealed without a key")
	}
}

func TestADeploymentIsNamedByItsKey(t *testing.T) {
	root := NewDataKey()
	k, err := root.HotKey()
	again, err2 := root.HotKey()
	other, err3 := NewDataKey().HotKey()
	if err != nil || err2 != nil || err3 != nil {
		t.Fatal(err, err2, err3)
	}
	name, err := k.Deployment()
	same, err2 := again.Deployment()
	another, err3 := other.Deployment()
	if err != nil || err2 != nil || err3 != nil || len(name) != 8 || name != same || name == another {
		t.Errorf("%q %q %q: %v %v %v", name, same, another, err, err2, err3)
	}
	if name, err := (HotKey{}).Deployment(); err == nil {
		t.Errorf("no key is named %q", name)
	}
}
