// Package engine is the protocol: when a value may be served, who loads it, and
// how an invalidation reaches everything that could make an older one visible.
// It knows values as any; the root package gives them their types.
//
// # Lock order
//
// Cache.flights' locks, then shard.mu, then those of memory. tagTable.mu, then
// tag.mu, and nothing under them. No loader, codec,
// Redis operation or observer is called under any of them.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/internal/ablate"
	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/errs"
	"github.com/tiercache/tiercache/internal/journal"
	"github.com/tiercache/tiercache/internal/memory"
	"github.com/tiercache/tiercache/internal/remote"
)

const (
	leaseTime    = 3 * time.Second // how long a dead holder keeps a key from being loaded
	closeGrace   = 5 * time.Second // how long Close waits for loaders that ignore their context
	journalLimit = 10_000
	shardCount   = 1024
)

// Nothing in the protocol reads a clock that somebody can set.
func now() int64 { return clock.Now() }

// Config of an Engine. Remote.Client nil: memory only.
type Config struct {
	Prefix      string
	MemoryBytes int64
	// Bound is how old what this node heard of Redis may be; OutageStaleness how
	// old what memory serves while Redis cannot be reached, negative: it does not.
	Bound           time.Duration
	OutageStaleness time.Duration
	// Trusting believes what an earlier life of a server stored.
	Trusting     bool
	Largest      int // bytes of an encoding that is still stored
	SummaryEvery int
	Remote       remote.Config
	Logger       *slog.Logger
}

// Engine is one process's pair of tiers. Safe for concurrent use.
type Engine struct {
	prefix  string
	id      string // tells this node's news from others'
	log     *slog.Logger
	mem     *memory.Cache[meta]
	remote  *remote.Remote // nil: memory only
	journal *journal.Journal

	bound           time.Duration
	outageStaleness time.Duration
	trusting        bool
	largest         int
	warmBytes       int64 // memory that Warm fills, at the most

	shards   [shardCount]shard
	patterns patternLog
	tags     tagTable
	doubted  chan *item

	refreshes atomic.Int64 // those that run in the background
	errands   chan errand

	memoryOnly atomic.Bool // a cache here is
	kinds      invalidations
	summary    summary

	// mu guards the registry. caches is copied on write, so that an invalidation
	// goes through it without a lock.
	mu     sync.Mutex
	names  map[string]bool
	caches atomic.Pointer[[]*Cache]

	// changes is held for reading by what may write to the journal, and taken by
	// Close before it sends the rest: nothing is queued after that.
	changes sync.RWMutex

	closed   atomic.Bool
	closing  sync.Once
	closeErr error
	ctx      context.Context // ends at Close: background work
	cancel   context.CancelFunc
	queued   chan struct{} // wakes replay: the journal has work
	opened   chan struct{} // closed when remote is set
	restored chan struct{} // and ends its waiting: Redis is back
	wg       sync.WaitGroup
	loaders  sync.WaitGroup // loaders that run, given up or not
	running  atomic.Int64   // their number

	ghosts ghosts
	recent recent
	warmed warmed
}

// Open returns at once, whatever state Redis is in.
func Open(cfg Config) (*Engine, error) {
	token := envelope.NewToken()
	e := &Engine{
		id:      string(token[:]),
		prefix:  cfg.Prefix,
		log:     cfg.Logger,
		journal: journal.New(journalLimit, journal.Entry{Kind: journal.Tag, Text: allTag}),
		doubted: make(chan *item, confirmLimit),
		errands: make(chan errand, mostErrands),

		bound:           cfg.Bound,
		outageStaleness: cfg.OutageStaleness,
		trusting:        cfg.Trusting,
		largest:         cfg.Largest,
		warmBytes:       cfg.MemoryBytes - cfg.MemoryBytes/8,

		names:    make(map[string]bool),
		queued:   make(chan struct{}, 1),
		restored: make(chan struct{}, 1),
		opened:   make(chan struct{}),
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.caches.Store(new([]*Cache))
	e.patterns.init()
	e.summary.every = int64(cfg.SummaryEvery)

	e.ghosts = newGhosts(cfg.MemoryBytes)
	mem, err := memory.New(memory.Config[meta]{
		MaxBytes: cfg.MemoryBytes, Now: now,
		Account: func(m *meta) *memory.Account { return m.owner.counts.stored }, Left: e.left,
	})
	if err != nil {
		return nil, err
	}
	e.mem = mem
	if cfg.Remote.Client != nil {
		cfg.Remote.Logger = cfg.Logger
		cfg.Remote.Longest = int64(cfg.Largest) + envelope.MostFront
		cfg.Remote.Prefix, cfg.Remote.Bound, cfg.Remote.Trusting = cfg.Prefix, cfg.Bound, cfg.Trusting
		cfg.Remote.Restored = func() { wake(e.restored) }
		cfg.Remote.Replayed = func(owns func(string) bool) bool {
			return !e.journal.CoversAny(func(key string) bool { return owns(e.prefix + key) })
		}
		cfg.Remote.Handler = e
		if e.remote, err = remote.Open(cfg.Remote); err != nil {
			e.mem.Close()
			return nil, err
		}
		close(e.opened)
		e.wg.Go(e.replay)
		e.wg.Go(e.confirm)
		e.wg.Go(e.touch)
		e.wg.Go(e.runErrands)
		e.wg.Go(e.handOverOften)
	}
	e.wg.Go(e.meet)
	return e, nil
}

// Close cancels what runs, waits for it, and frees everything. The second call
// returns what the first did.
func (e *Engine) Close() error {
	e.closing.Do(func() {
		e.closed.Store(true)
		for _, c := range *e.caches.Load() {
			c.close()
		}
		e.cancel()
		e.wg.Wait()
		e.changes.Lock()
		defer e.changes.Unlock()
		var failures []error
		if e.remote != nil {
			ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
			if n := e.replayOnce(ctx); n > 0 {
				failures = append(failures, fmt.Errorf("tiercache: closed with invalidations that never reached Redis: %d", n))
			}
			cancel()
			ctx, cancel = context.WithTimeout(context.Background(), handOverGrace)
			e.handOver(ctx)
			cancel()
			failures = append(failures, e.remote.Close())
		}
		e.mem.Close()
		if !e.loadersEnded() {
			failures = append(failures, fmt.Errorf("tiercache: closed with loaders that ignore the end of their context: %d", e.running.Load()))
		}
		e.closeErr = errors.Join(failures...)
	})
	return e.closeErr
}

// begin starts a change, unless the engine is closed. The context ends with it.
func (e *Engine) begin(ctx context.Context) (_ context.Context, end func(), err error) {
	if ctx == nil { // it would panic below, with the lock held
		return nil, nil, errNilContext
	}
	// Looked at first, or a loader that comes here while Close waits for it would
	// wait for Close.
	if e.closed.Load() {
		return nil, nil, errs.ErrClosed
	}
	// Not waited for: a change within a change, from a Progress say, would wait for
	// a Close that waits for the outer one.
	if !e.changes.TryRLock() {
		return nil, nil, errs.ErrClosed
	}
	if e.closed.Load() {
		e.changes.RUnlock()
		return nil, nil, errs.ErrClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(e.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
		e.changes.RUnlock()
	}, nil
}

func (e *Engine) loadersEnded() bool {
	ended := make(chan struct{})
	go func() { e.loaders.Wait(); close(ended) }()
	timer := time.NewTimer(closeGrace)
	defer timer.Stop()
	select {
	case <-ended:
		return true
	case <-timer.C:
		return false
	}
}

// register gives a cache its place among the others.
func (e *Engine) register(c *Cache) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed.Load() {
		return errs.ErrClosed
	}
	if e.names[c.spec.Name] {
		return fmt.Errorf("tiercache: Options.Name %q is taken by another cache of these Tiers", c.spec.Name)
	}
	e.names[c.spec.Name] = true
	// Memory keeps these: none for a cache that was refused.
	c.counts.hits, c.counts.stored = e.mem.NewReads(), e.mem.NewAccount()
	if c.spec.MemoryOnly {
		e.memoryOnly.Store(true)
	}
	all := append([]*Cache(nil), *e.caches.Load()...)
	all = append(all, c)
	e.caches.Store(&all)
	return nil
}

var errNilContext = errors.New("tiercache: the context is nil")

// useRedis tells whether a read of key may believe Redis. Validity is sampled
// before this is asked, or a journaled invalidation could be missed:
//
//	reader: journal empty | writer: invalidate fails, journaled, returned |
//	reader 2 of the same kind starts: samples after it, GET old, into memory
//
// With the sample first, reader 1's sample is older than the writer's pass and
// reader 2 finds the journal (model journal, -DJOURNAL_FIRST).
//
// A pattern that waits for a dead master A does not keep the keys of B from being
// read, once it is done there. What was loaded at B since then is newer. B
// restarts, or gets a slot of A's: it has another identity and is covered again.
// A slot of A's fails over to C: it was not done there. B restarts between
// this look and the GET: the value has an earlier stamp than the answer. The pattern
// is invalidated again while it waits: it is done nowhere, or where that one was.
func (e *Engine) useRedis(key string) bool {
	return e.remote != nil && len(key) <= longestKey && e.remote.Usable(key) && !e.covers(key)
}

func (e *Engine) covers(key string) bool {
	return !ablate.Out(ablate.Cover) &&
		e.journal.Covers(key, func() string { return e.remote.Identity(e.prefix + key) })
}

// Health of the Redis tier; mode "memory" without one.
func (e *Engine) Health() (mode string, masters []remote.MasterHealth, queued int) {
	if e.remote == nil {
		return "memory", nil, 0
	}
	mode, masters = e.remote.Health()
	return mode, masters, e.journal.Len()
}

// Caches are those registered so far.
func (e *Engine) Caches() []*Cache { return *e.caches.Load() }
