package models

import "github.com/anishathalye/porcupine"

// Refresh and Redeem are the verbs of a family and a code, End is whatever ends them from
// outside: a revocation, the end of the person.
const (
	Refresh = "refresh"
	Redeem  = "redeem"
	End     = "end"
)

// family is a refresh family: its live token, the one before it, and whether it has ended.
type family struct {
	live, before string
	ended        bool
}

// unseen stands for a token that was made for somebody who never got it.
const unseen = "?"

// Family is the life of a refresh family that begins with a token (I-4): the live token is
// exchanged once; a retry with the one before gets the same successor, never a second
// branch; anything older, or a refusal, has ended it.
func Family(first string) porcupine.NondeterministicModel {
	return model(family{live: first}, func(f family, asked Asked, got Step) []family {
		over := family{f.live, f.before, true}
		if asked.Verb == End {
			return []family{over, f}[:1+boolInt(got.Outcome == Unknown)]
		}
		switch got.Outcome {
		case Refused:
			return []family{over}
		case Unknown:
			if asked.What == f.live && !f.ended {
				return []family{f, {live: unseen, before: asked.What}, over}
			}
			return []family{f, over}
		}
		switch {
		case f.ended || got.Got == "" || got.Got == asked.What:
			return nil
		case asked.What == f.live:
			return []family{{live: got.Got, before: asked.What}}
		case asked.What == f.before && (f.live == unseen || f.live == got.Got):
			return []family{{live: got.Got, before: asked.What}}
		}
		return nil
	})
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Code is the life of an authorization code (I-4): it is redeemed once, and never after a
// refusal.
func Code() porcupine.NondeterministicModel {
	return model(false, func(spent bool, asked Asked, got Step) []bool {
		switch {
		case got.Outcome == Unknown:
			return []bool{spent, true}
		case got.Outcome == Accepted && (spent || asked.Verb == End):
			return nil
		}
		return []bool{true}
	})
}
