package engine

import (
	"context"
	"errors"
	"reflect"
	"time"

	"github.com/tiercache/tiercache/internal/errs"
	"github.com/tiercache/tiercache/internal/flight"
)

// A value past its TTL, and not invalidated, stands for Spec.StaleFor longer: it is
// served when its load fails, or takes longer than Spec.SoftTimeout. Each caller has
// its own to fall back on, read or looked at after its call began, so what was
// invalidated before that is never served.

var (
	// errRecent: the last load of the key failed, and it is not yet time for another.
	errRecent = errors.New("engine: the last load failed a moment ago")
	// errAgain: a refresh that came to nothing. Whoever waited for it goes round.
	errAgain = errors.New("engine: nothing was loaded")
)

// fallback is what this call may serve in place of a load, or look at: what Redis
// has, or if that could not be asked, memory.
func (c *Cache) fallback(seen *outcome, hash uint64, key string, look bool) *outcome {
	if seen.fallback != nil {
		return seen.fallback
	}
	asked := seen.verdict != unasked && seen.verdict != unjudged
	if asked || c.spec.StaleFor <= 0 && !look {
		return nil
	}
	if it, at := c.peek(hash, key); it != nil && !it.Meta.absent {
		return c.kept(it, at)
	}
	return nil
}

// kept is an outcome of an item that memory has.
func (c *Cache) kept(it *item, at int64) *outcome {
	m := &it.Meta
	return &outcome{
		value: m.value, absent: m.absent, source: fromMemory, standing: true, stale: at >= m.expires,
		age: time.Duration(at - m.created), took: m.took, token: m.token, gens: m.gens, it: it,
	}
}

// instead is what a call gets whose load ended as out.
func (c *Cache) instead(out, fallback *outcome) *outcome {
	switch {
	case fallback == nil || out.err == nil || out.absent || out.err == errs.ErrClosed:
		return out
	case out.err == errRecent:
		return fallback
	}
	switch serve, err := c.servesStale(out.err); {
	case err != nil:
		return &outcome{err: err, source: fromLoader}
	case serve:
		return fallback
	}
	return out
}

// servesStale tells whether something stale may be served in place of that error.
func (c *Cache) servesStale(failure error) (serve bool, err error) {
	if c.spec.ServeStale == nil {
		return true, nil
	}
	err = flight.Recovering(func() error { serve = c.spec.ServeStale(failure); return nil })
	return serve, err
}

// rest is how long the key of a load that ended in out is served stale before the
// next; 0 if that has not failed, or nothing stale may be served for it. Nothing
// failed either if those who waited have left, or the cache was closed.
func (c *Cache) rest(ctx context.Context, out *outcome) time.Duration {
	if out.err == nil || out.absent || ctx.Err() != nil || c.spec.StaleFor <= 0 {
		return 0
	}
	if serve, err := c.servesStale(out.err); err != nil || !serve {
		return 0
	}
	return min(max(c.spec.TTL/10, leastRest), longestRest)
}

const (
	leastRest   = time.Second
	longestRest = 30 * time.Second
)

// resting tells whether the last load of what memory has to fall back on has failed
// too recently for another.
func resting(fallback *outcome) bool {
	return fallback != nil && fallback.it != nil && fallback.it.Meta.retry.Load() > now()
}

// tired makes memory serve the fallback for so long without another load.
func (c *Cache) tired(hash uint64, key string, fallback *outcome, rest time.Duration) {
	switch {
	case fallback == nil || rest <= 0:
	case fallback.it != nil:
		fallback.it.Meta.retry.Store(now() + int64(rest))
	default:
		c.remember(hash, key, fallback, rest)
	}
}

// softly is the patience of one call that has something to fall back on: it ends
// once, that long after the call began.
type softly struct {
	after time.Duration
	began int64
	timer *time.Timer
}

func (s *softly) patience(fallback *outcome) <-chan time.Time {
	if fallback == nil || s.after <= 0 {
		return nil
	}
	if left := s.after - time.Duration(now()-s.began); s.timer == nil {
		s.timer = time.NewTimer(left)
	} else {
		s.timer.Reset(left)
	}
	return s.timer.C
}

func (s *softly) end() {
	if s.timer != nil {
		s.timer.Stop()
	}
}

// Seen is what the tiers have under a key, old or not.
type Seen struct {
	Value  any
	Age    time.Duration
	Stale  bool
	Memory bool // else Redis
}

// Lookup is what memory, or else Redis, has for key, past its TTL too. It loads
// nothing.
func (c *Cache) Lookup(ctx context.Context, key string) (s Seen, ok bool, err error) {
	switch {
	case ctx == nil:
		return s, false, errNilContext
	case c.eng.closed.Load():
		return s, false, errs.ErrClosed
	}
	if err := c.check(key, Call{}); err != nil {
		return s, false, err
	}
	began := now()
	var why cause
	out, err := c.settle(ctx, key, nil, Call{}, began, nil, &why)
	if err == nil && out.source == nowhere && out.fallback != nil {
		out = out.fallback
	}
	c.tally(out, key, err, now()-began, why)
	if err != nil || out.absent || out.source == nowhere {
		return s, false, err
	}
	return Seen{out.value, out.age, out.stale, out.source == fromMemory}, true, nil
}

type previousKey struct{}

// previous is what a load of a cache is to replace, nil: nothing.
type previous struct {
	of  *Cache
	old *outcome
}

// Previous is what a load is to replace, if it runs under ctx, there is something,
// and it is of a cache of values of that type.
func Previous(ctx context.Context, of reflect.Type) (Seen, bool) {
	p, _ := ctx.Value(previousKey{}).(previous)
	if old := p.old; old != nil && !old.absent && p.of.spec.Type == of {
		return Seen{old.value, old.age, old.stale, old.source == fromMemory}, true
	}
	return Seen{}, false
}
