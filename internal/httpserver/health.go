package httpserver

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Check is one thing without which the bridge cannot do its work, or not all of it.
type Check struct {
	Name string
	Run  func(ctx context.Context) error
	// Beside says that the bridge is ready without it: all nodes share it, and were they all taken
	// out for it, nobody would do what can be done without.
	Beside bool
}

// Operations serves /metrics, /healthz (the process answers) and /readyz (every
// check passes but those Beside; ?verbose names each), and api, below its prefix, for commands on the
// same machine. It belongs on a listener of its own.
func Operations(reg *prometheus.Registry, prefix string, api http.Handler, checks ...Check) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(prefix+"/", api)
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { ready(w, r, checks) })
	return mux
}

func ready(w http.ResponseWriter, r *http.Request, checks []Check) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	status, lines := http.StatusOK, ""
	for _, c := range checks {
		switch err := c.Run(ctx); {
		case err != nil && c.Beside:
			lines += fmt.Sprintf("[!] %s: %v\n", c.Name, err)
		case err != nil:
			status = http.StatusServiceUnavailable
			lines += fmt.Sprintf("[-] %s: %v\n", c.Name, err)
		default:
			lines += fmt.Sprintf("[+] %s\n", c.Name)
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	switch {
	case r.URL.Query().Has("verbose"):
		fmt.Fprint(w, lines)
	case status == http.StatusOK:
		fmt.Fprintln(w, "ready")
	default:
		fmt.Fprintln(w, "not ready; ask /readyz?verbose")
	}
}
