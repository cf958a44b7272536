package config

import (
	"path/filepath"
	"time"

	"github.com/drawbridge-id/drawbridge/oidc"
)

// What a schedule of signing keys may say.
const (
	leastRotate  = 24 * time.Hour
	leastAhead   = 2 * oidc.KeysMaxAge // whoever keeps the published keys for as long as they may has the new one in time
	leastKeep    = time.Hour           // no access token lives as long
	mostKeep     = 365 * 24 * time.Hour
	usualTimeout = 10 * time.Second
	mostTimeout  = time.Minute
	mostRetained = 8 // retired keys of one algorithm at a time: some applications read no more than twenty keys
)

// keys reads when signing keys change. What a retired key signed is good for a hint for as
// long as a session may live, so that is how long it is kept if the file does not say.
func (l *loader) keys(root block, s Sessions) Keys {
	usual := Keys{Rotate: 90 * 24 * time.Hour, PublishAhead: 24 * time.Hour, Keep: max(s.Absolute, s.Offline, leastKeep)}
	f, ok := root.get("keys")
	if !ok {
		return usual
	}
	b, _ := f.open("rotate", "publish_ahead", "keep", "root")
	k := Keys{
		Rotate:       b.atLeast("rotate", usual.Rotate, leastRotate, maxDuration),
		PublishAhead: b.atLeast("publish_ahead", usual.PublishAhead, leastAhead, 30*24*time.Hour),
		Keep:         b.atLeast("keep", usual.Keep, leastKeep, mostKeep),
		Root:         b.root("root"),
	}
	if k.PublishAhead > k.Rotate/2 {
		b.blame("publish_ahead", "rotate").say("a key cannot be announced %s ahead when it signs for %s: at most half of that", short(k.PublishAhead), short(k.Rotate))
	}
	if k.Keep > mostRetained*k.Rotate {
		b.blame("keep", "rotate").say("keys that change every %s and are kept for %s are too many to publish: keep at most %s", short(k.Rotate), short(k.Keep), short(mostRetained*k.Rotate))
	}
	return k
}

// root reads what wraps the data key.
func (b block) root(name string) Root {
	f, ok := b.get(name)
	if !ok {
		return Root{}
	}
	in, ok := f.open("file", "command", "timeout")
	if !ok {
		return Root{}
	}
	file, filed := in.get("file")
	command, commanded := in.get("command")
	if filed == commanded {
		f.say("the root is one of file and command")
		return Root{}
	}
	if commanded {
		return in.rootCommand(command)
	}
	if limit, ok := in.get("timeout"); ok {
		limit.say("a file takes no time; leave the key out")
	}
	path := in.text("file")
	if path == "" {
		return Root{}
	}
	return Root{File: beside(file, path)}
}

func (b block) rootCommand(at field) Root {
	r := Root{Command: b.texts("command"), Timeout: b.atLeast("timeout", usualTimeout, time.Second, mostTimeout)}
	if len(r.Command) == 0 || !filepath.IsAbs(r.Command[0]) {
		at.say("a command is a list: a program by its absolute path, then its arguments")
		return Root{}
	}
	return r
}

// atLeast is duration with a least value.
func (b block) atLeast(name string, usual, least, most time.Duration) time.Duration {
	d := b.duration(name, usual, most)
	if f, ok := b.get(name); ok && d > 0 && d < least { // 0: it was no duration, and has been reported
		f.say("%s is too short; at least %s", short(d), short(least))
		return usual
	}
	return d
}

// blame is the first of these keys that the file has, else the block itself.
func (b block) blame(names ...string) field {
	for _, name := range names {
		if f, ok := b.get(name); ok {
			return f
		}
	}
	return b.field
}
