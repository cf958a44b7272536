//go:build failpoints

package failpoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// strike is what the environment asks for.
type strike struct {
	point Point
	how   string
	armed string // a file; "" for from the beginning
	stall time.Duration

	mu   sync.Mutex // guards what follows
	left int        // passings until it strikes; 0: it has
}

var asked = read(os.Getenv)

func read(env func(string) string) *strike {
	text := env("BRIDGE_FAILPOINT")
	if text == "" {
		return &strike{}
	}
	s, err := parse(text)
	if err != nil {
		panic(err)
	}
	s.armed, s.stall = env("BRIDGE_FAILPOINT_ARMED"), 30*time.Second
	if d := env("BRIDGE_FAILPOINT_STALL"); d != "" {
		if s.stall, err = time.ParseDuration(d); err != nil {
			panic(fmt.Errorf("BRIDGE_FAILPOINT_STALL: %w", err))
		}
	}
	return s
}

func parse(text string) (*strike, error) {
	parts := strings.Split(text, ":")
	if len(parts) == 2 {
		parts = append(parts, "1")
	}
	if len(parts) != 3 {
		return nil, fmt.Errorf("BRIDGE_FAILPOINT is point:kill|panic|error|stall[:nth], not %q", text)
	}
	nth, err := strconv.Atoi(parts[2])
	if err != nil || nth < 1 || !slices.Contains([]string{"kill", "panic", "error", "stall"}, parts[1]) {
		return nil, fmt.Errorf("BRIDGE_FAILPOINT is point:kill|panic|error|stall[:nth], not %q", text)
	}
	return &strike{point: Point(parts[0]), how: parts[1], left: nth}, nil
}

var errStruck = errors.New("a failpoint struck")

// Hit strikes if this is the point that was asked for, and its turn.
func Hit(ctx context.Context, p Point) error {
	if p != asked.point || !asked.turn() {
		return nil
	}
	switch asked.how {
	case "kill":
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		select { // the signal is on its way
		case <-time.After(time.Minute):
			panic(err)
		}
	case "panic":
		panic(fmt.Sprintf("failpoint %s", p))
	case "stall":
		select {
		case <-time.After(asked.stall):
		case <-ctx.Done():
		}
		return nil
	}
	return fault.Wrap(fault.Unavailable, "failpoint.Hit", fmt.Errorf("%s: %w", p, errStruck))
}

// turn counts a passing, and says whether it is the one that strikes.
func (s *strike) turn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 {
		return false
	}
	if s.armed != "" {
		if _, err := os.Stat(s.armed); err != nil {
			return false
		}
	}
	if s.left--; s.left > 0 {
		return false
	}
	if s.armed != "" {
		_ = os.Remove(s.armed) // the test sees that it struck
	}
	return true
}
