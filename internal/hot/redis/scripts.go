package redis

import (
	_ "embed"

	goredis "github.com/redis/go-redis/v9"
)

// One verb is decided by one script, in the slot of the record that it is about. All scripts may be
// repeated: what was done already is answered as done.
var (
	//go:embed lua/mark.lua
	markLua string
	//go:embed lua/shelf.lua
	shelfLua string
	//go:embed lua/ensure.lua
	ensureLua string
	//go:embed lua/read.lua
	readLua string
	//go:embed lua/put.lua
	putLua string
	//go:embed lua/shelve.lua
	shelveLua string
	//go:embed lua/change.lua
	changeLua string
	//go:embed lua/move.lua
	moveLua string
	//go:embed lua/close.lua
	closeLua string
	//go:embed lua/hold.lua
	holdLua string
	//go:embed lua/release.lua
	releaseLua string
	//go:embed lua/enlist.lua
	enlistLua string
	//go:embed lua/listed.lua
	listedLua string
	//go:embed lua/delist.lua
	delistLua string
	//go:embed lua/feed.lua
	feedLua string
	//go:embed lua/publish.lua
	publishLua string
	//go:embed lua/since.lua
	sinceLua string
)

// scripts are the verbs as Redis runs them.
type scripts struct {
	ensure, read, put, shelve, change, move, close, hold, release, enlist, listed, delist, publish, since *goredis.Script
}

func newScripts() scripts {
	of := func(text string) *goredis.Script { return goredis.NewScript(markLua + text) }
	shelved := func(text string) *goredis.Script { return goredis.NewScript(markLua + shelfLua + text) }
	told := func(text string) *goredis.Script { return goredis.NewScript(markLua + feedLua + text) }
	return scripts{
		ensure: goredis.NewScript(ensureLua), read: of(readLua), put: of(putLua), shelve: shelved(shelveLua), change: of(changeLua), move: shelved(moveLua),
		close: of(closeLua), hold: of(holdLua), release: of(releaseLua), enlist: of(enlistLua), listed: of(listedLua), delist: of(delistLua),
		publish: told(publishLua), since: told(sinceLua),
	}
}
