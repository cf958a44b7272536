package schema

import (
	"testing"
)

const driverURN = "urn:banksia:scim:schemas:extension:driver:1.0:User"

func own(o Object) Object { return Object{"userName": "p", driverURN: o} }

func TestAPutKeepsWhatTheClientCannotKnow(t *testing.T) {
	rt := drivers(t, false)
	was := own(Object{"driverId": "D-7", "points": int64(3), "pin": "4711", "gone": "x"})
	was["urn:example:scim:removed"] = Object{"a": "b"}
	for name, c := range map[string]struct{ sent, want Object }{
		"nothing of it": {Object{"userName": "p"}, own(Object{"driverId": "D-7", "pin": "4711", "gone": "x"})},
		"some of it":    {own(Object{"onCall": true}), own(Object{"driverId": "D-7", "pin": "4711", "gone": "x", "onCall": true})},
		"another pin":   {own(Object{"driverId": "D-7", "pin": "1"}), own(Object{"driverId": "D-7", "pin": "1", "gone": "x"})},
	} {
		sent := string(c.sent.Encode())
		got, err := rt.Replaced(was, c.sent)
		if err != nil {
			t.Fatal(name, err)
		}
		c.want["urn:example:scim:removed"] = Object{"a": "b"}
		equal(t, name, string(got.Encode()), string(c.want.Encode()))
		equal(t, name+": what was sent", string(c.sent.Encode()), sent)
	}
	if _, err := rt.Replaced(was, own(Object{"driverId": "D-8"})); describe(err) != "mutability "+driverURN+":driverId: the attribute is immutable and has a value" {
		t.Error(err)
	}
	if !Users().Outlasts(was.Encode()) || Users().Outlasts([]byte(`{"userName":"\"urn:x:\":","emails":[{"value":"urn:a:b"}],"`+EnterpriseURN+`":{"department":"urn:c:d"}}`)) {
		t.Error("a PUT looks at what is stored only if something there may outlast it")
	}
	kept, err := Users().Replaced(was, Object{"userName": "q"})
	if err != nil || !Equal(kept[driverURN], was[driverURN]) {
		t.Error("a schema that the connection has no more", kept, err)
	}
}

func TestWhoLacksWhatIsRequiredMayStillLeave(t *testing.T) {
	rt := drivers(t, true)
	without, half, full := Object{"userName": "p"}, own(Object{"points": int64(1)}), own(Object{"driverId": "D-7"})
	for name, c := range map[string]struct {
		was, now Object
		good     bool
	}{
		"never had it":                   {without, Object{"userName": "p", "active": false}, true},
		"had some of it":                 {half, own(Object{"points": int64(2)}), true},
		"had it, and loses it":           {full, without, false},
		"had it, and loses what it must": {full, half, false},
		"takes only a part of it":        {without, half, false},
		"takes it whole":                 {without, full, true},
		"a card without its number":      {full, own(Object{"driverId": "D-7", "cards": []any{Object{"type": "fuel"}}}), false},
		"had a card without its number":  {own(Object{"driverId": "D-7", "cards": []any{Object{"type": "fuel"}}}), own(Object{"driverId": "D-7", "points": int64(1), "cards": []any{Object{"type": "fuel"}}}), true},
	} {
		if err := rt.Changed(c.was, c.now); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	for doc, good := range map[string]bool{string(without.Encode()): false, string(half.Encode()): false, string(full.Encode()): true} {
		o, err := Stored([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		if err := rt.Created(o); (err == nil) != good {
			t.Errorf("%s is new: %v", doc, err)
		}
	}
}

func TestPartsKeepTheirOwnMutability(t *testing.T) {
	all, faults := ParseDefinitions([]byte(`{"id":"urn:example:scim:m","attributes":[{"name":"card","type":"complex","subAttributes":[
		{"name":"number","mutability":"immutable"},{"name":"issued","mutability":"readOnly"},{"name":"pin","mutability":"writeOnly"},{"name":"note"}]}]}`))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	types, err := Standard().ExtendGroups(Extension{Schema: all[0]})
	if err != nil {
		t.Fatal(err)
	}
	card := func(o Object) Object { return Object{"displayName": "g", "urn:example:scim:m": Object{"card": o}} }
	was := card(Object{"number": "1", "issued": "2026", "pin": "p", "note": "n"})
	for _, c := range []struct {
		sent Object
		want string
	}{
		{Object{"displayName": "g"}, `{"issued":"2026","number":"1","pin":"p"}`},
		{card(Object{"note": "m"}), `{"issued":"2026","note":"m","number":"1","pin":"p"}`},
		{card(Object{"number": "2"}), ""},
	} {
		got, err := types.Groups.Replaced(was, c.sent)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s was accepted", c.sent.Encode())
			}
			continue
		}
		kept, _ := got.at([]string{"urn:example:scim:m", "card"}).(Object)
		if err != nil || string(kept.Encode()) != c.want {
			t.Errorf("%s leaves %s (%v), want %s", c.sent.Encode(), kept.Encode(), err, c.want)
		}
	}
}

// A rule that looks at a typed attribute finds its value by the attribute's path.
func TestATypedValueIsFoundByItsPath(t *testing.T) {
	rt := drivers(t, false)
	checked, err := rt.Decode([]byte(`{"schemas":["`+UserURN+`"],"userName":"p","`+driverURN+`":{"driverId":"D-7","points":3,"hoursPerWeek":37,"onCall":true,"depots":["a"],"medical":{"passed":false}}}`), Lenient())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := Stored(checked.Doc.Encode())
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{driverURN + ":points": int64(3), "hoursPerWeek": 37.0, "onCall": true, driverURN + ":driverId": "D-7", "licenceClass": nil} {
		a, err := rt.Attribute(path)
		if err != nil || doc.Get(a) != want {
			t.Errorf("%s is %v (%v), want %v", path, doc.Get(a), err, want)
		}
	}
	if passed, there := doc.Bool(driverURN, "medical", "passed"); passed || !there {
		t.Error("a part is found by its path, too")
	}
}

func TestAValueOfAnEarlierTypeIsNone(t *testing.T) {
	rt := drivers(t, false)
	for name, v := range map[string]any{"points": "3", "onCall": int64(1), "depots": "x", "cards": []any{"x"}, "medical": []any{}, "driverId": int64(7), "hoursPerWeek": int64(3)} {
		a, err := rt.Attribute(driverURN + ":" + name)
		if err != nil || a.Valid(v) != nil {
			t.Errorf("%s may be %v (%v)", name, v, err)
		}
	}
}
