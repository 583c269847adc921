package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/flight"
	"github.com/tiercache/tiercache/internal/memory"
)

// Forever is what whoever means a longer duration gives: the sum of two and of any
// instant, of our clock or the wall's, does not overflow.
const Forever = 50 * 365 * 24 * time.Hour

// Spec is what one cache does differently from another. Functions may be called
// from any goroutine; a panic in one is an error of the operation that met it.
type Spec struct {
	Name        string
	Type        reflect.Type // of the values
	KeyPrefix   string
	TTL         time.Duration
	MemoryTTL   time.Duration // 0: TTL
	NegativeTTL time.Duration // <= 0: absence is not cached
	MemoryOnly  bool          // Redis stores nothing of it, and carries its invalidations
	LoadTimeout time.Duration
	StaleFor    time.Duration // 0: nothing is served past its TTL
	SoftTimeout time.Duration // 0: a load is waited for, whatever there is to serve instead
	Jitter      float64       // share of the TTL

	Schema string // names what Encode writes: another name's bytes are a miss
	Encode func(dst []byte, v any) ([]byte, error)
	Decode func(src []byte) (any, error)

	Compressor    Compressor // nil: nothing is compressed, and payloads have no mark
	CompressAbove int        // bytes of an encoding

	TTLOf    func(v any) time.Duration // nil: TTL
	NotFound func(error) bool          // nil: only errs.ErrNotFound
	// ServeStale tells for which errors of a load something stale may be served
	// instead; nil: all. It is not asked about not-found.
	ServeStale func(error) bool
	Cost       func(v any) int64    // nil: size of the encoding
	Tags       func(v any) []string // nil: none
}

const (
	groups = 64
	// readGroups keeps the chains short: with 10,000 reads under way 40 are in each.
	readGroups = 256
)

// Cache is one typed view's part of the Engine. Safe for concurrent use.
type Cache struct {
	eng    *Engine
	spec   Spec
	id     envelope.ID
	schema envelope.ID
	counts counters
	clears [][2]*tag // by group of the key: Clear of all, and of this cache

	loads [groups]flight.Group[outcome] // by hash of the key
	reads [readGroups]flight.Reads[outcome]

	encodeFailed sync.Once // logs the first

	handedOver int64 // counts.hits of the list that was left last; see handOver

	standings []atomic.Pointer[standing] // by group: the last one that items without tags of their own had
}

// NewCache registers a cache under its name.
func (e *Engine) NewCache(spec Spec) (*Cache, error) {
	c := &Cache{eng: e, spec: spec, id: envelope.NewID(spec.Name), schema: envelope.NewID(spec.Schema)}
	all := e.tagNames(allTag)
	for i, own := range e.tagNames(cacheTag(spec.Name)) {
		c.clears = append(c.clears, [2]*tag{e.tags.of(all[i]), e.tags.of(own)})
	}
	c.standings = make([]atomic.Pointer[standing], len(c.clears))
	if err := e.register(c); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Cache) close() {
	for i := range groups {
		c.loads[i].Close()
	}
}

// useRedis tells whether a read of key may believe Redis; of a memory-only cache,
// whether its invalidations are heard of.
func (c *Cache) useRedis(key string) bool {
	if !c.spec.MemoryOnly {
		return c.eng.useRedis(key)
	}
	return c.eng.remote != nil && c.reachable(key) && !c.covered(key)
}

// covered tells whether an invalidation of key waits for Redis.
func (c *Cache) covered(key string) bool {
	if !c.spec.MemoryOnly {
		return c.eng.covers(key)
	}
	// A pattern that waits was published to nobody, wherever it is done.
	return c.eng.journal.Covers(key, func() string { return "" })
}

// reachable tells whether Redis can be asked about key, queued or not.
func (c *Cache) reachable(key string) bool {
	if c.spec.MemoryOnly {
		return c.eng.remote.Controlled()
	}
	return c.eng.remote.Usable(key)
}

func (c *Cache) forget(hash uint64, key string) {
	c.loads[hash%groups].Forget(key)
	c.reads[hash%readGroups].Forget(key)
}

func (c *Cache) forgetFunc(match func(string) bool) {
	for i := range groups {
		c.loads[i].ForgetFunc(match)
	}
	for i := range readGroups {
		c.reads[i].ForgetFunc(match)
	}
}

// Counts is what happened so far.
func (c *Cache) Counts() Counts {
	c.eng.mem.Settle()
	return c.counts.snapshot()
}

// Counts are those of each of caches.
func (e *Engine) Counts(caches []*Cache) []Counts {
	e.mem.Settle()
	all := make([]Counts, len(caches))
	for i, c := range caches {
		all[i] = c.counts.snapshot()
	}
	return all
}

// Name is the name the cache was registered under.
func (c *Cache) Name() string { return c.spec.Name }

// Found is what memory has under a key. It has three fields and four words, so that it
// is returned in registers: copied by way of the stack it costs a hit a tenth.
type Found struct {
	Value any
	early *item
	how   how
}

// how memory answers.
type how uint8

const (
	hit       how = 1 << iota // it does
	hitAbsent                 // that there is no such thing
	hitStale                  // since the last load failed, and it is not yet time for the next
)

// OK tells whether memory answers.
func (f Found) OK() bool { return f.how != 0 }

// Absent tells whether the answer is that there is no such thing.
func (f Found) Absent() bool { return f.how&hitAbsent != 0 }

// Early tells whether the caller is the one who is to have it refreshed.
func (f Found) Early() bool { return f.early != nil }

// Hit is what memory has for key, if it may be served, to one who could load it or
// not. It takes no lock and allocates nothing.
func (c *Cache) Hit(key string, loads bool) Found {
	hash := memory.Hash(key)
	at := now()
	f := c.find(hash, key, at, loads)
	if f.OK() {
		c.countHit(hash, at, f.how)
	}
	return f
}

// countHit counts a hit of somebody who began when the clock showed at.
func (c *Cache) countHit(hash uint64, at int64, how how) {
	n := c.counts.hits.Note(hash)
	if n%sampling == 0 {
		c.counts.fromMemory.Add(time.Duration(now() - at))
	}
	if how != hit {
		if how&hitAbsent != 0 {
			c.counts.absentHits.Add(1)
		}
		if how&hitStale != 0 {
			c.counts.staleHits.Add(1)
		}
	}
	c.eng.summary.count(c.eng)
}

// find is Hit after the clock showed at, and counts nothing.
func (c *Cache) find(hash uint64, key string, at int64, loads bool) Found {
	it := c.eng.mem.Get(hash, key)
	if it == nil || it.Meta.owner != c {
		return Found{}
	}
	if c.eng.plainly(it, at) {
		return Found{Value: it.Meta.value, how: hit}
	}
	return c.closely(hash, key, it, at, loads)
}

// closely is find of an item that was picked up after the clock showed at, and is not
// plainly to be served.
func (c *Cache) closely(hash uint64, key string, it *item, at int64, loads bool) (f Found) {
	switch c.eng.serves(it, at) {
	case no:
		return f
	case again:
		if it, at = c.peek(hash, key); it == nil {
			return f
		}
	}
	f.how = hit
	if at >= it.Meta.early {
		switch {
		case at < it.Meta.fresh:
			if loads && c.renews(it, at) {
				f.early = it
			}
		case !loads || at >= it.Meta.retry.Load(), at < it.Meta.expires && c.useRedis(key):
			return Found{}
		case at >= it.Meta.expires:
			f.how |= hitStale
		}
	}
	if f.Value = it.Meta.value; it.Meta.absent {
		f.how |= hitAbsent
	}
	return f
}

// peek is what memory has for key that no invalidation has voided, old or not, and
// when that was so.
func (c *Cache) peek(hash uint64, key string) (*item, int64) {
	for range 2 {
		at := now()
		it := c.eng.mem.Get(hash, key)
		if it == nil || it.Meta.owner != c {
			return nil, at
		}
		switch c.eng.serves(it, at) {
		case yes:
			return it, at
		case no:
			return nil, at
		}
	}
	return nil, 0
}

// fresh is peek for what is not past its TTL.
func (c *Cache) fresh(hash uint64, key string) *item {
	if it, at := c.peek(hash, key); it != nil && at < it.Meta.fresh {
		return it
	}
	return nil
}

// checkKey refuses what no key may be.
func (c *Cache) checkKey(key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if !strings.HasPrefix(key, c.spec.KeyPrefix) {
		return fmt.Errorf("tiercache: key %q does not begin with the KeyPrefix %q of cache %q", key, c.spec.KeyPrefix, c.spec.Name)
	}
	return nil
}

// longestKey is how long a key may be for its value to be stored. What a longer one
// is asked for is loaded, and counted with what is too large.
const longestKey = 64 << 10

func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("tiercache: the key is empty")
	case key[0] == '~':
		return fmt.Errorf("tiercache: key %q begins with \"~\", which is reserved", key)
	}
	return nil
}

// shortest is the shortest life that Redis can give a key. What is to live for
// less is not stored.
const shortest = time.Millisecond

// jittered is d less a random part, so that what was stored together does not
// expire together.
func (c *Cache) jittered(d time.Duration) time.Duration {
	if most := time.Duration(float64(d) * c.spec.Jitter); most > 0 {
		d = max(shortest, d-rand.N(most))
	}
	return d
}

// memoryLife is how long memory may serve a value that lives for ttl.
func (c *Cache) memoryLife(ttl time.Duration) time.Duration {
	if c.spec.MemoryTTL > 0 {
		ttl = min(ttl, c.spec.MemoryTTL)
	}
	return ttl
}

// item makes what memory stores of a value with validity v, that is fresh for life from
// then on, when l was so old. heard: Redis has it too.
func (c *Cache) item(hash uint64, key string, l loaded, from int64, life time.Duration, v validity, gens []*gen, heard bool) *item {
	it := &item{Key: key, Hash: hash, Size: l.size, Meta: meta{
		standing: c.standing(key, standing{owner: c, ear: v.ear, epoch: v.epoch, heard: heard, gens: gens}),
		value:    l.value, absent: l.absent, created: from - int64(l.age), took: l.took,
	}}
	it.Meta.fresh, it.Meta.expires = later(from, life), later(from, l.ttl)
	it.Meta.early = it.Meta.fresh - int64(c.earliest(l.took))
	if !l.absent {
		it.Meta.plain.Store(it.Meta.early)
	}
	it.Deadline = it.Meta.fresh
	if !l.absent && c.spec.StaleFor > 0 {
		it.Deadline = later(it.Meta.expires, c.spec.StaleFor)
	}
	it.Meta.seq.Store(v.seq)
	return it
}

// later is d after at, at the most "for ever".
func later(at int64, d time.Duration) int64 {
	if d > 0 && at+int64(d) < at {
		return math.MaxInt64
	}
	return at + int64(d)
}

// clear are the tags that every value of a key has.
func (c *Cache) clear(key string) []*tag { return c.clears[c.group(key)][:] }

// group of a key: each has its own tags of Clear.
func (c *Cache) group(key string) int {
	if len(c.clears) == 1 {
		return 0
	}
	return c.eng.remote.Group(c.eng.prefix + key)
}

// tagsOf are the tags of these names, each once.
func (c *Cache) tagsOf(names ...[]string) (tags []*tag) {
	for _, some := range names {
		for _, name := range some {
			if t := c.eng.tags.of(userTag(name)); !slices.Contains(tags, t) {
				tags = append(tags, t)
			}
		}
	}
	return tags
}

// allTags are those, and those of Clear before them.
func (c *Cache) allTags(key string, names ...[]string) []*tag {
	return slices.Concat(c.clear(key), c.tagsOf(names...))
}

// Call is what one call asks for beside its key.
type Call struct {
	Also  []string      // further keys of the same value
	Tags  []string      // beside those that Spec.Tags gives
	TTL   time.Duration // 0: that of the cache
	Fresh bool          // memory is not asked
	Load  bool          // nor is Redis: it is loaded, whatever there is

	warm bool  // of a job or of Warm, who are no readers: it is not counted as an operation
	part *part // nil: the key is not one of many
}

// Loader gives the value of the source of truth.
type Loader = func(context.Context) (any, error)
