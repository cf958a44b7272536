package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/drawbridge-id/drawbridge/config"
)

// A node that is told to end is not ready from then on, and serves for as long as it was
// told to: what stands in front of it takes it out without a failed request.
func TestANodeIsNotReadyBeforeItStopsServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &app{cfg: &config.Config{Server: config.Server{Leave: 5 * time.Second}}, log: zap.NewNop()}
		told, tell := context.WithCancel(t.Context())
		serving, gone := a.leave(told)
		defer gone()
		if err := a.stays(told); err != nil {
			t.Fatal(err)
		}
		tell()
		time.Sleep(5*time.Second - time.Millisecond)
		synctest.Wait()
		if a.stays(serving) == nil || serving.Err() != nil {
			t.Errorf("ready: %v, serving: %v", a.stays(serving), serving.Err())
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if serving.Err() == nil {
			t.Error("it goes on for ever")
		}
	})
}
