package credential

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// What wraps a data key.
const (
	RootFile    = "file"    // the key of a root key file
	RootCommand = "command" // a key that a command reaches
)

// Envelope is a data key at rest: wrapped by a root, with what is needed to say so when
// another root comes. It holds no secret in the clear.
type Envelope struct {
	DataKey string    // its name; what is unwrapped is held to it
	Root    string    // RootFile or RootCommand
	RootKey string    // the name of the root key, if it is in a file
	Since   time.Time // since when it is wrapped by this root, to the second
	Wrapped string    // one line of printable ASCII, as the root made it
}

const (
	envelopeVersion = 1
	maxEnvelope     = 32 << 10 // bytes
	maxName         = 64       // bytes of a key's name
	// MaxWrapped bounds a wrapped data key, in bytes: what key management services make of
	// 32 bytes is a few hundred.
	MaxWrapped = 16 << 10
)

// envelope is the stored form.
type envelope struct {
	Version int       `json:"version"`
	DataKey string    `json:"data_key"`
	Root    string    `json:"root"`
	RootKey string    `json:"root_key,omitempty"`
	Since   time.Time `json:"since"`
	Wrapped string    `json:"wrapped"`
}

// Context is what a wrapped key is bound to: it opens as that data key and no other.
func (e Envelope) Context() string { return "drawbridge data key " + e.DataKey }

// Encode gives the stored form. One that ParseEnvelope would not read is an error.
func (e Envelope) Encode() ([]byte, error) {
	if err := e.sound(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(envelope{envelopeVersion, e.DataKey, e.Root, e.RootKey, e.Since.UTC().Truncate(time.Second), e.Wrapped})
	if err != nil {
		return nil, fmt.Errorf("credential: envelope: %w", err)
	}
	return b, nil
}

// ParseEnvelope reads the stored form, at most 32 KiB. One of a newer version, with
// something unknown, or that says too little is an error.
func ParseEnvelope(text []byte) (Envelope, error) {
	if len(text) > maxEnvelope {
		return Envelope{}, fmt.Errorf("credential: an envelope of %d bytes; the most is %d", len(text), maxEnvelope)
	}
	var in envelope
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return Envelope{}, errors.New("credential: the envelope of the data key is not the JSON that it should be")
	}
	if _, err := d.Token(); err != io.EOF { //nolint:errorlint // Token gives it bare
		return Envelope{}, errors.New("credential: something follows the envelope of the data key")
	}
	if in.Version != envelopeVersion {
		return Envelope{}, fmt.Errorf("credential: an envelope of version %d; this program reads version %d", in.Version, envelopeVersion)
	}
	e := Envelope{in.DataKey, in.Root, in.RootKey, in.Since, in.Wrapped}
	return e, e.sound()
}

func (e Envelope) sound() error {
	switch {
	case !isName(e.DataKey, dataNamePrefix):
		return errors.New("credential: the envelope names no data key")
	case e.Root != RootFile && e.Root != RootCommand:
		return errors.New("credential: the envelope says neither a file nor a command as its root")
	case (e.Root == RootFile) != isName(e.RootKey, rootNamePrefix) || e.Root == RootCommand && e.RootKey != "":
		return errors.New("credential: a root key file has a name in the envelope, a command none")
	case e.Since.UTC().Year() < 2000 || e.Since.UTC().Year() > 9999:
		return errors.New("credential: the envelope does not say since when")
	case !Wrapped(e.Wrapped):
		return errors.New("credential: the envelope holds no wrapped key")
	}
	return nil
}

func isName(s, prefix string) bool {
	return len(s) <= maxName && strings.HasPrefix(s, prefix) && len(s) > len(prefix) && Wrapped(s)
}

// Wrapped reports whether a text can be a wrapped key: one line of printable ASCII
// without spaces, at most MaxWrapped bytes.
func Wrapped(s string) bool {
	return s != "" && len(s) <= MaxWrapped && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// Open holds an unwrapped key to what was wrapped.
func (e Envelope) Open(d DataKey) (DataKey, error) {
	id, err := d.ID()
	if err != nil {
		return DataKey{}, err
	}
	if id != e.DataKey {
		return DataKey{}, fmt.Errorf("credential: what came is the key %s, and not %s", id, e.DataKey)
	}
	return d, nil
}
