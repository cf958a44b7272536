package httpserver

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
)

// A node leaves while requests come without a pause: first /readyz says so, and whoever heeds
// it loses nothing, however busy their connections are.
func TestANodeLeavesWithoutLosingARequest(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	drain := &Drain{For: 500 * time.Millisecond}
	at := "http://" + l.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) { ready(w, r, []Check{drain.Check()}) })
	var finished atomic.Int64
	mux.HandleFunc("/work", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(2 * time.Millisecond)
		finished.Add(1)
		_, _ = io.WriteString(w, "whole")
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, zap.NewNop(), drain, Listener{Name: "public", Listener: l, Handler: mux}) }()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	var leaving atomic.Bool // the load balancer knows
	var answered, closing atomic.Int64
	var load sync.WaitGroup
	for range 8 {
		load.Go(func() {
			for !leaving.Load() {
				resp, err := client.Get(at + "/work")
				if err != nil {
					t.Errorf("a request was lost: %v", err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || string(body) != "whole" {
					t.Errorf("answered %q, %v", body, err)
				}
				answered.Add(1)
				if resp.Close {
					closing.Add(1)
				}
			}
		})
	}
	load.Go(func() {
		for probe := range 1000 {
			time.Sleep(20 * time.Millisecond)
			if probe == 5 {
				stop()
			}
			resp, err := http.Get(at + "/readyz?verbose")
			if err != nil {
				t.Errorf("the load balancer was not told: %v", err)
				break
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(body), "[-] stays: this node was told to end") {
				break
			}
		}
		time.Sleep(50 * time.Millisecond) // requests still come while it finds out
		leaving.Store(true)
	})
	load.Wait()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if answered.Load() == 0 || answered.Load() != finished.Load() || closing.Load() == 0 {
		t.Errorf("%d answers of %d that were finished, %d connections were closed with an answer", answered.Load(), finished.Load(), closing.Load())
	}
}

// Whoever is told to stop has to, also when a listener fails meanwhile.
func TestAFailingListenerEndsTheDrain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, zap.NewNop(), &Drain{For: time.Hour}, Listener{Name: "public", Listener: l, Handler: http.NotFoundHandler()})
	}()
	stop()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("nobody was told")
	}
}
