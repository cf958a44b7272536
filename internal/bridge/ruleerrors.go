package bridge

import (
	"maps"
	"sync"

	"github.com/drawbridge-id/drawbridge/mapping"
)

// ruleErrors counts, by rule, decisions in which the rule's condition could not be
// told. Such a rule gives nothing.
type ruleErrors struct {
	mu    sync.Mutex // guards what follows
	count map[string]int64
}

// maxRuleErrors bounds the rules that are counted, over all policies since the start.
const maxRuleErrors = 10_000

func (r *ruleErrors) add(failed map[string]int64) {
	if len(failed) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == nil {
		r.count = map[string]int64{}
	}
	for rule, n := range failed {
		if _, known := r.count[rule]; known || len(r.count) < maxRuleErrors {
			r.count[rule] += n
		}
	}
}

// RuleErrors tells, by rule, in how many decisions since the start its condition could
// not be told: an error, or its cost.
func (b *Bridge) RuleErrors() map[string]int64 {
	b.ruleErrors.mu.Lock()
	defer b.ruleErrors.mu.Unlock()
	return maps.Clone(b.ruleErrors.count)
}

// wanted decides what one person should hold. Where a condition could not be told, it
// notes of which rule: seldom, so that reasons are made then only.
func (c *change) wanted(f mapping.Facts) mapping.Decision {
	d := mapping.Decide(c.policy.Policy, f, c.now)
	if d.Failed == 0 {
		return d
	}
	if c.failed == nil {
		c.failed = map[string]int64{}
	}
	for _, r := range mapping.Evaluate(c.policy.Policy, f, c.now).Reasons {
		if r.Code == mapping.ConditionFailed {
			c.failed[r.Rule]++
		}
	}
	return d
}
