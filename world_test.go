package tiercache_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache"
)

type world struct {
	w     *wire
	tiers *tiercache.Tiers
	cache *tiercache.Cache[int]
}

func newWorld(t *testing.T) world { return worldAt(t, miniredis.RunT(t).Addr()) }

func worldAt(t *testing.T, addr string) world {
	w := &wire{addr: addr}
	c := redis.NewClient(w.options())
	t.Cleanup(func() { _ = c.Close() })
	cfg := patient(c)
	cfg.StalenessBound = 4 * time.Second // see deafen
	tiers := open(t, cfg)
	hear(t, tiers)
	return world{w, tiers, newCache(t, tiers, tiercache.Options[int]{})}
}

// deafen holds up what the node hears, as a slow network might. Memory is served
// until the bound is over; nothing that is said meanwhile, of the node's own doing
// either, comes to the help of a guard that is missing.
func (w world) deafen(t *testing.T) {
	pong := w.w.holdReply(t, "ping")
	pong.wait(t)
}
