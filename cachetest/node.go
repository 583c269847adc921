package cachetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/tiercache/tiercache"
)

// node is a cache under test. Safe for concurrent use.
type node interface {
	get(ctx context.Context, row int) (version int64, ok bool, err error)
	getOrLoad(ctx context.Context, row int, load func(context.Context) (int64, error)) (int64, error)

	// Of rows that differ. What the answer lacks, the node does not have.
	getMany(ctx context.Context, rows []int) (map[int]int64, error)
	getOrLoadMany(ctx context.Context, rows []int, load func(context.Context, []int) (map[int]int64, error)) (map[int]int64, error)

	// invalidate tells whether some of it was queued.
	invalidate(ctx context.Context, to target) (queued bool, err error)
	mutate(ctx context.Context, to target, commit func(context.Context) error) (queued bool, err error)
	set(ctx context.Context, row int, version int64) error

	can(Kind) bool
	queued() int // invalidations that the node still has to send
	answers() (memory, redis int64)
	close() error
}

// target is what a write covers: its row and perhaps others. variant chooses
// between several ways of saying that.
type target struct {
	kind    Kind
	row     int
	variant int
}

// groups is the number of groups of rows; a row belongs to one.
const groups = 8

func group(row int) int { return row % groups }

// covers lists the rows of a target, the written one included.
func (to target) covers(rows int) []int {
	wide := to.kind == ByPattern || (to.kind == ByTag || to.kind == ByMutate) && to.ofGroup()
	var all []int
	for row := range rows {
		if row == to.row || to.kind == ByClear || wide && group(row) == group(to.row) {
			all = append(all, row)
		}
	}
	return all
}

// ofGroup tells whether a tag or a Mutate is of the row's group.
func (to target) ofGroup() bool { return to.variant%2 == 1 }

// unmarked tells whether a Mutate may commit without a mark; such a one must not
// crash.
func (to target) unmarked() bool { return to.variant%8 >= 6 }

// tiersNode is the library.
type tiersNode struct {
	tiers  *tiercache.Tiers
	cache  *tiercache.Cache[record]
	prefix string
}

// record is a row as the cache has it.
type record struct {
	Row     int   `json:"r"`
	Version int64 `json:"v"`
}

func newTiersNode(tiers *tiercache.Tiers, cfg ConsistencyConfig) (*tiersNode, error) {
	n := &tiersNode{tiers: tiers, prefix: cfg.KeyPrefix}
	var err error
	n.cache, err = tiercache.New(tiers, tiercache.Options[record]{
		Name:      "consistency",
		KeyPrefix: cfg.KeyPrefix,
		TTL:       cfg.TTL,
		Tags:      func(r record) []string { return []string{n.groupTag(r.Row)} },
	})
	return n, err
}

// openNode makes node i by the user's function.
func openNode(open func(int) (*tiercache.Tiers, error), i int, cfg ConsistencyConfig) (*tiersNode, error) {
	tiers, err := open(i)
	if err != nil {
		return nil, fmt.Errorf("cachetest: making node %d: %w", i, err)
	}
	if tiers == nil {
		return nil, fmt.Errorf("cachetest: making node %d: its Tiers are nil", i)
	}
	n, err := newTiersNode(tiers, cfg)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cachetest: making node %d: %w", i, err), tiers.Close())
	}
	return n, nil
}

func (n *tiersNode) key(row int) string {
	return n.prefix + "g" + strconv.Itoa(group(row)) + ":" + strconv.Itoa(row)
}

// The tag of a row is given with each call, that of its group is the value's own.
func (n *tiersNode) rowTag(row int) string   { return n.prefix + "row:" + strconv.Itoa(row) }
func (n *tiersNode) groupTag(row int) string { return n.prefix + "group:" + strconv.Itoa(group(row)) }

func (n *tiersNode) get(ctx context.Context, row int) (int64, bool, error) {
	r, ok, err := n.cache.Get(ctx, n.key(row))
	if err != nil || !ok {
		return 0, false, err
	}
	return r.Version, true, r.check(row)
}

func (n *tiersNode) getOrLoad(ctx context.Context, row int, load func(context.Context) (int64, error)) (int64, error) {
	r, err := n.cache.GetOrLoad(ctx, n.key(row), func(ctx context.Context) (record, error) {
		v, err := load(ctx)
		return record{row, v}, err
	}, tiercache.WithTags(n.rowTag(row)))
	if err != nil {
		return 0, err
	}
	return r.Version, r.check(row)
}

func (n *tiersNode) getMany(ctx context.Context, rows []int) (map[int]int64, error) {
	byKey := n.byKey(rows)
	found, err := n.cache.GetMany(ctx, slices.Collect(maps.Keys(byKey)))
	return versionsOf(found, byKey, err)
}

// getOrLoadMany gives each row the tags of all: more than need be is invalidated, and
// nothing less.
func (n *tiersNode) getOrLoadMany(ctx context.Context, rows []int, load func(context.Context, []int) (map[int]int64, error)) (map[int]int64, error) {
	byKey := n.byKey(rows)
	tags := make([]string, len(rows))
	for i, row := range rows {
		tags[i] = n.rowTag(row)
	}
	found, err := n.cache.GetOrLoadMany(ctx, slices.Collect(maps.Keys(byKey)), func(ctx context.Context, keys []string) (map[string]record, error) {
		some := make([]int, len(keys))
		for i, key := range keys {
			some[i] = byKey[key]
		}
		loaded, err := load(ctx, some)
		out := make(map[string]record, len(loaded))
		for row, v := range loaded {
			out[n.key(row)] = record{row, v}
		}
		return out, err
	}, tiercache.WithTags(tags...))
	return versionsOf(found, byKey, err)
}

func (n *tiersNode) byKey(rows []int) map[string]int {
	all := make(map[string]int, len(rows))
	for _, row := range rows {
		all[n.key(row)] = row
	}
	return all
}

func versionsOf(found map[string]record, byKey map[string]int, err error) (map[int]int64, error) {
	all := make(map[int]int64, len(found))
	for key, r := range found {
		row, asked := byKey[key]
		if !asked {
			return nil, fmt.Errorf("cachetest: got key %q without asking for it", key)
		}
		if wrong := r.check(row); wrong != nil {
			return nil, wrong
		}
		all[row] = r.Version
	}
	return all, err
}

func (r record) check(row int) error {
	if r.Row != row {
		return fmt.Errorf("cachetest: asked for row %d and got %d", row, r.Row)
	}
	return nil
}

func (n *tiersNode) invalidate(ctx context.Context, to target) (bool, error) {
	if to.kind == ByClear {
		if to.ofGroup() {
			return n.clearCache(ctx)
		}
		r, err := n.tiers.Clear(ctx)
		return r.Queued, err
	}
	r, err := n.tiers.Invalidate(ctx, n.targets(to)...)
	return r.Queued, err
}

// clearCache does not say whether it was queued. If nothing is, it was not, or has
// been sent since.
func (n *tiersNode) clearCache(ctx context.Context) (queued bool, err error) {
	err = n.cache.Clear(ctx)
	return n.queued() > 0, err
}

func (n *tiersNode) mutate(ctx context.Context, to target, commit func(context.Context) error) (bool, error) {
	mutate := n.tiers.Mutate
	if to.unmarked() {
		mutate = n.tiers.MutateAnyway
	}
	r, err := mutate(ctx, commit, n.targets(to)...)
	return r.Queued, err
}

// targets says in one of several ways what a write covers.
func (n *tiersNode) targets(to target) []tiercache.Target {
	key := tiercache.Key(n.key(to.row))
	tag := tiercache.Tag(n.rowTag(to.row))
	if to.ofGroup() {
		tag = tiercache.Tag(n.groupTag(to.row))
	}
	switch to.kind {
	case ByKey:
		return []tiercache.Target{key}
	case ByTag:
		return []tiercache.Target{tag}
	case ByPattern:
		if to.ofGroup() {
			return []tiercache.Target{tiercache.Pattern(n.prefix + "g" + strconv.Itoa(group(to.row)) + ":*")}
		}
		return []tiercache.Target{tiercache.Pattern(n.prefix + "?" + strconv.Itoa(group(to.row)) + ":*")} // not a prefix
	case ByMutate:
		switch {
		case to.ofGroup():
			return []tiercache.Target{key, tag}
		case to.variant%4 == 0:
			return []tiercache.Target{key}
		}
		return []tiercache.Target{tag}
	}
	panic("bug: no such kind of invalidation: " + string(to.kind))
}

func (n *tiersNode) set(ctx context.Context, row int, version int64) error {
	return n.cache.Set(ctx, n.key(row), record{row, version}, tiercache.WithTags(n.rowTag(row)))
}

func (n *tiersNode) can(Kind) bool { return true }

func (n *tiersNode) queued() int { return n.tiers.Health().Queued }

func (n *tiersNode) answers() (memory, redis int64) {
	s := n.cache.Stats()
	return s.MemoryHits, s.RedisHits
}

func (n *tiersNode) close() error { return n.tiers.Close() }

// notMarked tells whether a Mutate did nothing because it could not mark.
func notMarked(err error) bool { return errors.Is(err, tiercache.ErrNotMarked) }
