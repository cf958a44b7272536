// Command drawbridge lowers the bridge for people whose company says they belong,
// and raises it the moment they leave: SCIM in, rules in the middle, OpenID
// Connect out. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// collectAt lets the heap grow to three times what is live before it is collected:
// what is live is small, and requests should not pay for saving memory that nobody
// needs. GOGC in the environment wins.
const collectAt = 200

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
