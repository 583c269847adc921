package tiercache_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// Ristretto replaces a buffer of 64 hashes now and then, so a little above zero
// is zero.
const alittle = 0.1

func TestAMemoryHitAllocatesNothingAndItsClosureIsTheCallersOwn(t *testing.T) {
	cache := newCache(t, open(t, tiercache.Config{}), tiercache.Options[profile]{})
	load := value(ann)
	_, err := cache.GetOrLoad(bg, "k", load)
	require.NoError(t, err)

	assert.Less(t, testing.AllocsPerRun(5_000, func() { _, _ = cache.GetOrLoad(bg, "k", load) }), alittle)
	assert.Less(t, testing.AllocsPerRun(5_000, func() { _, _, _ = cache.Get(bg, "k") }), alittle)

	id := int64(7)
	capturing := testing.AllocsPerRun(5_000, func() {
		mine := id
		_, _ = cache.GetOrLoad(bg, "k", func(context.Context) (profile, error) { return profile{ID: mine}, nil })
	})
	assert.InDelta(t, 1, capturing, alittle, "the closure itself")
}

// Without Redis a hit is one as well: nothing is put together for it.
func TestAMemoryHitOfAnOutageAllocatesNothing(t *testing.T) {
	s := redistest.Start(t)
	tiers := open(t, hasty(client(t, s.Addr())))
	cache := newCache(t, tiers, tiercache.Options[profile]{})
	hear(t, tiers)
	load := value(ann)
	key := strings.Repeat("long", 50)
	_, err := cache.GetOrLoad(bg, key, load)
	require.NoError(t, err)
	inMemory(t, cache, key)
	s.Kill()
	outOfUse(t, tiers)
	soon(t, "what was heard is old", func() bool { return !tiers.Health().Masters[0].Fresh })
	before := cache.Stats().MemoryHits
	assert.Less(t, testing.AllocsPerRun(5_000, func() { _, _ = cache.GetOrLoad(bg, key, load) }), alittle)
	assert.EqualValues(t, 5_001, cache.Stats().MemoryHits-before)
}
