package cachetest

import (
	"context"
	"sync"
)

// fleet is what naive nodes share in place of Redis.
type fleet struct {
	mu     sync.Mutex // guards values
	values map[int]int64
}

// naive is cache-aside as it is often written: look in memory, in Redis, load
// and store. Its invalidations are right about Redis and its own memory, when
// they are made; a load that began before stores its old value after, and
// nobody tells the other nodes.
type naive struct {
	fleet *fleet
	mu    sync.Mutex // guards own
	own   map[int]int64
	rows  int
}

func newNaive(f *fleet, rows int) *naive {
	return &naive{fleet: f, own: make(map[int]int64), rows: rows}
}

func (n *naive) get(_ context.Context, row int) (int64, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if v, ok := n.own[row]; ok {
		return v, true, nil
	}
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()
	v, ok := n.fleet.values[row]
	if ok {
		n.own[row] = v
	}
	return v, ok, nil
}

func (n *naive) getOrLoad(ctx context.Context, row int, load func(context.Context) (int64, error)) (int64, error) {
	if v, ok, _ := n.get(ctx, row); ok {
		return v, nil
	}
	v, err := load(ctx)
	if err != nil {
		return 0, err
	}
	return v, n.set(ctx, row, v)
}

func (n *naive) getMany(ctx context.Context, rows []int) (map[int]int64, error) {
	return oneByOne(rows, func(row int) (int64, bool, error) { return n.get(ctx, row) })
}

func (n *naive) getOrLoadMany(ctx context.Context, rows []int, load func(context.Context, []int) (map[int]int64, error)) (map[int]int64, error) {
	return oneByOne(rows, func(row int) (int64, bool, error) {
		v, err := n.getOrLoad(ctx, row, func(ctx context.Context) (int64, error) {
			loaded, err := load(ctx, []int{row})
			return loaded[row], err
		})
		return v, true, err
	})
}

func oneByOne(rows []int, get func(row int) (int64, bool, error)) (map[int]int64, error) {
	all := make(map[int]int64)
	for _, row := range rows {
		v, ok, err := get(row)
		if err != nil {
			return nil, err
		}
		if ok {
			all[row] = v
		}
	}
	return all, nil
}

func (n *naive) set(_ context.Context, row int, v int64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()
	n.own[row], n.fleet.values[row] = v, v
	return nil
}

func (n *naive) invalidate(_ context.Context, to target) (bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fleet.mu.Lock()
	defer n.fleet.mu.Unlock()
	for _, row := range to.covers(n.rows) {
		delete(n.own, row)
		delete(n.fleet.values, row)
	}
	return false, nil
}

func (n *naive) mutate(ctx context.Context, to target, commit func(context.Context) error) (bool, error) {
	if err := commit(ctx); err != nil {
		return false, err
	}
	return n.invalidate(ctx, to)
}

func (n *naive) can(Kind) bool           { return true }
func (n *naive) queued() int             { return 0 }
func (n *naive) answers() (int64, int64) { return 0, 0 }
func (n *naive) close() error            { return nil }

// bare is no cache at all, and so never stale.
type bare struct{ *naive }

func (n bare) get(context.Context, int) (int64, bool, error) { return 0, false, nil }

func (n bare) getOrLoad(ctx context.Context, _ int, load func(context.Context) (int64, error)) (int64, error) {
	return load(ctx)
}

func (n bare) getMany(context.Context, []int) (map[int]int64, error) { return nil, nil }

func (n bare) getOrLoadMany(ctx context.Context, rows []int, load func(context.Context, []int) (map[int]int64, error)) (map[int]int64, error) {
	return load(ctx, rows)
}
