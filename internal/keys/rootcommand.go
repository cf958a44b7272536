package keys

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/fault"
)

const (
	usualTimeout = 10 * time.Second // for one run of a root command
	graceful     = time.Second      // for its output to end, once it was killed
	maxSaid      = 200              // bytes of its complaint that are shown
	contextName  = "DRAWBRIDGE_KEY_CONTEXT"
)

// runWrap has the command wrap a data key: its last argument is "wrap", it reads the key
// in base64 on one line, and answers with one line of its own.
func (r Root) runWrap(ctx context.Context, d credential.DataKey, bound string) (string, error) {
	text, err := d.Text()
	if err != nil {
		return "", err
	}
	wrapped, err := r.run(ctx, "wrap", text.Reveal(), bound)
	if err != nil {
		return "", err
	}
	if !credential.Wrapped(wrapped) {
		return "", r.failed("wrap", "answered with something else than one line of at most %d printable characters", credential.MaxWrapped)
	}
	if strings.Contains(wrapped, strings.TrimRight(text.Reveal(), "=")) {
		return "", r.failed("wrap", "answered with the key itself, in the clear")
	}
	return wrapped, nil
}

// runUnwrap has the command unwrap what it wrapped: its last argument is "unwrap".
func (r Root) runUnwrap(ctx context.Context, wrapped, bound string) (credential.DataKey, error) {
	text, err := r.run(ctx, "unwrap", wrapped, bound)
	if err != nil {
		return credential.DataKey{}, err
	}
	d, err := credential.ParseDataKey(text)
	if err != nil {
		return d, r.failed("unwrap", "answered with something else than a key: %v", err)
	}
	return d, nil
}

// run runs the command once. What it says to its standard error is shown if it fails,
// without what looks like a key.
func (r Root) run(ctx context.Context, verb, in, bound string) (string, error) {
	limit := r.Timeout
	if limit == 0 {
		limit = usualTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.Command[0], append(append([]string{}, r.Command[1:]...), verb)...)
	cmd.Env = append(os.Environ(), contextName+"="+bound)
	cmd.Stdin = strings.NewReader(in + "\n")
	out, said := &bounded{most: credential.MaxWrapped + 2}, &bounded{most: 4 << 10}
	cmd.Stdout, cmd.Stderr = out, said
	cmd.WaitDelay = graceful
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", r.failed(verb, "was not done after %s", limit)
	case err != nil && len(said.kept) > 0:
		return "", r.failed(verb, "failed (%v) and says: %s", err, complaint(string(said.kept)))
	case err != nil:
		return "", r.failed(verb, "failed: %v", err)
	case out.over:
		return "", r.failed(verb, "answered with more than %d bytes", credential.MaxWrapped)
	}
	return strings.TrimRight(string(out.kept), "\r\n"), nil
}

func (r Root) failed(verb, format string, args ...any) error {
	return fault.Wrap(fault.Unavailable, "keys.Root", errors.New(r.String()+" "+verb+" "+fmt.Sprintf(format, args...)))
}

// complaint is the first line of what a command said, short, and without what may be a key.
func complaint(said string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(said), "\n")
	line = regexp.MustCompile(`[A-Za-z0-9+/_=-]{32,}`).ReplaceAllString(line, "[redacted]")
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, line)
	return strings.ToValidUTF8(line[:min(len(line), maxSaid)], "")
}

// bounded keeps the beginning of what is written, and reads the rest away. It is no
// bytes.Buffer, which would read to the end by itself.
type bounded struct {
	kept []byte
	most int
	over bool
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	fits := min(len(p), b.most-len(b.kept))
	b.over = b.over || fits < len(p)
	b.kept = append(b.kept, p[:fits]...)
	return len(p), nil
}
