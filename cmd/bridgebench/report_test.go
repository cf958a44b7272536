package main

import "testing"

func TestFiguresGoBetweenTheirMarks(t *testing.T) {
	b := block{"performance.md", "figures", "new\n"}
	got, err := b.into("above\n<!-- make bench-nodes: figures -->\nold\n<!-- end of figures -->\nbelow\n")
	if want := "above\n<!-- make bench-nodes: figures -->\n\nnew\n\n<!-- end of figures -->\nbelow\n"; err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if again, err := b.into(got); err != nil || again != got {
		t.Errorf("the second time: %q, %v", again, err)
	}
	for _, lacking := range []string{"", "<!-- make bench-nodes: figures -->\n", "<!-- end of figures -->\n"} {
		if _, err := b.into(lacking); err == nil {
			t.Errorf("%q has its marks?", lacking)
		}
	}
}
