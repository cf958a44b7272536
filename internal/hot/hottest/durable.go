package hottest

import (
	"fmt"
	"testing"

	"github.com/drawbridge-id/drawbridge/internal/hot"
)

// RunDurable holds an engine to what must survive a restart. open gives the engine
// of that folder; the suite closes it.
func RunDurable(t *testing.T, open func(t *testing.T, dir string) hot.Engine) {
	t.Run("families go on after a restart where they were", func(t *testing.T) {
		dir := t.TempDir()
		e := open(t, dir)
		for i := range 20 {
			id := fmt.Sprint("fam_", i)
			must(t, e.PutFamily(t.Context(), family(id)))
			for n := range int64(i) {
				rotate(t, e, rotation(id, n+1), hot.OK)
			}
		}
		must(t, e.EndFamily(t.Context(), "fam_3"))
		must(t, e.Close())
		e = open(t, dir)
		gone(t, e, "fam_3")
		for i := 4; i < 20; i++ {
			id := fmt.Sprint("fam_", i)
			f, err := e.Family(t.Context(), id, instant())
			must(t, err)
			want := family(id)
			want.N = int64(i) + 1
			if want.Rotated = rotation(id, 1).Now; fmt.Sprint(f) != fmt.Sprint(want) {
				t.Errorf("got  %+v\nwant %+v", f, want)
			}
			rotate(t, e, rotation(id, int64(i)+1), hot.OK)
			rotate(t, e, rotation(id, int64(i)), hot.Replayed)
		}
		must(t, e.Close())
	})
}
