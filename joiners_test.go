package tiercache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// Loads that end without a fill: Redis is not there to refuse their value, so what
// their callers get is judged by the node alone.

type unencodable struct{}

func (unencodable) Append([]byte, thing) ([]byte, error) { return nil, errors.New("no form") }
func (unencodable) Decode([]byte) (thing, error)         { return thing{}, nil }

// leader loads old | an invalidation, returns | a caller joins | leader: old, and
// nothing is stored
func TestAJoinerOfALoadWithoutAFillGetsNothingOlderThanAnInvalidation(t *testing.T) {
	t.Parallel()
	loads := map[string]tiercache.Options[thing]{
		"memory only":       {MemoryOnly: true},
		"not to be stored":  {TTLOf: func(thing) time.Duration { return 0 }},
		"cannot be encoded": {Codec: unencodable{}},
	}
	voids := map[string]func(*testing.T, *tiercache.Tiers, *tiercache.Cache[thing]){
		"key": func(t *testing.T, _ *tiercache.Tiers, c *tiercache.Cache[thing]) {
			require.NoError(t, c.Delete(bg, "k"))
		},
		"pattern": func(t *testing.T, _ *tiercache.Tiers, c *tiercache.Cache[thing]) {
			_, err := c.InvalidatePattern(bg, "k*")
			require.NoError(t, err)
		},
		"tag":        func(t *testing.T, n *tiercache.Tiers, _ *tiercache.Cache[thing]) { void(t, n, "red") },
		"call's tag": func(t *testing.T, n *tiercache.Tiers, _ *tiercache.Cache[thing]) { void(t, n, "call") },
		"Clear":      func(t *testing.T, _ *tiercache.Tiers, c *tiercache.Cache[thing]) { require.NoError(t, c.Clear(bg)) },
	}
	for load, opts := range loads {
		opts.Tags = thingTags
		for by, void := range voids {
			for _, where := range []string{"here", "on another node"} {
				t.Run(load+", "+by+" "+where, func(t *testing.T) {
					t.Parallel()
					inBubble(t, func(b bubble) {
						tiers, other := b.node(), b.node()
						cache, there := newCache(b.T, tiers, opts), newCache(b.T, other, opts)
						hear(b.T, tiers, other)
						call := tiercache.WithTags("call")
						goOn, led, joined := make(chan struct{}), make(chan int, 1), make(chan int, 1)
						go func() {
							v, err := cache.GetOrLoad(bg, "k", func(context.Context) (thing, error) { <-goOn; return thing{1, []string{"red"}}, nil }, call)
							assert.NoError(b, err)
							led <- v.V
						}()
						synctest.Wait()
						if where == "here" {
							void(b.T, tiers, cache)
						} else {
							void(b.T, other, there)
							time.Sleep(1500 * time.Millisecond) // longer than the bound
						}
						go func() {
							v, err := cache.GetOrLoad(bg, "k", tagged(2, "red"), call)
							assert.NoError(b, err)
							joined <- v.V
						}()
						synctest.Wait()
						close(goOn)
						assert.Equal(b, 1, <-led)
						assert.Equal(b, 2, <-joined)
					})
				})
			}
		}
	}
}
