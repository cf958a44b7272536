// Package storetest is the contract of internal/store as a suite: every engine
// passes all of it.
package storetest

import (
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/internal/access"
	"github.com/drawbridge-id/drawbridge/internal/store"
	"github.com/drawbridge-id/drawbridge/scim/schema"
)

// Run runs the suite. open gives a fresh store, closed by the test's clean-up.
func Run(t *testing.T, open func(t *testing.T) *store.Store) {
	for _, s := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"what is stored is what is read", testPeople},
		{"deleted people leave a tombstone", testTombstones},
		{"vendor's certification outranks", testCertification},
		{"queues of people to decide", testQueues},
		{"how policies came to be is kept", testApplications},
		{"a policy voids the decisions that it does not let stand", testStanding},
		{"pages are stable", testPages},
		{"filters mean what they say", testFilters},
		{"random filters mean what they say", testRandomFilters},
		{"sorts mean what they say", testSorts},
		{"own schemas mean what they say", testOwnSchemas},
		{"random people are sorted as they should", testRandomSorts},
		{"a walk meets whoever stays exactly once", testWalks},
		{"connections are apart", testIsolation},
		{"connections end and resume", testConnections},
		{"SCIM tokens", testTokens},
		{"SCIM clients", testSCIMClients},
		{"SCIM clients that are not there", testUnknownSCIMClients},
		{"an assertion works once", testAssertions},
		{"what connections say is counted", testSpeech},
		{"alarms are kept", testAlarms},
		{"the register has one entry for a name and for a person", testRegister},
		{"what is said of limits is kept", testLimitNotes},
		{"exceptions are what was found last", testExceptions},
		{"what happens after a permit was given is kept", testHandovers},
		{"the outbox is found by time", testOutboxBefore},
		{"queues of deliveries", testDeliveries},
		{"who may be sent something now", testReadyReceivers},
		{"deliveries are given up", testAbandon},
		{"identity providers are asked about live sessions", testUpstreamTokens},
		{"what identity providers said is remembered", testHeard},
		{"sessions are found by what identity providers call them", testSessionsOfTheIdP},
		{"what was not read is not trimmed", testRelayMark},
		{"work is one node's at a time", testTurns},
		{"a receiver is one node's at a time", testClaims},
		{"everybody is met by whoever compares them", testReconciled},
		{"what people decided is counted anew", testRecountDecided},
		{"a proof is used once", testProofs},
		{"a session is one node's to ask about", testClaimedTokens},
		{"what a group was is known", testFormer},
		{"members are restored", testRestoreMembers},
		{"what tokens stand on is read at once", testTokensStandOn},
		{"what happened since is found", testAuditOf},
		{"signing keys", testKeys},
		{"the envelope of the data key", testEnvelope},
		{"all or nothing", testAtomicity},
		{"steps are undone one by one", testSteps},
		{"events", testEvents},
		{"the past is found", testPast},
		{"who holds is found", testHolders},
		{"the log of SCIM requests", testTraffic},
		{"the log keeps the newest, refused ones apart", testTrafficRing},
		{"the log forgets names with their people", testTrafficForgets},
		{"members", testMembers},
		{"no member is lost", testConcurrentMembers},
		{"group names", testGroupNames},
		{"shared external ids", testSharedExternalID},
		{"people are read together as alone", testBases},
		{"a page reads two megabytes of documents", testLargePages},
		{"groups dissolve", testDissolving},
		{"fences", testFence},
		{"large changes are taken in parts", testEdits},
		{"a successor takes a group's place", testSuccessor},
		{"ids that are nobody's are remembered", testDrift},
		{"plans", testPlans},
		{"a census meets everybody once", testCensus},
		{"plans of policies are kept", testPlansOfPolicies},
		{"reviews are kept, and are due", testReviews},
		{"what is under review is counted once", testReviewItems},
		{"what is under review moves with its scope", testReviewMoves},
		{"schedules of reviews", testReviewSchedules},
		{"permits that reviews look at", testPermitsForReviews},
		{"each connection is written by itself", testEach},
		{"I-5: the database holds the ceiling", testCeiling},
		{"I-5: a move does not carry anybody out of a ceiling", testMovedScope},
		{"what retires is given to nobody", testRetiredScope},
		{"the scope tree", testTree},
		{"a step of a path leads to one scope", testSlugs},
		{"an import of scopes is seen when it is in force", testScopeBatch},
		{"sessions", testSessions},
		{"sessions end", testSessionEnds},
		{"what people agree to is theirs", testConsents},
		{"permits are kept for ever", testPermits},
		{"permits are found by their end", testPermitsEnding},
		{"limits are kept for ever", testLimits},
		{"requests are kept for ever", testRequests},
		{"requests are found", testRequestsFound},
		{"cases are opened once", testCases},
		{"what was given for a case ends with it", testCaseEnds},
		{"permits are listed", testPermitPages},
		{"permits are watched", testPermitWatch},
		{"who administers a scope", testAdministrators},
		{"what was permitted at a scope ends with it", testPermitsAtEnd},
		{"nobody holds what nobody permitted", testNotPermitted},
		{"what was permitted before its connection ended counts for nothing", testVoidPermits},
		{"clients", testClients},
		{"an application has one stream", testStreams},
		{"a signal of an identity provider counts once", testIdPSignals},
		{"a connection has one stream at its identity provider", testIdPStreams},
		{"a stream is silent about some", testMuted},
		{"an application knows who signed in to it", testKnown},
		{"results of SCIM requests are kept", testSCIMResults},
		{"what identifies somebody is read apart", testPersonalOf},
		{"what a client was given is refused", testBumpClient},
		{"what an application used up", testSpent},
		{"a family ends before its session", testFamilies},
		{"current", testCurrent},
		{"current of strangers", testCurrentOfStrangers},
		{"the window is never stale", testWindowIsNeverStale},
	} {
		t.Run(s.name, func(t *testing.T) { s.run(t, newFixture(t, open(t))) })
	}
}

// day is the instant at which everything in the suite happens.
var day = time.Date(2026, 11, 20, 9, 30, 0, 123_000_000, time.UTC)

const (
	north access.ConnectionID = "north"
	south access.ConnectionID = "south"
)

// fixture is a store with two connections that may give the same things.
type fixture struct {
	t testing.TB
	*store.Store
}

func newFixture(t testing.TB, s *store.Store) *fixture {
	t.Helper()
	f := &fixture{t, s}
	f.update(func(tx *store.Tx) error {
		if err := tx.PutTree(access.DiffTrees(nil, treeOf(t, sampleScopes()...))); err != nil {
			return err
		}
		for _, id := range []access.ConnectionID{north, south} {
			c := access.Connection{ID: id, Name: "Customer " + string(id), IdP: "other", Root: "scp_" + access.ScopeID(id)}
			if created, err := tx.PutConnection(c, day); err != nil || !created {
				t.Fatal(created, err)
			}
			if err := tx.PutCeiling(id, ceiling(access.Standard, access.Elevated)); err != nil {
				return err
			}
		}
		_, err := tx.PutPolicy("hash", []byte("{}"), day)
		return err
	})
	return f
}

func (f *fixture) update(fn func(*store.Tx) error) {
	f.t.Helper()
	if err := f.Update(f.t.Context(), fn); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) view(fn func(*store.View) error) {
	f.t.Helper()
	if err := f.View(f.t.Context(), fn); err != nil {
		f.t.Fatal(err)
	}
}

// write and read do something in one connection.
func (f *fixture) write(id access.ConnectionID, fn func(*store.DirectoryTx) error) {
	f.t.Helper()
	if err := f.try(id, fn); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) try(id access.ConnectionID, fn func(*store.DirectoryTx) error) error {
	return f.Update(f.t.Context(), func(tx *store.Tx) error {
		d, err := tx.In(id)
		if err != nil {
			return err
		}
		return fn(d)
	})
}

func (f *fixture) read(id access.ConnectionID, fn func(*store.Directory) error) {
	f.t.Helper()
	f.view(func(v *store.View) error {
		d, err := v.In(id)
		if err != nil {
			return err
		}
		return fn(d)
	})
}

func newPerson(id, name string) store.Person {
	doc := schema.Object{"userName": name, "active": true}
	return store.Person{ID: access.PersonID(id), UserName: name, DisplayName: name, Active: true, Epoch: 1, Version: 1,
		Doc: doc.Encode(), Created: day, Updated: day}
}

func (f *fixture) person(conn access.ConnectionID, id, name string) store.Person {
	f.t.Helper()
	p := newPerson(id, name)
	f.write(conn, func(d *store.DirectoryTx) error { return d.InsertPerson(&p) })
	return p
}

func (f *fixture) group(conn access.ConnectionID, id, name string, members ...store.Person) store.Group {
	f.t.Helper()
	g := store.Group{ID: access.GroupID(id), DisplayName: name, Version: 1, Created: day, Updated: day,
		Doc: schema.Object{"displayName": name}.Encode()}
	keys := make([]store.PersonKey, len(members))
	for i, m := range members {
		keys[i] = m.Key
	}
	f.write(conn, func(d *store.DirectoryTx) error {
		if err := d.InsertGroup(&g); err != nil {
			return err
		}
		_, err := d.AddMembers(&g, keys, day)
		return err
	})
	return g
}

// counted is a connection with its counters.
func counted(t testing.TB, d *store.Directory) store.ConnectionRow {
	t.Helper()
	row, err := d.Counted()
	if err != nil {
		t.Fatal(err)
	}
	return row
}
