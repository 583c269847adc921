package tiercache_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// hear waits until a node knows that its memory is right.
func hear(t *testing.T, nodes ...*tiercache.Tiers) {
	t.Helper()
	for _, n := range nodes {
		soon(t, "a node hears every master", func() bool {
			h := n.Health()
			for _, m := range h.Masters {
				if !m.Fresh {
					return false
				}
			}
			return h.Mode == "memory" || h.Connected
		})
	}
}

// inMemory waits until memory answers for a key, and returns the value.
func inMemory[T any](t *testing.T, cache *tiercache.Cache[T], key string) (v T) {
	t.Helper()
	deadline := time.Now().Add(long)
	for {
		before := cache.Stats().MemoryHits
		v, ok, err := cache.Get(bg, key)
		require.NoError(t, err)
		if ok && cache.Stats().MemoryHits > before {
			return v
		}
		require.True(t, time.Now().Before(deadline), "memory never had %q", key)
		time.Sleep(time.Millisecond)
	}
}
