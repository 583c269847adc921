package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

const (
	nodeCount = 3
	rows      = 512
	groups    = 8 // of rows: what a tag and a pattern cover
	bound     = time.Second
	ttl       = time.Minute
)

// record is a row as the cache has it.
type record struct {
	Row     int   `json:"r"`
	Version int64 `json:"v"`
}

func group(row int) int       { return row % groups }
func keyOf(row int) string    { return prefixOf(row) + strconv.Itoa(row) }
func prefixOf(row int) string { return "row:" + strconv.Itoa(group(row)) + ":" }
func tagOf(row int) string    { return "group:" + strconv.Itoa(group(row)) }

// node is one life of Tiers.
type node struct {
	tiers   *tiercache.Tiers
	cache   *tiercache.Cache[record]
	own     []atomic.Int64 // what it was told to invalidate, by row
	closing atomic.Bool    // from here on ErrClosed is the right answer
}

// place is where one node after another lives, behind a proxy of its own.
type place struct {
	proxy  *redistest.Proxy
	client *redis.Client // its options only

	mu   sync.Mutex // guards what follows
	node *node
	past tiercache.CacheStats // of the nodes before
}

func newPlace(t testing.TB, server *redistest.Server) *place {
	p := &place{proxy: redistest.StartProxy(t, server.Addr())}
	p.client = redis.NewClient(&redis.Options{
		Addr:                     p.proxy.Addr(),
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { _ = p.client.Close() })
	return p
}

// open begins a node's life. The bound is the same with Redis and without.
func (p *place) open() error {
	tiers, err := tiercache.Open(tiercache.Config{
		Redis: p.client, Prefix: "soak:", StalenessBound: bound, OutageStaleness: bound,
	})
	if err != nil {
		return err
	}
	cache, err := tiercache.New(tiers, tiercache.Options[record]{
		Name: "rows", KeyPrefix: "row:", TTL: ttl,
		Tags: func(r record) []string { return []string{tagOf(r.Row)} },
	})
	if err != nil {
		return errors.Join(err, tiers.Close())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.node = &node{tiers: tiers, cache: cache, own: make([]atomic.Int64, rows)}
	return nil
}

func (p *place) at() *node {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.node
}

// close ends the node's life under whatever uses it.
func (p *place) close() error {
	n := p.at()
	n.closing.Store(true)
	err := n.tiers.Close()
	s := n.cache.Stats()
	p.mu.Lock()
	defer p.mu.Unlock()
	add(&p.past, s)
	return err
}

// stats of all lives, the present one included.
func (p *place) stats() tiercache.CacheStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.past
	if !p.node.closing.Load() {
		add(&s, p.node.cache.Stats())
	}
	return s
}

func add(to *tiercache.CacheStats, s tiercache.CacheStats) {
	to.Operations += s.Operations
	to.Hits += s.Hits
	to.MemoryHits += s.MemoryHits
	to.Loads += s.Loads
}

// calm tells whether the node uses Redis, hears of changes, and has nothing queued.
func (n *node) calm() (tiercache.Health, bool) {
	h := n.tiers.Health()
	for _, m := range h.Masters {
		if !m.Fresh {
			return h, false
		}
	}
	return h, h.Connected && h.Queued == 0
}

// ended tells whether err is what a caller of a closing node gets.
func (n *node) ended(err error) bool {
	return n.closing.Load() && errors.Is(err, tiercache.ErrClosed)
}

// read returns the version of a row, which the source has.
func (n *node) read(ctx context.Context, row int, load func(context.Context) (int64, error)) (int64, error) {
	r, err := n.cache.GetOrLoad(ctx, keyOf(row), func(ctx context.Context) (record, error) {
		v, err := load(ctx)
		return record{row, v}, err
	})
	if err == nil && r.Row != row {
		err = fmt.Errorf("asked for row %d and got %d", row, r.Row)
	}
	return r.Version, err
}
