package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/internal/fault"
)

// unanswered is what a caller may read when Redis does not answer, or not as it should.
const unanswered = "what is under way cannot be looked up now; try again"

// classified names what Redis or the way to it says. A script that is wrong is ours; whatever else
// it is, nobody knows whether it was done, and nothing is accepted by it.
func classified(op string, err error) error {
	if err == nil {
		return nil
	}
	var answer goredis.Error
	ours := errors.As(err, &answer) && !errors.Is(err, context.DeadlineExceeded) && saysOurs(answer.Error())
	if ours {
		return fault.Wrap(fault.Internal, op, err)
	}
	return unavailable(op, err)
}

// classified names what the way to Redis says. If it leads nowhere, a Cluster is asked who its primaries are by now.
func (e *Engine) classified(ctx context.Context, op string, err error) error {
	named := classified(op, err)
	if c, ok := e.client.(*goredis.ClusterClient); ok && fault.Is(named, fault.Unavailable) {
		c.ReloadState(ctx)
	}
	return named
}

// saysOurs reports whether an answer of the server is about what we sent, and not about how the
// server is.
func saysOurs(answer string) bool {
	for _, prefix := range []string{"WRONGTYPE", "CROSSSLOT", "ERR value is not", "ERR wrong number", "ERR syntax", "ERR Error compiling", "ERR Error running", "ERR user_script", "ERR invalid"} {
		if strings.HasPrefix(answer, prefix) {
			return true
		}
	}
	return false
}

func unavailable(op string, err error) error {
	e := fault.New(fault.Unavailable, op, unanswered)
	e.Err = err
	return e
}

// malformed is an answer that no script of ours gives.
func malformed(op string, answer any) error {
	return fault.Wrap(fault.Internal, op, fmt.Errorf("a script answered %T", answer))
}

// errBroken says that the data is another than it was: the caller asks for the mark anew.
var errBroken = errors.New("the mark of the partition is another")
