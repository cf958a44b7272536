package ssf

import (
	"encoding/json"
)

// Limits of a poll.
const (
	MaxPoll = 100     // tokens of one answer
	maxAcks = 1000    // tokens acknowledged or refused in one request
	maxJTI  = 128     // bytes
	maxErr  = 64      // bytes of an error's code
	maxPoll = 1 << 20 // bytes of a request
)

// PollRequest is what a receiver asks of a stream that it polls (RFC 8936 section 2.2).
type PollRequest struct {
	Max       int  // tokens wanted; 0: none, for a request that only acknowledges
	Immediate bool // do not wait for a token to come
	Ack       []string
	Errors    map[string]SETError // by jti: tokens that were refused
}

// SETError is why a receiver refuses a token (RFC 8935 section 2.4).
type SETError struct {
	Code        string
	Description string
}

// String is the error as an administrator reads it.
func (e SETError) String() string {
	if e.Description == "" {
		return e.Code
	}
	return e.Code + ": " + e.Description
}

// PollAnswer is what a receiver gets (RFC 8936 section 2.3).
type PollAnswer struct {
	SETs SETs `json:"sets"`
	More bool `json:"moreAvailable,omitempty"`
}

// SignedSET is one token of a poll's answer.
type SignedSET struct{ JTI, Token string }

// SETs are the tokens of a poll's answer, each jti once, the oldest first. They are written
// as an object whose members stand in that order, for receivers that read it.
type SETs []SignedSET

// MarshalJSON implements json.Marshaler.
func (s SETs) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, set := range s {
		name, err := json.Marshal(set.JTI)
		if err != nil {
			return nil, err
		}
		token, err := json.Marshal(set.Token)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, name...), ':'), token...)
	}
	return append(out, '}'), nil
}

// ParsePoll reads a poll. It refuses more than 1,000 acknowledgements and errors, and
// cuts maxEvents down to 100.
func ParsePoll(raw []byte) (PollRequest, error) {
	if len(raw) > maxPoll {
		return PollRequest{}, invalid("The request is longer than 1 MiB.")
	}
	members, err := object(raw)
	if err != nil {
		return PollRequest{}, err
	}
	p := PollRequest{Max: MaxPoll}
	if raw, there := members["maxEvents"]; there && string(raw) != "null" {
		if json.Unmarshal(raw, &p.Max) != nil || p.Max < 0 {
			return PollRequest{}, invalid("maxEvents is not a number of tokens.")
		}
		p.Max = min(p.Max, MaxPoll)
	}
	if raw, there := members["returnImmediately"]; there && json.Unmarshal(raw, &p.Immediate) != nil {
		return PollRequest{}, invalid("returnImmediately is not true or false.")
	}
	if raw, there := members["ack"]; there && json.Unmarshal(raw, &p.Ack) != nil {
		return PollRequest{}, invalid("ack is not an array of jti values.")
	}
	if p.Errors, err = parseErrors(members["setErrs"]); err != nil {
		return PollRequest{}, err
	}
	if len(p.Ack)+len(p.Errors) > maxAcks {
		return PollRequest{}, invalid("More than 1,000 tokens are acknowledged in one request.")
	}
	for _, jti := range p.Ack {
		if jti == "" || len(jti) > maxJTI {
			return PollRequest{}, invalid("ack names what is no jti of ours.")
		}
	}
	return p, nil
}

func parseErrors(raw json.RawMessage) (map[string]SETError, error) {
	if raw == nil || string(raw) == "null" {
		return nil, nil
	}
	members, err := object(raw)
	if err != nil || len(members) > maxAcks {
		return nil, invalid("setErrs is not an object of at most 1,000 errors by jti.")
	}
	out := make(map[string]SETError, len(members))
	for jti, raw := range members {
		e, err := ParseSETError(raw)
		if err != nil || jti == "" || len(jti) > maxJTI {
			return nil, invalid("setErrs names what is no jti of ours, or has an error without err.")
		}
		out[jti] = e
	}
	return out, nil
}

// ParseSETError reads why a receiver refuses a token: in a poll, or in the answer to a
// push.
func ParseSETError(raw []byte) (SETError, error) {
	members, err := object(raw)
	if err != nil {
		return SETError{}, err
	}
	code, errCode := text(members["err"])
	description, errDescription := text(members["description"])
	if errCode != nil || errDescription != nil || code == "" {
		return SETError{}, invalid("The error has no err.")
	}
	return SETError{Code: cut(code, maxErr), Description: cut(description, maxReason)}, nil
}
