package keys

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/credential"
	"github.com/drawbridge-id/drawbridge/internal/event"
	"github.com/drawbridge-id/drawbridge/internal/fault"
	"github.com/drawbridge-id/drawbridge/internal/store"
)

// becauseUpgrade: the database was made before data keys had an envelope.
const becauseUpgrade = "upgrade"

// openDataKey gives the data key of a database. One that is empty gets a new one, one that
// was made before there were envelopes keeps the key that its root file is. Nothing is made
// where something sealed lies already.
func openDataKey(ctx context.Context, root Root, rows Rows, held []store.SigningKey, now time.Time) (credential.DataKey, credential.Envelope, error) {
	e, there, err := readEnvelope(ctx, rows)
	if err != nil {
		return credential.DataKey{}, e, err
	}
	if there {
		d, err := root.unwrap(ctx, e)
		return d, e, err
	}
	d, why := credential.NewDataKey(), becauseMissing
	if len(held) > 0 {
		why = becauseUpgrade
		if d, err = former(root, held); err != nil {
			return d, e, err
		}
	} else if err := root.beginning(); err != nil {
		return credential.DataKey{}, e, err
	}
	if e, err = root.wrap(ctx, d, now); err != nil {
		return credential.DataKey{}, e, err
	}
	return d, e, keep(ctx, rows, nil, e, event.Event{Type: event.DataKeyCreated, Actor: event.ByBridge, At: now, Data: toldOf(e, why)})
}

// beginning makes the root key file of a new deployment, if there is none.
func (r Root) beginning() error {
	if r.kind() != credential.RootFile {
		return nil
	}
	_, err := readRoot(r.File)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = createRoot(r.File)
	}
	return err
}

// former is the data key of a database that has no envelope yet. It is held to the
// signing keys: they open, or nothing is changed.
func former(root Root, held []store.SigningKey) (credential.DataKey, error) {
	const op = "keys.former"
	if root.kind() != credential.RootFile {
		return credential.DataKey{}, fault.New(fault.Invalid, op, "the keys in the database are under a root key file and not under a command: drawbridge key rewrap --old-file FILE brings them under it")
	}
	key, err := readRoot(root.File)
	if errors.Is(err, fs.ErrNotExist) {
		return credential.DataKey{}, fault.New(fault.Invalid, op, "%s is missing, but the database holds keys sealed under it: put it back from your backup", root)
	}
	if err != nil {
		return credential.DataKey{}, err
	}
	d := key.Former()
	if _, err := credential.NewKeyring(d, sealedOf(held)); err != nil {
		return credential.DataKey{}, fault.Wrap(fault.Invalid, op, fmt.Errorf("%s is not the one that the keys in the database were sealed under: %w", root, err))
	}
	return d, nil
}

// Rewrap brings the data key from under one root under another, and changes nothing
// else: not the data key, nor anything sealed under it. The new root key file is made if
// there is none. Until the transaction at its end the old root opens the database, from then
// on the new one alone; it may be done again wherever it stopped. changed is false if it was
// done before. A root that is not the one the key is under is fault.Invalid, a command that
// fails fault.Unavailable.
func Rewrap(ctx context.Context, rows Rows, old, next Root, now time.Time) (e credential.Envelope, changed bool, err error) {
	const op = "keys.Rewrap"
	e, there, err := readEnvelope(ctx, rows)
	if err != nil {
		return e, false, err
	}
	if there && next.kind() == credential.RootFile && next.fits(e) {
		_, err := next.unwrap(ctx, e)
		return e, false, err
	}
	d, err := opened(ctx, rows, old, e, there)
	if err != nil {
		return e, false, invalidUnlessNamed(op, err)
	}
	was := e
	if err := next.beginning(); err != nil {
		return e, false, invalidUnlessNamed(op, err)
	}
	if e, err = next.wrap(ctx, d, now); err != nil {
		return was, false, invalidUnlessNamed(op, err)
	}
	before := &was
	if !there {
		before = nil
	}
	told := event.Event{Type: event.DataKeyRewrapped, Actor: event.ByAdministrator, At: now, Data: toldOf(e, becauseCommand)}
	if err := keep(ctx, rows, before, e, told); err != nil {
		return was, false, err
	}
	return e, true, nil
}

// fits reports whether the envelope is under the key that is in this root's file.
func (r Root) fits(e credential.Envelope) bool {
	key, err := readRoot(r.File)
	if err != nil {
		return false
	}
	name, err := key.ID()
	return err == nil && name == e.RootKey
}

// opened is the data key by the old root: out of its envelope, or, where there is none yet,
// the former one.
func opened(ctx context.Context, rows Rows, old Root, e credential.Envelope, there bool) (credential.DataKey, error) {
	if there {
		return old.unwrap(ctx, e)
	}
	held, err := rows.SigningKeys(ctx)
	if err != nil {
		return credential.DataKey{}, err
	}
	if len(held) == 0 {
		return credential.DataKey{}, errors.New("there is no data key yet: start the bridge once")
	}
	return former(old, held)
}

func readEnvelope(ctx context.Context, rows Rows) (e credential.Envelope, there bool, err error) {
	text, err := rows.Envelope(ctx)
	if err != nil {
		return e, false, fmt.Errorf("keys.Envelope: %w", err)
	}
	if len(text) == 0 {
		return e, false, nil
	}
	if e, err = credential.ParseEnvelope(text); err != nil {
		return e, false, fault.Wrap(fault.Invalid, "keys.Envelope", fmt.Errorf("the envelope of the data key in the database cannot be read; put drawbridge.db back from your backup: %w", err))
	}
	return e, true, nil
}

// keep writes an envelope in the place of the one that was read, nil: of none.
func keep(ctx context.Context, rows Rows, was *credential.Envelope, next credential.Envelope, told event.Event) error {
	var before []byte
	var err error
	if was != nil {
		if before, err = was.Encode(); err != nil {
			return fault.Wrap(fault.Internal, "keys.keep", err)
		}
	}
	text, err := next.Encode()
	if err != nil {
		return fault.Wrap(fault.Internal, "keys.keep", err)
	}
	if err := rows.KeepEnvelope(ctx, before, text, told); err != nil {
		return fmt.Errorf("keys.keep: %w", err)
	}
	return nil
}

func toldOf(e credential.Envelope, because string) map[string]string {
	data := map[string]string{"data_key": e.DataKey, "root": e.Root, "because": because}
	if e.RootKey != "" {
		data["root_key"] = e.RootKey
	}
	return data
}

func sealedOf(held []store.SigningKey) []credential.SealedKey {
	sealed := make([]credential.SealedKey, len(held))
	for i, k := range held {
		sealed[i] = credential.SealedKey{ID: k.ID, Algorithm: k.Algorithm, Sealed: k.Sealed, Public: k.Public,
			State: credential.KeyState(k.State), Created: k.Created}
	}
	return sealed
}
