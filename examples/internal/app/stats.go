package app

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/tiercache/tiercache/examples/internal/auth"
)

// counts is what the caches did since they were last cleared, added up.
type counts struct {
	Hits         int64         `json:"hits"`
	Misses       int64         `json:"misses"`
	MemoryHits   int64         `json:"memoryHits"`
	RedisHits    int64         `json:"redisHits"`
	Loads        int64         `json:"loads"`
	LoadErrors   int64         `json:"loadErrors"`
	Coalesced    int64         `json:"coalesced"`
	FillsRefused int64         `json:"fillsRefused"`
	Errors       int64         `json:"errors"`
	Time         time.Duration `json:"-"` // of all operations together
}

// add adds other, times sign.
func (c *counts) add(other counts, sign int64) {
	c.Hits += sign * other.Hits
	c.Misses += sign * other.Misses
	c.MemoryHits += sign * other.MemoryHits
	c.RedisHits += sign * other.RedisHits
	c.Loads += sign * other.Loads
	c.LoadErrors += sign * other.LoadErrors
	c.Coalesced += sign * other.Coalesced
	c.FillsRefused += sign * other.FillsRefused
	c.Errors += sign * other.Errors
	c.Time += time.Duration(sign) * other.Time
}

// baseline is the counts at the last Clear. The library's counters only grow,
// so that monitoring can take differences; starting anew is this page's affair.
type baseline struct {
	mu   sync.Mutex // guards then
	then counts
}

func (b *baseline) set(now counts) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.then = now
}

func (b *baseline) since(now counts) counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	now.add(b.then, -1)
	return now
}

// total is the lifetime counts of all caches.
func (c *cached) total() counts {
	s := c.tiers.Stats().Total
	return counts{
		Hits: s.Hits, Misses: s.Misses, MemoryHits: s.MemoryHits, RedisHits: s.RedisHits,
		Loads: s.Loads, LoadErrors: s.LoadErrors, Coalesced: s.Coalesced,
		FillsRefused: s.FillsRefused, Errors: s.Errors,
		Time: s.AverageTime * time.Duration(s.Operations),
	}
}

func (c *cached) Counts() counts { return c.zero.since(c.total()) }

// fixed2 is a number that always shows two decimals.
type fixed2 float64

func (f fixed2) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(f), 'f', 2, 64), nil
}

type statsBody struct {
	Cache struct {
		Hits       int64   `json:"hits"`
		Misses     int64   `json:"misses"`
		Operations int64   `json:"operations"` // hits + misses
		HitRate    fixed2  `json:"hitRate"`    // percent
		AvgTime    float64 `json:"avgTime"`    // milliseconds of one operation, loads included
	} `json:"cache"`
	Redis struct {
		Mode      string  `json:"mode"`
		Connected bool    `json:"connected"`
		PingMs    float64 `json:"pingMs"`
	} `json:"redis"`
	Performance struct {
		Status         string `json:"status"`
		Recommendation string `json:"recommendation"`
	} `json:"performance"`
}

func (a *App) getStats(w http.ResponseWriter, r *http.Request) error {
	if _, err := params(r); err != nil {
		return err
	}
	c, h := a.source.Counts(), a.source.Health()
	var body statsBody
	ops := c.Hits + c.Misses
	body.Cache.Hits, body.Cache.Misses, body.Cache.Operations = c.Hits, c.Misses, ops
	rate := 0.0
	if ops > 0 {
		rate = 100 * float64(c.Hits) / float64(ops)
		body.Cache.AvgTime = milliseconds(c.Time / time.Duration(ops))
	}
	body.Cache.HitRate = fixed2(rate)
	body.Redis.Mode, body.Redis.Connected, body.Redis.PingMs = h.Mode, h.Connected, milliseconds(h.Ping)
	body.Performance.Status = status(rate)
	body.Performance.Recommendation = recommendation(a, c, h.Connected)
	return respond(w, http.StatusOK, body)
}

func milliseconds(d time.Duration) float64 { return math.Round(float64(d)/1e3) / 1e3 }

const good, fair = 80.0, 60.0 // percent of operations that hit

func status(rate float64) string {
	switch {
	case rate >= good:
		return "good"
	case rate >= fair:
		return "fair"
	default:
		return "poor"
	}
}

// fewOperations is how many say little about what is to come.
const fewOperations = 100

// recommendation is one sentence for the operator, the most pressing first.
func recommendation(a *App, c counts, connected bool) string {
	ops := c.Hits + c.Misses
	rate := 100 * float64(c.Hits) / float64(max(ops, 1))
	_, off := a.source.(direct)
	switch {
	case off:
		return "The cache is off: every request goes to the database."
	case !connected:
		return "Redis cannot be reached: this process serves from its own memory and the database, and shares nothing with others; see to the connection."
	case c.Errors > 0:
		return fmt.Sprintf("%d operations met an error of the cache: look at the log and at the connection to Redis.", c.Errors)
	case ops < fewOperations:
		return fmt.Sprintf("Only %d operations so far: too few to judge.", ops)
	case rate >= good:
		return fmt.Sprintf("%.2f %% of %d operations were answered from the cache, %d of them from memory: nothing to do.", rate, ops, c.MemoryHits)
	case c.FillsRefused*4 > c.Loads:
		return fmt.Sprintf("%d of %d loads were overtaken by an invalidation: writes clear more than they change, or come too often for a cache.", c.FillsRefused, c.Loads)
	default:
		return fmt.Sprintf("%.2f %% of %d operations were answered from the cache, after %d loads: longer TTLs or fewer distinct filters would help.", rate, ops, c.Loads)
	}
}

// clearCache drops the cached values of every cache, on every node, and counts from
// zero. With ?pattern= it drops the keys that match, and counts on: for who has
// changed the database by other means and knows what the keys look like.
func (a *App) clearCache(w http.ResponseWriter, r *http.Request, who auth.Claims) error {
	got, err := params(r, "pattern")
	if err != nil {
		return err
	}
	ctx, cancel := detached(r, dbTimeout)
	defer cancel()
	answer := map[string]any{"cleared": true}
	if pattern, ok := got["pattern"]; ok {
		if err := text("pattern", pattern, maxText); err != nil {
			return err
		}
		if pattern[0] == '~' {
			return badRequest("pattern begins with ~, which is no key's")
		}
		if answer["keys"], err = a.source.ClearMatching(ctx, pattern); err != nil {
			return err
		}
	} else if err := a.source.Clear(ctx); err != nil {
		return err
	}
	a.log.Info("cache cleared", "by", who.ID, "pattern", got["pattern"])
	return respond(w, http.StatusOK, answer)
}
