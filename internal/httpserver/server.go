// Package httpserver is the edge: sane timeouts and limits, request ids, one log
// line and one metric a request, health, readiness and metrics on a listener of
// their own, and an end that lets requests finish.
package httpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// The limits of every listener. A slow or hostile client costs a connection for
// this long and no more; bodies have their own limits where they are read.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 96 << 10 // more than the longest SCIM path and query, which has an error of its own
	drainTimeout      = 10 * time.Second
)

// Listener is one address and what it serves.
type Listener struct {
	Name string // for the log: "public", "metrics"
	net.Listener
	Handler http.Handler
	TLS     *tls.Config // nil: plain HTTP, for loopback and behind a proxy that ends TLS
}

// Serve serves every listener until ctx ends and the drain is over, then lets running
// requests finish for up to ten seconds. The first listener that fails ends them all.
func Serve(ctx context.Context, log *zap.Logger, drain *Drain, listeners ...Listener) error {
	serving, failed := context.WithCancel(context.WithoutCancel(ctx))
	defer failed()
	ended := make(chan error, len(listeners))
	servers := make([]*http.Server, len(listeners))
	for i, l := range listeners {
		l.Handler = drain.wrap(l.Handler)
		servers[i] = newServer(l, log)
		go func() {
			err := serveOne(servers[i], l)
			if errors.Is(err, http.ErrServerClosed) {
				err = nil
			}
			if err != nil {
				failed()
			}
			ended <- err
		}()
		log.Info("listening", zap.String("listener", l.Name), zap.String("address", l.Addr().String()))
	}
	select {
	case <-ctx.Done():
		log.Info("stopping", zap.Duration("after", drain.For))
		drain.wait(serving.Done())
	case <-serving.Done():
	}
	return errors.Join(shutDown(ctx, servers), collected(ended, len(listeners)))
}

// shutDown takes no more requests, and waits for those under way.
func shutDown(ctx context.Context, servers []*http.Server) error {
	finish, stop := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer stop()
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.Shutdown(finish))
	}
	return errors.Join(errs...)
}

func collected(ended <-chan error, n int) error {
	var errs []error
	for range n {
		errs = append(errs, <-ended)
	}
	return errors.Join(errs...)
}

func newServer(l Listener, log *zap.Logger) *http.Server {
	return &http.Server{Handler: l.Handler, TLSConfig: l.TLS, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: zap.NewStdLog(log.WithOptions(zap.IncreaseLevel(zap.WarnLevel)))}
}

func serveOne(s *http.Server, l Listener) error {
	if l.TLS != nil {
		return s.ServeTLS(l.Listener, "", "")
	}
	return s.Serve(l.Listener)
}
