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
// One [Tiers] for a process, made with [Open] from a [Config] ([FromEnv] makes one of the
// environment); one [Cache] for each kind of value, made with [New].
//
// # What one GetOrLoad does
//
//  1. Memory: if the value is there, has not expired, no invalidation has voided
//     it, and what this process hears of others' changes is younger than
//     [Config].StalenessBound, it is returned. No lock beyond the engine's own, no
//     allocation.
//  2. Redis: all of this process who ask for the key at the same time share one
//     read. A good value goes into memory and is returned. What was written by
//     another cache, another version or another codec, of a type that has changed
//     since, under another key, to an earlier life of the server, or was damaged, is
//     a miss.
//  3. The lease: of all processes one gets the lease of the key, the others wait
//     until they hear of its value. Its holder keeps renewing it while the loader runs; if it is
//     killed, the lease runs out after 3 seconds and another loads.
//  4. The loader runs, once for all who wait, on a goroutine of its own. Its
//     context has the values of the first caller's, ends when nobody waits any
//     more, after [Options].LoadTimeout, or at Close.
//  5. The fill: the value is written to Redis if the lease still stands. An
//     invalidation deletes leases as it deletes values, so a value that was read
//     from the source before the invalidation can never be stored after it.
//
// With Redis out of use, or none configured, 2, 3 and 5 fall away: memory serves
// what it has, and what is loaded meanwhile, for [Config].OutageStaleness.
//
// # Trouble with Redis
//
// Each operation has a budget of its own, whatever the caller's context:
// [Config].ReadTimeout and WriteTimeout. Three failures in a row, or one refusal, open
// the circuit of that master: from then on it is not asked, until a probe is answered.
// Then the invalidations that had to wait are sent, and a second later it is used
// again; memory serves meanwhile. A master that takes no writes (its memory is full,
// a quota is used up) is only read; what it cannot be given, memory serves for a
// [Config].StalenessBound. [MasterHealth].State says which.
//
// # Many keys
//
// [Cache.GetOrLoadMany] does all this for many keys side by side: one look at memory,
// one read of Redis for what that lacks, at each master, and one call of the loader for
// exactly those keys that nobody else is loading; the others' it waits for meanwhile.
// Each key has its own lease, its own guards and its own error, see [KeyErrors]. A
// [BatchLoader], made with [NewBatchLoader] and [BatchOptions], makes such calls of
// single loads that come at about the same time: [BatchLoader.Load] is the loader of one
// key. [Cache.GetMany], like [Cache.Get], never loads, and [Cache.SetMany] is [Cache.Set]
// for many.
//
// # Options of a call
//
// A [CallOption] changes one call: [Also] names further keys of the same value, [WithTags]
// gives it tags that it does not tell itself, [WithTTL] its time, and [Fresh] goes past
// memory. [Options] has what holds for a whole cache, among it a [Codec] and a
// [Compressor] for what goes to Redis.
//
// # Warming
//
// A [Warmer], made with [NewWarmer], runs jobs that load values before anybody asks for
// them: every so often or as a schedule says, at start, and on demand. [Cache.WarmEach] and
// [Cache.WarmMany] make a [Job] of a function that says which keys there are, and a loader.
// What a job loads is stored as by [Cache.Refresh], under all the guards of a load. Of the
// processes that share a Redis one runs a job that is due. If it is killed another does,
// within three seconds; without Redis, each warms its own memory. [Warmer.Run] runs until
// its context ends, [Warmer.Trigger] asks for a run now, and [Warmer.Status] says how far
// each job is, see [JobStatus].
//
// [Tiers.Warm] is for the start of a process: before it takes traffic it fills memory, from
// Redis and without a load, with what other processes read most. Each leaves a list of its
// hottest keys there, which are found by sampling; [Tiers.HotKeys] tells them, see [HotKey].
//
// # Trouble with the source
//
// With [Options].StaleFor a value may be served for as long after its TTL, if its
// load fails or takes longer than [Options].SoftTimeout. One load in the fleet is then
// tried for each key, a tenth of the TTL after the last (between a second and half a
// minute). Not-found is an answer and never masked; what was invalidated is never
// served. [Cache.Lookup] tells how old a value is, and where it was found, see [Entry].
//
// Shortly before its TTL ends, a value that is read often is loaded anew in the
// background, once in the fleet: the closer the end and the longer its load takes,
// the likelier (XFetch: Vattani, Chierichetti, Lowenstein, VLDB 2015). So a hot key
// never misses. A loader finds what it replaces by [Previous], and may return
// [ErrNotModified].
//
// # Invalidation
//
// After the commit of a change, name what it changed to [Tiers.Invalidate]: a [Key];
// a [Tag], which voids every value that has it, at the cost of three commands; or a
// [Pattern], for which Redis is scanned ([Target.Progress] tells how far that is).
// [Cache.Clear] and [Tiers.Clear] void everything, without a scan. [Tiers.Mutate] runs the change itself, and leaves no
// old value even if the process dies right after the commit; if Redis cannot be told
// before, it is [ErrNotMarked] and nothing is run, where [Tiers.MutateAnyway] goes on.
// [Tiers.Expire] makes the next read load without saying that the old value is wrong. A
// [Target] is what such a call names, a [Report] what it did.
//
// What Redis cannot be told is queued, see [Report]: this process does not believe
// Redis in what it covers, and sends it before it does.
//
// # Hearing
//
// Redis pushes the name of every key under [Config].Prefix that changes, whoever
// changed it, to each process (CLIENT TRACKING in broadcasting mode). A process
// that loses that connection is deaf: it reads Redis and not its memory until it
// hears again, and then what memory had is void. Where the server refuses tracking,
// processes tell each other by Pub/Sub what they invalidate, with a count by which
// a lost message is noticed; what others do with the keys is then not heard. Where
// that is refused too, or in a cluster without tracking, memory is not served while
// Redis can be read. [MasterHealth].Hearing says which.
//
// # Guarantees
//
//   - One load: N goroutines on a cold key are one loader call in a process, and
//     with Redis reachable one in the fleet at a time.
//   - Own context: each caller waits on its own context only.
//   - Read after invalidate: a read in this process that starts after
//     [Tiers.Invalidate] (or Delete, InvalidatePattern, Clear, Expire, Mutate)
//     returned, whatever it returned, never sees an older value, unless a later Set
//     put it there.
//   - Bounded staleness: nor does a read in another process that starts later than
//     [Config].StalenessBound after it returned with nothing queued; or than
//     [Config].OutageStaleness, if that is larger and that process cannot reach Redis
//     at all. With two live masters of one slot the bound is the deployment's.
//   - Nothing old comes back: a server that restarted from an old snapshot, or a
//     promoted replica, serves nothing that was stored before.
//   - Absent is an answer: [ErrNotFound] is cached for Options.NegativeTTL, other
//     errors never are. An insert must invalidate its own key.
//   - Bad bytes are a miss, counted and overwritten; never a panic.
//   - Nothing leaks: after Close no goroutine is left, and everything returns
//     [ErrClosed].
//
// # Statistics
//
// [Tiers.Stats] counts what happened since [Open], as [Stats] for all and [CacheStats] for
// each cache ([Cache.Stats] is that of one): what memory and Redis answered, why the rest
// was missed, loads and what they cost, a [Latency] for each way ([Latency.Sum] and
// [Latency.Below] are for exporters), memory taken.
// [CacheStats.HitRate], [CacheStats.LoadsSaved] and [CacheStats.TimeSaved] sum it up, and
// [Stats.Sub] makes the figures of an interval of two of them. A hit costs one addition for it.
//
// [Tiers.Health] is what is known of Redis without asking it: [Health] for all and
// [MasterHealth] for each master. [Tiers.Recent] lists the last invalidations, see
// [Invalidation].
//
// Modules of their own hand all of this on: cacheprom to Prometheus, cacheotel to
// OpenTelemetry. No key is ever a label.
//
// # Advice and dashboard
//
// Package advice makes sentences of an interval: what is wrong, with the numbers that say
// so, and which option to change.
//
// Package cachehttp has one handler for all of it, to be mounted anywhere: a page for a
// browser, JSON for others, a stream of events; and for those whom its Authorizer lets,
// clear, invalidate, and run a job. Without an Authorizer the machine itself may read, and
// nobody may act.
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
// costs a load, and is counted in [CacheStats].Errors. A value that is longer than
// [Config].LargestValue, or whose key is longer than 64 KiB, is returned and not
// stored: [CacheStats].TooLarge.
//
// # Keys
//
// A key is any string that is not empty and does not begin with "~". In Redis it
// is Prefix + key. Package keys builds keys and patterns from one template.
//
// # Testing
//
// Package cachetest gives a test Tiers of its own, and a checker that judges every
// read of several nodes. Tiers without Redis need nothing. Timers are the standard
// library's, so everything runs in a testing/synctest bubble.
package tiercache
