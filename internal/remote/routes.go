package remote

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// routes says which master owns a key. For one master that never changes. For a
// cluster it is a table that is read from any node, and again after a node said
// that a slot has moved. Safe for concurrent use.
type routes struct {
	plan plan
	make func(addr string, lost func()) *master

	table atomic.Pointer[table]
	dirty atomic.Bool // a node contradicted the table, or is gone
	ended context.CancelFunc
	wg    sync.WaitGroup // the first reading, and masters on their way out

	// mu guards masters and closed, and lets one reading of a table go on at a
	// time: it is held over network reads, so known and all never take it, and of
	// waits for it only when it cannot go on without.
	mu      sync.Mutex
	masters map[string]*master // by address; all that are open
	closed  bool
}

// table is immutable.
type table struct {
	masters []*master
	owner   *[slots]*master // nil: masters[0] owns all
}

func newRoutes(p plan, mk func(addr string, lost func()) *master) *routes {
	r := &routes{plan: p, make: mk, masters: make(map[string]*master)}
	ctx, cancel := context.WithCancel(context.Background())
	r.ended = cancel
	if p.cluster == nil {
		m := mk(p.node.Addr, func() {})
		r.masters[m.addr] = m
		r.table.Store(&table{masters: []*master{m}})
		return r
	}
	r.wg.Go(func() { _ = r.fresh(ctx) }) // whoever needs the table before it is there reads it himself
	return r
}

// known is the owner of key by the table at hand, nil if there is none.
func (r *routes) known(key string) *master {
	t := r.table.Load()
	if t == nil {
		return nil
	}
	if t.owner == nil {
		return t.masters[0]
	}
	return t.owner[slotOf(key)]
}

func (r *routes) all() []*master {
	if t := r.table.Load(); t != nil {
		return t.masters
	}
	return nil
}

func (r *routes) stale() { r.dirty.Store(true) }

// of is the owner of key. must asks for a table that nobody has contradicted;
// without it, while somebody else reads the new table, the old one serves.
func (r *routes) of(ctx context.Context, key string, must bool) (*master, error) {
	if r.table.Load() == nil || must {
		if err := r.fresh(ctx); err != nil {
			return nil, err
		}
	} else if r.dirty.Load() && r.mu.TryLock() {
		_ = r.freshLocked(ctx)
		r.mu.Unlock()
	}
	if m := r.known(key); m != nil {
		return m, nil
	}
	r.stale() // nobody owns the slot: for now, or by an old table
	return nil, ErrUnavailable
}

// fresh reads the table if there is none or it was contradicted.
func (r *routes) fresh(ctx context.Context) error {
	if r.table.Load() != nil && !r.dirty.Load() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.freshLocked(ctx)
}

func (r *routes) freshLocked(ctx context.Context) error {
	if r.closed {
		return ErrUnavailable
	}
	if !r.dirty.CompareAndSwap(true, false) && r.table.Load() != nil {
		return nil // somebody read it while this call waited
	}
	// What contradicts the table from here on is newer than the reading.
	ranges, err := r.readLocked(ctx)
	if err != nil {
		r.stale()
		return errors.Join(ErrUnavailable, err)
	}
	r.buildLocked(ranges)
	return nil
}

// readLocked asks nodes until one answers: the masters of the last table first.
func (r *routes) readLocked(ctx context.Context) ([]redis.ClusterSlot, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*dialTimeout)
	defer cancel()
	if ask := r.plan.cluster.ClusterSlots; ask != nil {
		return ask(ctx)
	}
	var last error = ErrUnavailable
	for _, m := range r.masters {
		if m.down.Load() {
			continue
		}
		//lint:ignore SA1019 CLUSTER SHARDS, which is to replace it, needs Redis 7.
		ranges, err := m.rdb.ClusterSlots(ctx).Result()
		if err == nil {
			return ranges, nil
		}
		last = err
	}
	for _, seed := range r.plan.cluster.Addrs {
		o := r.plan.node
		o.Addr = seed
		c := redis.NewClient(failFast(o, dialTimeout, dialTimeout))
		//lint:ignore SA1019 CLUSTER SHARDS, which is to replace it, needs Redis 7.
		ranges, err := c.ClusterSlots(ctx).Result()
		_ = c.Close()
		if err == nil {
			return withHost(ranges, seed), nil
		}
		last = err
	}
	return nil, last
}

// withHost fills in the host of nodes that do not know their own.
func withHost(ranges []redis.ClusterSlot, seed string) []redis.ClusterSlot {
	host, _, err := net.SplitHostPort(seed)
	if err != nil {
		return ranges
	}
	for i := range ranges {
		for j := range ranges[i].Nodes {
			if h, port, err := net.SplitHostPort(ranges[i].Nodes[j].Addr); err == nil && h == "" {
				ranges[i].Nodes[j].Addr = net.JoinHostPort(host, port)
			}
		}
	}
	return ranges
}

func (r *routes) buildLocked(ranges []redis.ClusterSlot) {
	t := &table{owner: new([slots]*master)}
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
	old := r.masters
	r.masters = used
	r.table.Store(t)
	for addr, m := range old {
		if used[addr] == nil {
			r.wg.Go(func() { _ = m.close() }) // owns nothing any more; what still runs there fails
		}
	}
}

func (r *routes) close() error {
	r.ended()
	r.mu.Lock()
	r.closed = true
	all := r.masters
	r.mu.Unlock()
	var errs []error
	for _, m := range all {
		errs = append(errs, m.close())
	}
	r.wg.Wait()
	return errors.Join(errs...)
}
