package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// yardstick measures the same load against a server that does nothing: what the
// machine and this program reach at most, to hold the other rows against.
func yardstick(ctx context.Context, _ *bridge, s size, t *table) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-serve-nothing")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // it was told to end
	}()
	host, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return err
	}
	nothing := &bridge{cmd: cmd}
	r, err := nothing.load(ctx, strings.TrimSpace(host), s.conns, s.perRun, anyCount, func(w *wire, _ int64) error {
		status, answer, err := w.do("GET", "/", "", "", "")
		return expect(200, status, answer, err)
	})
	if err != nil {
		return err
	}
	t.add("a Go server that answers one word, for comparison", r)
	return nil
}

// serveNothing is that server; it prints its address first.
func serveNothing() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Println(l.Addr()); err != nil {
		return errors.Join(err, l.Close())
	}
	s := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello") // a client that went away is not measured
	})}
	return s.Serve(l)
}
