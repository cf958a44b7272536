package fleetweb

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	cookieName   = "fleet_web" // cookies do not know ports: no other server of a host may use it
	maxSessions  = 1000
	maxPending   = 8 // sign-ins under way in one browser: one for each tab
	pendingLife  = 10 * time.Minute
	sessionIdle  = 24 * time.Hour
	anonymousAge = 15 * time.Minute // how long a browser without a sign-in is kept
)

// browser is one browser's session on the server. The cookie carries its id alone.
type browser struct {
	renewing sync.Mutex // held while its tokens are checked and renewed, so that a refresh token is used once

	mu      sync.Mutex // guards the rest; never held while the bridge is asked
	tokens  tokens
	pending map[string]pending // by state
	seen    time.Time
}

func (b *browser) held() tokens {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tokens
}

func (b *browser) hold(t tokens, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens, b.seen = t, now
}

type tokens struct {
	Access  string    `json:"access"`
	Refresh string    `json:"refresh"`
	ID      string    `json:"id"`
	Expires time.Time `json:"expires"` // of the access token
	Name    string    `json:"name"`
	// Unproven tokens came without showing a page and were not accepted yet: if they
	// never are, asking again would go round in circles.
	Unproven bool `json:"unproven,omitzero"`
}

// pending is a sign-in that has left for the bridge.
type pending struct {
	verifier, nonce string
	silent          bool // asked for without showing a page
	at              time.Time
}

// sessions are all browsers, written to a file if there is one.
type sessions struct {
	file string // "": kept in memory only
	now  func() time.Time

	writing sync.Mutex // one writer of the file at a time

	mu sync.Mutex // guards by
	by map[string]*browser
}

func openSessions(file string, now func() time.Time) (*sessions, error) {
	s := &sessions{file: file, now: now, by: map[string]*browser{}}
	if file == "" {
		return s, nil
	}
	b, err := os.ReadFile(file) //nolint:gosec // the path is the owner's own
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("fleetweb: read the sessions: %w", err)
	}
	var kept map[string]stored
	if err := json.Unmarshal(b, &kept); err != nil {
		return nil, fmt.Errorf("fleetweb: read the sessions in %s: %w", file, err)
	}
	for id, k := range kept {
		s.by[id] = &browser{tokens: k.Tokens, seen: k.Seen}
	}
	return s, nil
}

// find gives the browser's session, nil if there is none.
func (s *sessions) find(id string) *browser {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[id]
}

// open makes a new session under a new id.
func (s *sessions) open() (string, *browser) {
	b := &browser{seen: s.now()}
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweepLocked()
	s.by[id] = b
	return id, b
}

// rotate gives a session a new id, so that one planted before the sign-in is worth
// nothing after it.
func (s *sessions) rotate(old string, b *browser) string {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, old)
	s.by[id] = b
	return id
}

func (s *sessions) drop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, id)
}

func (s *sessions) sweepLocked() {
	now := s.now()
	oldest, oldestID := now, ""
	for id, b := range s.by {
		seen, signedIn := b.glance()
		if age := now.Sub(seen); age > sessionIdle || !signedIn && age > anonymousAge {
			delete(s.by, id)
			continue
		}
		if !seen.After(oldest) {
			oldest, oldestID = seen, id
		}
	}
	if len(s.by) >= maxSessions {
		delete(s.by, oldestID)
	}
}

func (b *browser) glance() (seen time.Time, signedIn bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen, b.tokens.Access != ""
}

// save writes the sessions that are signed in, all or nothing.
func (s *sessions) save() error {
	if s.file == "" {
		return nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	body, err := json.Marshal(s.kept())
	if err != nil {
		return fmt.Errorf("fleetweb: write the sessions: %w", err)
	}
	return replaceFile(s.file, body)
}

func (s *sessions) kept() map[string]stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := map[string]stored{}
	for id, b := range s.by {
		b.mu.Lock()
		if b.tokens.Access != "" {
			kept[id] = stored{Tokens: b.tokens, Seen: b.seen}
		}
		b.mu.Unlock()
	}
	return kept
}

type stored struct {
	Tokens tokens    `json:"tokens"`
	Seen   time.Time `json:"seen"`
}

// replaceFile writes beside and renames, so that a reader sees the old or the new.
func replaceFile(path string, body []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".fleet-web-*")
	if err != nil {
		return fmt.Errorf("fleetweb: write the sessions: %w", err)
	}
	_, err = f.Write(body) // CreateTemp made it 0600
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("fleetweb: write the sessions: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
