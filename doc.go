// Package tiercache puts a process's memory and a shared Redis between a
// service and its slow source of truth.
//
//	tiers, err := tiercache.Open(tiercache.Config{Redis: rdb, Prefix: "shop:"})
//	users, err := tiercache.New(tiers, tiercache.Options[User]{Name: "users", TTL: 5 * time.Minute})
//
//	u, err := users.GetOrLoad(ctx, "user:42", func(ctx context.Context) (User, error) {
//		return db.User(ctx, 42)
//	})
//	err = users.Delete(ctx, "user:42") // after the commit
//
// One [Tiers] for a process, one [Cache] for each kind of value.
//
// # What one GetOrLoad does
//
//  1. Memory: if the value is there, has not expired and no invalidation has
//     voided it, it is returned. No lock beyond the engine's own, no allocation.
//  2. Redis: all of this process who ask for the key at the same time share one
//     GET. A good value goes into memory and is returned. What was written by
//     another cache, another version or another codec, under another key, to an
//     earlier life of the server, or was damaged, is a miss.
//  3. The lease: of all processes one gets the lease of the key, the others wait
//     for its value. Its holder keeps renewing it while the loader runs; if it is
//     killed, the lease runs out after 3 seconds and another loads.
//  4. The loader runs, once for all who wait, on a goroutine of its own. Its
//     context has the values of the first caller's, ends when nobody waits any
//     more, after [Options].LoadTimeout, or at Close.
//  5. The fill: the value is written to Redis if the lease still stands. An
//     invalidation deletes leases as it deletes values, so a value that was read
//     from the source before the invalidation can never be stored after it.
//
// With Redis out of use, or none configured, 2, 3 and 5 fall away.
//
// # Guarantees
//
//   - One load: N goroutines on a cold key are one loader call in a process, and
//     with Redis reachable one in the fleet at a time.
//   - Own context: each caller waits on its own context only.
//   - Read after invalidate: a read in this process that starts after
//     [Tiers.Invalidate] (or Delete, InvalidatePattern, Clear) returned, whatever
//     it returned, never sees an older value, unless a later Set put it there.
//   - Absent is an answer: [ErrNotFound] is cached for Options.NegativeTTL, other
//     errors never are. An insert must invalidate its own key.
//   - Bad bytes are a miss, counted and overwritten; never a panic.
//   - Nothing leaks: after Close no goroutine is left, and everything returns
//     [ErrClosed].
//
// What is not guaranteed: other processes are not told of an invalidation. They
// read it from Redis when what they have in memory expires, at the latest 5
// seconds later; with Redis no value stays in memory for longer.
//
// # Concurrency
//
// Everything is safe for concurrent use. Values are shared between callers: do
// not change them, or give [Options].Clone.
//
// # Errors
//
// GetOrLoad returns the loader's error as it is, the error of its ctx, a
// [PanicError], [ErrGoexit] or [LoadTimeoutError] for what a loader did, an error
// that names a bad key, or ErrClosed. Trouble with Redis is never an error: it
// costs a load, and is counted in [CacheStats].Errors.
//
// # Keys
//
// A key is any string that is not empty and does not begin with "~". In Redis it
// is Prefix + key. Package keys builds keys and patterns from one template.
//
// # Testing
//
// Tiers without Redis need nothing; with miniredis both tiers are there. Timers
// are the standard library's, so both run in a testing/synctest bubble.
package tiercache
