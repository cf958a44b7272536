package keys

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// oneByOne is a table for several processes.
type oneByOne struct {
	*table
	mu sync.Mutex
}

func (r *oneByOne) SigningKeys(ctx context.Context) ([]store.SigningKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.table.SigningKeys(ctx)
}

func (r *oneByOne) ChangeSigningKeys(ctx context.Context, decide func([]store.SigningKey) (Change, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.table.ChangeSigningKeys(ctx, decide)
}

// Whatever one process does with the keys at a command, what it signs with is published and
// accepted by the others already, and what it erased is not for long.
func TestAKeySignsWhenEveryProcessKnowsIt(t *testing.T) {
	for name, change := range map[string]func(ctx context.Context, r *Ring, signs string) error{
		"rotated at once": func(ctx context.Context, r *Ring, _ string) error { _, err := r.Rotate(ctx, "", true); return err },
		"retired by force": func(ctx context.Context, r *Ring, signs string) error {
			_, err := r.Retire(ctx, signs, Retiring{Force: true})
			return err
		},
		"erased at once": func(ctx context.Context, r *Ring, signs string) error {
			_, err := r.Retire(ctx, signs, Retiring{AtOnce: true})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			file, rows := rootFile(t), &oneByOne{table: &table{}}
			synctest.Test(t, func(t *testing.T) {
				a, b := shared(t, file, rows), shared(t, file, rows)
				ctx, stop := context.WithCancel(t.Context())
				var all sync.WaitGroup
				all.Go(func() { a.Follow(ctx) })
				all.Go(func() { b.Follow(ctx) })
				was, done := signsWith(t, a), make(chan error, 1)
				go func() { done <- change(ctx, a, was) }()
				for over := false; !over; {
					select {
					case err := <-done:
						if err != nil {
							t.Error(err)
						}
						over = true
					case <-time.After(50 * time.Millisecond):
					}
					if now := signsWith(t, a); !strings.Contains(string(b.JWKS()), now) {
						t.Fatalf("a signs with %s, which b does not publish: %s", now, b.JWKS())
					}
				}
				time.Sleep(2 * followEvery)
				if signsWith(t, a) == was || signsWith(t, b) != signsWith(t, a) || string(a.JWKS()) != string(b.JWKS()) {
					t.Errorf("a signs with %s, b with %s, before it was %s", signsWith(t, a), signsWith(t, b), was)
				}
				stop()
				all.Wait()
			})
		})
	}
}

func shared(t *testing.T, file string, rows Rows) *Ring {
	t.Helper()
	r, err := Open(t.Context(), Config{Root: Root{File: file}, Rows: rows, Schedule: usual(), Now: time.Now, Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func signsWith(t *testing.T, r *Ring) string {
	t.Helper()
	k, ok := first(ofAlgorithm(r.current.Load().held, credential.ES256), credential.KeyActive)
	if !ok {
		t.Fatal("nothing signs")
	}
	return k.ID
}
