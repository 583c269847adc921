package app

import (
	"net/http"

	"github.com/tiercache/tiercache/examples/internal/store"
)

// Counters is the body of GET /debug/counters, which a load test takes
// differences of.
type Counters struct {
	Database store.Counters `json:"database"`
	Cache    CacheCounters  `json:"cache"`
	Hearing  string         `json:"hearing"` // how the server hears of others' changes; empty: it does not need to
}

// CacheCounters are of all caches together.
type CacheCounters struct {
	Hits       int64 `json:"hits"`
	Misses     int64 `json:"misses"`
	MemoryHits int64 `json:"memoryHits"`
	RedisHits  int64 `json:"redisHits"`
	Loads      int64 `json:"loads"`
	Errors     int64 `json:"errors"`
}

// Sub takes earlier counters off, so that what is left happened since.
func (c *Counters) Sub(earlier Counters) {
	c.Database.Queries -= earlier.Database.Queries
	c.Database.Execs -= earlier.Database.Execs
	c.Cache.Hits -= earlier.Cache.Hits
	c.Cache.Misses -= earlier.Cache.Misses
	c.Cache.MemoryHits -= earlier.Cache.MemoryHits
	c.Cache.RedisHits -= earlier.Cache.RedisHits
	c.Cache.Loads -= earlier.Cache.Loads
	c.Cache.Errors -= earlier.Cache.Errors
}

func (a *App) counters(w http.ResponseWriter, _ *http.Request) error {
	c := Counters{Database: a.store.Counters()}
	if cache, ok := a.source.(*cached); ok {
		s := cache.tiers.Stats()
		c.Cache = CacheCounters{Hits: s.Total.Hits, Misses: s.Total.Misses, MemoryHits: s.Total.MemoryHits,
			RedisHits: s.Total.RedisHits, Loads: s.Total.Loads, Errors: s.Total.Errors}
		if len(s.Masters) > 0 {
			c.Hearing = s.Masters[0].Hearing // FromEnv makes clients of one master
		}
	}
	return respond(w, http.StatusOK, c)
}
