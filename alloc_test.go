package tiercache_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
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
