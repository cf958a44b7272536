package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// wire is one keep-alive HTTP/1.1 connection, written by hand so that the load
// costs the shared machine as little as it can.
type wire struct {
	host   string
	c      net.Conn
	r      *bufio.Reader
	out    []byte
	answer []byte
	until  time.Time // the connection's deadline
}

// dial connects; what asks nobody over HTTP has no host.
func dial(host string) (*wire, error) {
	if host == "" {
		return &wire{}, nil
	}
	if h, _, err := net.SplitHostPort(host); err != nil || !net.ParseIP(h).IsLoopback() {
		return nil, fmt.Errorf("%s is not a loopback address: this program loads its own machine only", host)
	}
	c, err := net.DialTimeout("tcp", host, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &wire{host: host, c: c, r: bufio.NewReaderSize(c, 64<<10)}, nil
}

func (w *wire) close() {
	if w.c != nil {
		_ = w.c.Close() // nothing is lost
	}
}

// do sends one request and reads the whole answer, which is good until the next.
func (w *wire) do(method, path, auth, contentType, body string) (status int, answer []byte, err error) {
	b := append(w.out[:0], method...)
	b = append(append(append(b, ' '), path...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, w.host...), "\r\n"...)
	if auth != "" {
		b = append(append(append(b, "Authorization: "...), auth...), "\r\n"...)
	}
	if body != "" {
		b = append(append(append(b, "Content-Type: "...), contentType...), "\r\nContent-Length: "...)
		b = append(strconv.AppendInt(b, int64(len(body)), 10), "\r\n"...)
	}
	w.out = append(append(b, "\r\n"...), body...)
	if now := time.Now(); w.until.Sub(now) < 30*time.Second { // not for each request: that would be a good part of its cost
		w.until = now.Add(time.Minute)
		if err := w.c.SetDeadline(w.until); err != nil {
			return 0, nil, err
		}
	}
	if _, err := w.c.Write(w.out); err != nil {
		return 0, nil, err
	}
	return w.read()
}

func (w *wire) read() (status int, answer []byte, err error) {
	length, chunked := 0, false
	for first := true; ; first = false {
		line, err := w.r.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first:
			if len(line) < 12 {
				return 0, nil, fmt.Errorf("%q is no HTTP answer", line)
			}
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, nil, err
			}
		case len(line) == 0:
			if chunked {
				answer, err = w.chunks()
				return status, answer, err
			}
			w.answer = slices.Grow(w.answer[:0], length)[:length]
			_, err = io.ReadFull(w.r, w.answer)
			return status, w.answer, err
		case bytes.HasPrefix(line, []byte("Content-Length: ")): // the other side is net/http, which spells it so
			if length, err = strconv.Atoi(string(line[16:])); err != nil {
				return 0, nil, err
			}
		case bytes.Equal(line, []byte("Transfer-Encoding: chunked")):
			chunked = true
		}
	}
}

func (w *wire) chunks() ([]byte, error) {
	var all []byte
	for {
		line, err := w.r.ReadString('\n')
		if err != nil {
			return nil, err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(line), 16, 32)
		if err != nil {
			return nil, err
		}
		part := make([]byte, n+2)
		if _, err := io.ReadFull(w.r, part); err != nil {
			return nil, err
		}
		if n == 0 {
			return all, nil
		}
		all = append(all, part[:n]...)
	}
}

// result is what one load measured.
type result struct {
	ops      int64
	took     time.Duration
	refused  int64 // told to come again later, which is not in the times
	cpu      spent // by all of them together
	p50, p99 time.Duration
}

func (r result) rate() float64 { return float64(r.ops) / r.took.Seconds() }

// patience is how long a load waits when it is told to come again.
const patience = 100 * time.Millisecond

// load runs op on conns connections until the time or the count is over: op gets
// its connection and a number that no other call gets, but itself if it is told to come again.
func (b *bridge) load(ctx context.Context, host string, conns int, d time.Duration, most int64, op func(w *wire, n int64) error) (result, error) {
	var next, refused atomic.Int64
	var mu sync.Mutex // guards times and failed
	var times []time.Duration
	var failed error
	var wg sync.WaitGroup
	before, err := b.spent()
	if err != nil {
		return result{}, err
	}
	started := time.Now()
	for range conns {
		w, err := dial(host)
		if err != nil {
			return result{}, err
		}
		wg.Go(func() {
			defer w.close()
			mine, err := run(ctx, w, started.Add(d), most, &next, &refused, op)
			mu.Lock()
			defer mu.Unlock()
			times = append(times, mine...)
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	r := result{ops: int64(len(times)), took: time.Since(started), refused: refused.Load()}
	if len(times) == 0 {
		failed = errors.Join(failed, fmt.Errorf("nothing was answered within %s, and %d times it was told to come again", d, r.refused))
	}
	if err := errors.Join(failed, ctx.Err()); err != nil {
		return r, err
	}
	after, err := b.spent()
	if err != nil {
		return r, err
	}
	r.cpu = after.less(before)
	slices.Sort(times)
	r.p50, r.p99 = times[len(times)/2], times[len(times)*99/100]
	return r, nil
}

func run(ctx context.Context, w *wire, until time.Time, most int64, next, refused *atomic.Int64, op func(*wire, int64) error) ([]time.Duration, error) {
	var times []time.Duration
	over := func() bool { return time.Now().After(until) || ctx.Err() != nil }
	for !over() {
		n := next.Add(1) - 1
		if n >= most {
			break
		}
		begin := time.Now()
		err := op(w, n)
		for errors.Is(err, errBusy) && !over() {
			refused.Add(1)
			time.Sleep(patience)
			begin = time.Now()
			err = op(w, n)
		}
		switch {
		case errors.Is(err, errBusy):
			refused.Add(1)
			return times, nil
		case err != nil:
			return times, err
		}
		times = append(times, time.Since(begin))
	}
	return times, nil
}
