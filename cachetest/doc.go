// Package cachetest is for the tests of services that use tiercache.
//
// # Tiers for a test
//
// [Open] gives a test Tiers of its own, on a Redis in the same process, and
// takes them away when the test ends:
//
//	func TestAChangedUserIsSeenAtOnce(t *testing.T) {
//		tiers := cachetest.Open(t)
//		users, err := tiercache.New(tiers, tiercache.Options[User]{Name: "users", TTL: time.Minute})
//		...
//	}
//
// # Proving that nothing stale is served
//
// [Consistency] runs nodes made by the service's own configuration, against the
// service's own Redis if it likes, and judges every read:
//
//	func TestNothingStaleIsServed(t *testing.T) {
//		cachetest.Consistency(t, cachetest.ConsistencyConfig{
//			Nodes: func(int) (*tiercache.Tiers, error) { return tiercache.Open(config()) },
//			Bound: time.Second,
//		})
//	}
//
// Nodes are in this process, or each in one of its own, see [Processes].
//
// # How a read is judged
//
// A row of the source of truth is a version that each commit increments. A
// read's floors are looked up before it starts, and a version below one of them
// is a breach:
//
//	I1  what this node had been told to invalidate, by a call that had returned
//	I2  what any node had invalidated, by a call that had returned with nothing
//	    queued more than Bound before
//	I3  the newest version, when the faults are over and nothing is queued
//
// Between a commit and the return of its invalidation either version is right.
// A write that covers several rows, by a pattern say, answers for the versions
// that all of them had when it was called.
//
// The package is linked into test binaries only: it imports testing.
package cachetest
