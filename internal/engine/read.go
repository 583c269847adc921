package engine

import (
	"context"
	"time"

	"github.com/tiercache/tiercache/internal/ablate"
	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/errs"
	"github.com/tiercache/tiercache/internal/flight"
	"github.com/tiercache/tiercache/internal/memory"
	"github.com/tiercache/tiercache/internal/remote"
)

// outcome is what a flight leaves for those who wait for it.
type outcome struct {
	value  any
	absent bool
	err    error // the loader's, or the reason there is no answer
	source source

	stale    bool     // past its TTL
	fallback *outcome // what may be served if a load fails, or takes too long
	outlived *outcome // what stands in Redis, and may not

	// Of a value from Redis: for how long it is fresh, how old it is, how long its
	// load took, and how it stands there.
	fresh, age, took time.Duration
	raw, payload     []byte
	encoded          int // how long the payload was before it was compressed

	it *item // of a fallback from memory

	// Of a read that found nothing it believes: what it saw.
	reply   remote.Reply
	verdict verdict
	failed  bool  // Redis gave an error
	why     cause // what is there is not an answer; unexplained: nothing is

	tags  []*tag // of the value, if they are known
	gens  []*gen // those that Redis gave, or that it was stored under; nil: none
	token envelope.Token

	v         validity // sampled before the read or the load
	readAt    int64    // just before memory or Redis was asked
	loadBegan int64    // of a load
	filledAt  int64    // just before the fill that was acknowledged was sent; 0: there was none
	// standing: Redis had it a moment ago, or its fill was acknowledged; without
	// Redis, always. False after a refused fill: somebody invalidated meanwhile.
	standing bool
	// lost: it was loaded and is not stored, by no fault of its own. Another load may be.
	lost bool
}

type source int

const (
	nowhere source = iota // a read that found nothing and had nobody to ask
	fromMemory
	fromRedis
	fromLoader
)

// Get answers from memory or from Redis. ok is false if neither has a value,
// also if they know that there is none.
func (c *Cache) Get(ctx context.Context, key string, call Call) (value any, ok bool, err error) {
	value, err = c.Load(ctx, key, nil, call)
	if err == errMiss || err == error(absence{c}) {
		return nil, false, nil
	}
	return value, err == nil, err
}

var errMiss = errs.ErrNotFound

// Load answers from memory, from Redis, or by load, nil for none: one run of it
// for all who ask at the same time. It is one operation, so one hit or one miss.
func (c *Cache) Load(ctx context.Context, key string, load Loader, call Call) (any, error) {
	switch {
	case ctx == nil:
		return nil, errNilContext
	case c.eng.closed.Load():
		return nil, errs.ErrClosed
	}
	if err := c.check(key, call); err != nil {
		return nil, err
	}
	if len(key) > longestKey {
		c.counts.tooLarge.Add(1)
	}
	began := now()
	var why cause
	out, err := c.settle(ctx, key, load, call, began, nil, &why)
	if !call.warm {
		c.tally(out, key, err, now()-began, why)
	}
	switch {
	case err != nil:
		return nil, err
	case call.warm && out.lost:
		return nil, errLost
	case out.err != nil:
		return nil, out.err
	case out.absent:
		return nil, absence{c}
	case out.source == nowhere:
		return nil, errMiss
	}
	return out.value, nil
}

// settle goes round until it has an outcome that this call may have: of a read
// of Redis, or if that has nothing, of a load.
//
// Whoever leads takes what he leads to: everything in it began after his call. A
// joiner takes a read or load that began after his own call; else what he gets
// must still be valid now. What he meets the second time began after his call, so
// he waits for two loads at the most, whatever the rate of invalidations.
//
// read is what a read by this call has found already, nil: there was none. Of a key
// that is one of many, part is told as soon as this call waits for somebody else. why is
// set if neither memory nor Redis has answered.
func (c *Cache) settle(ctx context.Context, key string, load Loader, call Call, began int64, read *outcome, why *cause) (*outcome, error) {
	hash := memory.Hash(key)
	first, led := true, false
	join := func() {
		call.part.leave()
		if first && !call.warm { // a job's is no operation
			c.counts.coalesced.Add(1)
		}
		first = false
	}
	defer func() {
		if !led { // else the flight does, which may outlive this call
			call.part.end()
		}
	}()
	if out := c.again(ctx, hash, key, call); out != nil && !call.Load {
		return out, nil
	}
	soft := softly{after: c.spec.SoftTimeout, began: began}
	defer soft.end()
	for {
		seen := read
		read = nil
		if seen == nil && c.eng.remote != nil && !c.spec.MemoryOnly && !call.Load {
			out, led, err := c.reads[hash%readGroups].Do(ctx, key, func(ctx context.Context, out *outcome) error {
				return c.read(ctx, out, hash, key, call)
			})
			if !led {
				join()
			}
			if err != nil {
				return nil, err
			}
			if out.source != nowhere {
				if led || c.accepts(out, hash, key, began, call.Fresh) {
					return out, nil
				}
				continue
			}
			if out.fallback != nil && !led && out.readAt <= began {
				continue // it was read before this call, and may have been invalidated since
			}
			seen = out
		}
		if seen == nil {
			seen = new(outcome)
		}
		if *why == unexplained { // what is met later is not what this call missed
			*why = c.because(hash, key, seen, call.Load || call.Fresh)
		}
		old := c.fallback(seen, hash, key, call.Load || load == nil)
		fallback := old
		if call.Load {
			fallback = nil
		}
		if load == nil {
			if fallback != nil {
				seen = &outcome{fallback: fallback}
			}
			return seen, nil
		}
		var out *outcome
		var err error
		out, led, err = c.loads[hash%groups].Do(ctx, key, soft.patience(fallback), join, func(ctx context.Context, out *outcome) {
			defer call.part.end()
			c.lead(ctx, out, hash, key, load, call, seen, old)
		})
		switch {
		case err == flight.ErrImpatient:
			return fallback, nil
		case err != nil:
			return nil, err
		case out.err == errAgain, out.err == errRecent && fallback == nil:
			continue // what the leader has to serve instead, this call has not seen
		case call.Load && !led && (out.source != fromLoader || out.loadBegan <= began):
			continue
		case led || c.accepts(out, hash, key, began, call.Fresh):
			return c.instead(out, fallback), nil
		}
	}
}

// read asks Redis on the caller's own goroutine. Its error is the end of ctx.
func (c *Cache) read(ctx context.Context, out *outcome, hash uint64, key string, call Call) error {
	e := c.eng
	if c.recall(out, hash, key, call) || !e.useRedis(key) {
		return nil
	}
	rkey := e.prefix + key
	reply, err := e.remote.Get(ctx, rkey)
	switch {
	case remote.Over(ctx) != nil:
		return remote.Over(ctx)
	case err != nil:
		c.counts.errors.Add(1)
		out.failed = true
		return nil
	}
	out.reply, out.verdict = reply, c.judge(ctx, out, key, rkey, reply)
	switch out.verdict {
	case unjudged:
		out.failed = true
	case usable:
		c.remember(hash, key, out, 0)
	}
	return nil
}

// recall samples validity, and then looks at memory once more: the caller did
// before it won its place, and what ended in between has published there.
//
//	A: memory miss | B: load, into memory, flight ends | A: wins, loads again
func (c *Cache) recall(out *outcome, hash uint64, key string, call Call) bool {
	out.v, out.readAt = c.sample(hash, key), now()
	if call.Fresh || call.Load {
		return false
	}
	it := c.fresh(hash, key)
	if it == nil {
		return false
	}
	out.age, out.took = time.Duration(now()-it.Meta.created), it.Meta.took
	out.value, out.absent, out.source, out.standing = it.Meta.value, it.Meta.absent, fromMemory, true
	out.gens = it.Meta.gens
	return true
}

// again looks at memory once more for a memory-only cache, after the records of the
// tags were read that have been pushed about: Redis has no copy to fall back on.
func (c *Cache) again(ctx context.Context, hash uint64, key string, call Call) *outcome {
	if !c.spec.MemoryOnly || !c.useRedis(key) {
		return nil
	}
	if unknown := c.unknown(hash, key); len(unknown) == 0 {
		return nil
	} else if _, err := c.eng.resolve(ctx, unknown); err != nil {
		return nil
	}
	out := new(outcome)
	if !c.recall(out, hash, key, call) {
		return nil
	}
	return out
}

// unknown are the tags of what memory has for key whose records have to be read.
func (c *Cache) unknown(hash uint64, key string) (tags []*tag) {
	it := c.eng.mem.Get(hash, key)
	if it == nil || it.Meta.owner != c {
		return nil
	}
	for _, g := range it.Meta.gens {
		if !g.local && g.of.current.Load() == nil {
			tags = append(tags, g.of)
		}
	}
	return tags
}

// sample is everything that could make a value of key old.
func (c *Cache) sample(hash uint64, key string) validity {
	v := c.eng.sample(hash, c.eng.prefix+key)
	if c.spec.MemoryOnly && c.eng.remote != nil {
		v.hear(c.eng.remote.Control())
	}
	return v
}

func (c *Cache) accepts(out *outcome, hash uint64, key string, began int64, fresh bool) bool {
	switch {
	case out.err != nil && !out.absent, out.source == nowhere:
		return true // neither an error nor a miss is an old value
	case fresh && out.source == fromMemory:
		return false
	case out.source == fromLoader && out.loadBegan > began, out.source != fromLoader && out.readAt > began:
		return true
	case ablate.Out(ablate.JoinerJudged):
		return true
	case !out.standing || !unvoided(out.tags, out.v):
		return false
	}
	for _, g := range out.gens {
		if !g.holds() {
			return false
		}
	}
	// How old what the leader was told may be by now: what changed on other nodes
	// meanwhile may not be heard here yet.
	oldest := began - int64(c.eng.bound)
	switch {
	case out.source == fromMemory: // it may have been as old as the bound then
		return false
	case out.source == fromRedis:
		return out.readAt >= oldest && c.eng.holds(out.v, hash, key, false)
	case out.filledAt != 0:
		return out.filledAt >= oldest && c.eng.holds(out.v, hash, key, true)
	case c.eng.remote != nil:
		age := int64(c.eng.bound)
		if !c.reachable(key) {
			age = c.eng.outageAge()
		}
		return out.loadBegan >= began-age && c.eng.holds(out.v, hash, key, true)
	}
	return c.eng.holds(out.v, hash, key, true)
}

func (c *Cache) tally(out *outcome, key string, err error, took int64, why cause) {
	switch {
	case err != nil || out.source == nowhere || out.source == fromLoader || out.err != nil && !out.absent:
		if why == unexplained { // it was given up before
			why = c.because(memory.Hash(key), key, nil, false)
		}
		c.counts.misses[why].Add(1)
		c.counts.waited.Add(time.Duration(took))
	case out.source == fromRedis:
		c.counts.redisHits.Add(1)
		c.counts.fromRedis.Add(time.Duration(took))
		if out.absent {
			c.counts.absentHits.Add(1)
		} else if out.stale {
			c.counts.staleHits.Add(1)
		}
	case out.stale: // after a load that failed, or was too slow
		c.counts.waited.Add(time.Duration(took))
		c.counts.hits.Note(memory.Hash(key))
		c.counts.staleHits.Add(1)
	default: // memory had it by the time the flight looked again
		c.counts.hits.Note(memory.Hash(key))
		if out.absent {
			c.counts.absentHits.Add(1)
		}
	}
	c.eng.summary.count(c.eng)
}

// check refuses bad keys and tags.
func (c *Cache) check(key string, call Call) error {
	if err := c.checkKey(key); err != nil {
		return err
	}
	for _, k := range call.Also {
		if err := c.checkKey(k); err != nil {
			return err
		}
	}
	return checkTags(call.Tags)
}
