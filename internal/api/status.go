package api

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/store"
)

// Status is what a bridge says of itself.
type Status struct {
	Version       string          `json:"version"`
	PublicURL     string          `json:"public_url"`
	Policy        int64           `json:"policy" doc:"version of the active policy"`
	PolicyHash    string          `json:"policy_hash"`
	PolicyApplied *time.Time      `json:"policy_applied,omitempty"`
	PolicyAuthor  string          `json:"policy_author,omitempty" doc:"file where it came from the configuration by itself"`
	PolicyFile    string          `json:"policy_file,omitempty"`
	PolicyPlan    string          `json:"policy_plan,omitempty"`
	Configuration Configuration   `json:"configuration"`
	Connections   int             `json:"connections"`
	People        int64           `json:"people"`
	Groups        int64           `json:"groups"`
	Waiting       int64           `json:"waiting" doc:"people who are to be decided anew, or will be at their next use"`
	LargeChanges  int             `json:"large_changes" doc:"groups with a large change under way, up to 100"`
	Alarms        int             `json:"alarms" doc:"raised in the last seven days"`
	Reconciled    *Reconciliation `json:"reconciled,omitempty" doc:"the last time that everybody was compared with what rules and people give; absent before the first"`
	Receivers     []Receiver      `json:"receivers_in_trouble,omitempty" doc:"to whom nothing arrives, or who want nothing any more"`
	Nodes         []Node          `json:"nodes,omitempty" doc:"who works on the same database, each as it stood when it was heard of last"`
}

// Reconciliation is a whole round over everybody.
type Reconciliation struct {
	Ended       time.Time `json:"ended"`
	People      int64     `json:"people" doc:"how many were compared"`
	Differences int64     `json:"differences" doc:"how many did not hold what they should, in all rounds there ever were"`
}

// Node is one process among several.
type Node struct {
	ID       string    `json:"id" doc:"of one run"`
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	This     bool      `json:"this" doc:"it gives this answer"`
	Draining bool      `json:"draining" doc:"it was told to end"`
	Gone     bool      `json:"gone" doc:"it has not been heard of for 5 seconds: killed, or cut off from the database"`
	BeatAge  int64     `json:"beat_age_ms" doc:"how long ago it was heard of, in milliseconds; more than 1250: others wait for it no longer"`
	Lag      int64     `json:"lag_ms" doc:"how late the last change reached it by its poll, in milliseconds"`
	Lease    int64     `json:"lease_ms" doc:"how much of its lease was left at its last poll, in milliseconds; 0: it asks the database for everything"`
	Applied  int64     `json:"applied" doc:"the last change that it has read, as a number of the table news"`
}

// The outcomes of taking a configuration.
const (
	OutcomeTaken  = "taken"
	OutcomeKept   = "kept"
	OutcomeFailed = "failed"
)

// Configuration is what the bridge's configuration is to it at the moment.
type Configuration struct {
	Path      string    `json:"path"`
	Watched   bool      `json:"watched" doc:"it is taken again when it changes; a demo's is not"`
	At        time.Time `json:"at" doc:"when it was last read to be taken"`
	Outcome   string    `json:"outcome" enum:"taken,kept,failed" doc:"kept: another policy stays in force, by hand or by another node, and the file has not changed since"`
	InForce   bool      `json:"in_force" doc:"the active policy says what the configuration says"`
	Reason    string    `json:"reason,omitempty" doc:"of a failure: unreadable, invalid, tests_fail, guard, or another reason code; older: the bridge was started with a file that says what has been replaced since"`
	Problem   string    `json:"problem,omitempty"`
	Problems  []string  `json:"problems,omitempty" doc:"each of them, the first 100"`
	Fix       string    `json:"fix,omitempty" doc:"the command that goes on"`
	Plan      string    `json:"plan,omitempty" doc:"the plan that was refused, or applied"`
	AtRestart []string  `json:"at_restart,omitempty" doc:"keys that have changed and take effect when the bridge starts again"`
}

func (a *api) status(ctx context.Context, _ *struct{}) (*body[Status], error) {
	rows, err := a.Bridge.Connections(ctx)
	if err != nil {
		return nil, err
	}
	now, err := a.Bridge.Standing(ctx)
	if err != nil {
		return nil, err
	}
	s := Status{Version: a.Version, PublicURL: a.PublicURL, Policy: now.Policy.Version, PolicyHash: now.Policy.Hash, PolicyApplied: when(now.Policy.At),
		PolicyAuthor: now.Policy.Author, PolicyFile: now.Policy.File, PolicyPlan: now.Policy.Plan,
		Waiting: now.Waiting, LargeChanges: now.Large, Alarms: len(now.Alarms)}
	round, err := a.Bridge.Reconciled(ctx)
	if err != nil {
		return nil, err
	}
	if !round.Ended.IsZero() {
		s.Reconciled = &Reconciliation{round.Ended, round.LastPeople, round.Differences}
	}
	if s.Receivers, err = a.inTrouble(ctx); err != nil {
		return nil, err
	}
	if a.Nodes != nil {
		if s.Nodes, err = a.Nodes(ctx); err != nil {
			return nil, err
		}
	}
	if a.Configuration != nil {
		s.Configuration = a.Configuration(ctx)
	}
	for _, c := range rows {
		if c.State == store.ConnectionActive {
			s.Connections++
			s.People += c.People
			s.Groups += c.Groups
		}
	}
	return &body[Status]{s}, nil
}
