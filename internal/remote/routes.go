package remote

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/clock"
)

// routes says which master owns a key. For one master that never changes. For a
// cluster it is a table that one goroutine reads: at first, and again when
// somebody asks. Nobody else reads it, so a cluster that does
// not answer holds up no caller for longer than the time he has. Safe for
// concurrent use.
type routes struct {
	plan plan
	make func(addr string, lost func()) *master
	only *master // nil if there may be several; constant

	table    atomic.Pointer[table] // never nil
	disputes atomic.Int64          // how often a table was said to be wrong
	blind    atomic.Bool           // the last reading failed
	wanted   chan struct{}         // wakes the reader

	masters map[string]*master // by address, all that are open; the reader's, and close's after it
	cancel  context.CancelFunc
	wg      sync.WaitGroup // the reader, and masters on their way out
}

// table is immutable, but for replaced, which is closed when another takes its
// place.
type table struct {
	masters  []*master
	owner    *[slots]*master   // nil: masters[0] owns all, if there is one
	asOf     int64             // routes.disputes before it was read
	began    int64             // clock.Now, before it was read
	since    map[*master]int64 // began of the table in which it got its last slot
	replaced chan struct{}
}

func newRoutes(p plan, mk func(addr string, lost func()) *master) *routes {
	r := &routes{plan: p, make: mk, wanted: make(chan struct{}, 1), masters: make(map[string]*master)}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	t := &table{replaced: make(chan struct{})}
	if p.cluster == nil {
		m := mk(p.node.Addr, func() {})
		r.masters[m.addr] = m
		t.masters, r.only = []*master{m}, m
		r.table.Store(t)
		return r
	}
	r.table.Store(t)
	r.stale()
	r.wg.Go(func() { r.keepReading(ctx) })
	return r
}

func (t *table) known() bool { return len(t.masters) > 0 }

// master is the owner of key, nil if nobody is.
func (t *table) master(key string) *master {
	switch {
	case t.owner != nil:
		return t.owner[slotOf(key)]
	case t.known():
		return t.masters[0]
	}
	return nil
}

// stale asks for another reading. One master is the only one that there is.
func (r *routes) stale() {
	if r.plan.cluster == nil {
		return
	}
	r.disputes.Add(1)
	r.ask()
}

func (r *routes) ask() {
	select {
	case r.wanted <- struct{}{}:
	default:
	}
}

// current is the table at hand. If there is none yet, or it is the one that a
// server has just contradicted, it waits for another, for no longer than limit
// and not at all while the cluster is known not to answer.
func (r *routes) current(ctx context.Context, limit time.Duration, contradicted *table) *table {
	t := r.table.Load()
	if r.plan.cluster == nil {
		return t
	}
	if t == contradicted {
		r.stale()
	}
	if t == contradicted || !t.known() {
		t = r.await(ctx, t, limit)
	}
	return t
}

// of is the owner of key by the current table.
func (r *routes) of(ctx context.Context, key string, limit time.Duration, contradicted *table) (*master, *table, error) {
	t := r.current(ctx, limit, contradicted)
	if m := t.master(key); m != nil {
		return m, t, nil
	}
	if err := Over(ctx); err != nil {
		return nil, t, err
	}
	if t.known() {
		r.stale() // nobody owns the slot, for now
	}
	return nil, t, ErrUnavailable
}

// await returns the table that takes old's place, or old if that takes too long.
func (r *routes) await(ctx context.Context, old *table, limit time.Duration) *table {
	if r.blind.Load() {
		return old
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-old.replaced:
	case <-timer.C:
	case <-ctx.Done():
	}
	return r.table.Load()
}

// undisputed is a table that nobody has contradicted since it was read,
// ErrUnavailable if there is none within limit.
func (r *routes) undisputed(ctx context.Context, limit time.Duration) (*table, error) {
	t := r.table.Load()
	if !r.holds(t) {
		t = r.await(ctx, t, limit)
	}
	if err := Over(ctx); err != nil {
		return nil, err
	}
	if !r.holds(t) {
		return nil, ErrUnavailable
	}
	return t, nil
}

// unchanged tells whether every slot has the owner that t says, by a reading that
// begins now; false too if there is none within limit.
func (r *routes) unchanged(ctx context.Context, t *table, limit time.Duration) bool {
	if r.plan.cluster == nil {
		return true
	}
	now := clock.Now()
	r.ask()
	for at := r.table.Load(); ; {
		if at.began > now {
			return *at.owner == *t.owner
		}
		next := r.await(ctx, at, limit)
		if next == at {
			return false
		}
		at = next
	}
}

// holds tells whether t is the table, and undisputed.
func (r *routes) holds(t *table) bool {
	return t.known() && r.table.Load() == t && r.disputes.Load() == t.asOf
}

// keepReading reads the table whenever it is asked to, for as long as it takes.
func (r *routes) keepReading(ctx context.Context) {
	backoff := firstProbe
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wanted:
		}
		for {
			asOf := r.disputes.Load() // who disputes from here on may mean this reading too
			began := clock.Now()
			ranges, err := r.read(ctx)
			if err == nil {
				r.build(ranges, asOf, began)
				r.blind.Store(false)
				backoff = firstProbe
				break
			}
			r.blind.Store(true)
			if !pause(ctx, jittered(backoff)) {
				return
			}
			backoff = min(2*backoff, lastProbe)
		}
		if !pause(ctx, firstProbe/4) { // a storm of contradictions is a few readings
			return
		}
	}
}

// pause is false if ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// read asks nodes until one answers: the masters of the last table first.
func (r *routes) read(ctx context.Context) ([]redis.ClusterSlot, error) {
	if ask := r.plan.cluster.ClusterSlots; ask != nil {
		return ask(ctx)
	}
	last := error(ErrUnavailable)
	for _, m := range r.masters {
		if !m.circuit.is(closed) {
			continue
		}
		ranges, err := readAt(ctx, m.life.Load().own.Load())
		if err == nil {
			return withHost(ranges, m.addr), nil
		}
		last = err
	}
	for _, seed := range r.plan.cluster.Addrs {
		o := r.plan.node
		o.Addr, o.MinIdleConns = seed, 0
		c := redis.NewClient(failFast(o, dialTimeout, dialTimeout))
		ranges, err := readAt(ctx, c)
		_ = c.Close()
		if err == nil {
			return withHost(ranges, seed), nil
		}
		last = err
	}
	return nil, last
}

func readAt(ctx context.Context, c *redis.Client) ([]redis.ClusterSlot, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*dialTimeout)
	defer cancel()
	//lint:ignore SA1019 CLUSTER SHARDS, which is to replace it, needs Redis 7.
	return c.ClusterSlots(ctx).Result()
}

// build makes a table of what a node said. A master that owns nothing any more
// is closed; what still runs there fails and is tried elsewhere.
func (r *routes) build(ranges []redis.ClusterSlot, asOf, began int64) {
	t := &table{owner: new([slots]*master), asOf: asOf, began: began, replaced: make(chan struct{})}
	used := make(map[string]*master)
	for _, rg := range ranges {
		if len(rg.Nodes) == 0 {
			continue
		}
		addr := rg.Nodes[0].Addr // the master comes first
		m := used[addr]
		if m == nil {
			if m = r.masters[addr]; m == nil {
				m = r.make(addr, r.stale)
			}
			used[addr] = m
			t.masters = append(t.masters, m)
		}
		for s := max(0, rg.Start); s <= min(slots-1, rg.End); s++ {
			t.owner[s] = m
		}
	}
	for addr, m := range r.masters {
		if used[addr] == nil {
			r.wg.Go(func() { _ = m.close() })
		}
	}
	r.masters = used
	old := r.table.Load()
	t.since = gains(old, t)
	r.table.Store(t) // nobody else does
	deafen(old, t)
	close(old.replaced)
}

func gains(old, t *table) map[*master]int64 {
	since := make(map[*master]int64, len(t.masters))
	for _, m := range t.masters {
		since[m] = old.since[m]
	}
	for s, m := range t.owner {
		if m != nil && (old.owner == nil || old.owner[s] != m) {
			since[m] = t.began
		}
	}
	return since
}

// deafen voids what was heard from masters that have lost slots or got some. What
// memory has of a slot is heard from its owner alone:
//
//	A owns the slot, memory has a value | the slot moves to B | DEL at B: A says nothing
//
// It comes after the new table took its place: what was sampled by the old one is
// void then, what is sampled later asks the new owner.
func deafen(old, t *table) {
	if old.owner == nil {
		return
	}
	changed := make(map[*master]bool)
	for s := range slots {
		if was, is := old.owner[s], t.owner[s]; was != is {
			changed[was], changed[is] = true, true
		}
	}
	for m := range changed {
		if m != nil {
			m.lose()
		}
	}
}

func (r *routes) close() error {
	r.cancel()
	r.wg.Wait()
	var errs []error
	for _, m := range r.masters {
		errs = append(errs, m.close())
	}
	return errors.Join(errs...)
}
