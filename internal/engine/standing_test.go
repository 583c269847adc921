package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/coherence"
	"github.com/tiercache/tiercache/internal/memory"
	"github.com/tiercache/tiercache/internal/remote"
)

// stored is an item of memory, as a load leaves it.
func stored(t *testing.T, e *Engine, c *Cache, key string) *item {
	_, err := c.Load(bg, key, gives(1), Call{})
	require.NoError(t, err)
	it := e.mem.Get(memory.Hash(key), key)
	require.NotNil(t, it)
	require.True(t, e.plainly(it, now()))
	return it
}

func (e *Engine) locked(it *item, do func()) {
	s := e.shard(it.Hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
}

// push: doubt | (not told to the short look) reader: served | head: another's
func TestAnItemInDoubtIsNotServedByTheShortLook(t *testing.T) {
	t.Parallel()
	e, c := memoryOnly(t)
	it := stored(t, e, c, "k")
	e.locked(it, func() { e.doubtLocked(it) })
	assert.False(t, e.plainly(it, now()))
	seen := e.sample(it.Hash, it.Key)
	e.shard(it.Hash).pushed.Add(1)
	require.False(t, e.judgeDoubt(it, seen, true), "a push came after the look")
	assert.False(t, e.plainly(it, now()))
	require.True(t, e.judgeDoubt(it, e.sample(it.Hash, it.Key), true))
	assert.True(t, e.plainly(it, now()), "it is believed again")
}

func TestTheShortLookLeavesToTheLongOneWhatItDoesNotLookAt(t *testing.T) {
	t.Parallel()
	cases := map[string]func(e *Engine, c *Cache, it *item) *item{
		"a pattern was issued":     func(e *Engine, _ *Cache, it *item) *item { e.patterns.issue("other*"); return it },
		"a tag was invalidated":    func(e *Engine, _ *Cache, it *item) *item { e.dropTag(it.Meta.gens[0].of.name); return it },
		"a record was pushed":      func(_ *Engine, _ *Cache, it *item) *item { it.Meta.gens[1].of.forget(); return it },
		"it is absent":             func(_ *Engine, c *Cache, it *item) *item { return like(c, it, loaded{absent: true, ttl: time.Hour}) },
		"it may be refreshed":      func(_ *Engine, c *Cache, it *item) *item { return like(c, it, loaded{took: time.Hour, ttl: time.Hour}) },
		"it was made old":          func(_ *Engine, _ *Cache, it *item) *item { return outdated(it) },
		"a tag is heard elsewhere": func(_ *Engine, _ *Cache, it *item) *item { return with(it, func(s *standing) { s.epoch++ }) },
		"nothing is heard": func(_ *Engine, _ *Cache, it *item) *item {
			return with(it, func(s *standing) { s.ear, s.heard, s.gens = new(coherence.Hearing), true, nil })
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, c := memoryOnly(t)
			assert.False(t, e.plainly(change(e, c, stored(t, e, c, "k")), now()))
		})
	}
}

// like is an item of l with the validity that it has.
func like(c *Cache, it *item, l loaded) *item {
	return c.item(it.Hash, it.Key, l, now(), time.Hour, validity{seq: it.Meta.seq.Load()}, it.Meta.gens, false)
}

// with is it with another standing.
func with(it *item, change func(*standing)) *item {
	s := *it.Meta.standing
	change(&s)
	it.Meta.standing = &s
	return it
}

func TestItemsShareAStandingIfTheyHaveAllOfItInCommon(t *testing.T) {
	t.Parallel()
	_, c := memoryOnly(t)
	gens := func() []*gen { return []*gen{new(gen), new(gen)} }
	is := standing{owner: c, ear: new(coherence.Hearing), epoch: 1, heard: true, gens: gens()}
	others := map[string]func(*standing){
		"ear":   func(s *standing) { s.ear = new(coherence.Hearing) },
		"epoch": func(s *standing) { s.epoch++ },
		"heard": func(s *standing) { s.heard = false },
		"gens":  func(s *standing) { s.gens = gens() },
		"tags":  func(s *standing) { s.gens = append(gens(), new(gen)) },
	}
	for name, change := range others {
		first := c.standing("k", is)
		require.Same(t, first, c.standing("l", is))
		s := is
		change(&s)
		got := c.standing("k", s)
		require.NotSame(t, first, got, name)
		assert.Equal(t, s, *got, name)
	}
	tagged := is
	tagged.gens = append(gens(), new(gen))
	last := c.standing("k", is)
	c.standing("k", tagged)
	assert.Same(t, last, c.standing("k", is), "that of a value with tags of its own is not kept")
}

// Before a master is known there is nothing to hear it by: that is an outage.
func TestWhatNobodyHearsIsServedByTheLongLookOnly(t *testing.T) {
	t.Parallel()
	assert.True(t, new(standing).holds(new(Engine), now()), "memory only")
	assert.False(t, new(standing).holds(&Engine{remote: new(remote.Remote)}, now()))
}
