package credential

import "testing"

func TestAMarkIsOfOneNameInOneConnection(t *testing.T) {
	key, err := testDataKey(t).MarkKey()
	if err != nil {
		t.Fatal(err)
	}
	mark := key.Mark("southern", "anna@southern.example")
	if len(mark) != 16 || key.Mark("southern", "anna@southern.example") != mark {
		t.Errorf("the mark is %q, then another", mark)
	}
	for what, other := range map[string]string{
		"another name":       key.Mark("southern", "ann@southern.example"),
		"another connection": key.Mark("northern", "anna@southern.example"),
		"a letter moved":     key.Mark("southerna", "nna@southern.example"),
	} {
		if other == mark {
			t.Errorf("%s has the same mark", what)
		}
	}
	if (MarkKey{}).Mark("southern", "anna") != "" || key.Mark("southern", "") != "" {
		t.Error("there is a mark without a key, or of nothing")
	}
}
