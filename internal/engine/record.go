package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tiercache/tiercache/internal/ablate"
	"github.com/tiercache/tiercache/internal/remote"
)

// resolve returns the present generations of tags, nil for one that has none that
// counts: from memory, or from Redis in one round trip.
func (e *Engine) resolve(ctx context.Context, tags []*tag) ([]*gen, error) {
	gens := make([]*gen, len(tags))
	var ask []int
	for i, t := range tags {
		if gens[i] = e.knows(t); gens[i] == nil {
			ask = append(ask, i)
		}
	}
	if len(ask) == 0 {
		return gens, nil
	}
	var keys []string
	var sights []sight
	for _, i := range ask {
		s := e.sight(tags[i])
		if e.journal.CoversTag(tags[i].name) { // after the sight, as useRedis comes after the sample
			continue
		}
		sights, keys = append(sights, s), append(keys, s.key)
		ask[len(sights)-1] = i
	}
	if len(keys) == 0 {
		return gens, nil
	}
	records, err := e.remote.Tags(ctx, keys)
	if err != nil {
		return nil, err
	}
	for n, s := range sights {
		gens[ask[n]] = e.learn(s, records[n])
	}
	return gens, nil
}

// present returns the same generations as they can be compared with now: one that
// was made while its record was pushed about, or not heard, is read again. False if one of them
// is not its tag's any more.
func (e *Engine) present(ctx context.Context, gens []*gen) ([]*gen, bool) {
	same := true
	tags := make([]*tag, len(gens))
	for i, g := range gens {
		tags[i] = g.of
		same = same && (g.local && g.of.current.Load() == g || e.knows(g.of) == g)
	}
	if same {
		return gens, true
	}
	is, err := e.resolve(context.WithoutCancel(ctx), tags)
	if err != nil {
		return nil, false
	}
	for i, g := range is {
		if g == nil || g.nonce != gens[i].nonce {
			return nil, false
		}
	}
	return is, true
}

// errMarked: a Mutate of the tag is under way, so nothing is stored under it.
var errMarked = errors.New("engine: the tag is marked")

// obtain is resolve for a value that is to be served for so long: a tag without a
// record gets one, and each record outlasts it. With began, a reading of the clock, the
// generations have that of their birth.
func (e *Engine) obtain(ctx context.Context, tags []*tag, long time.Duration, began *remote.Tick) ([]*gen, error) {
	gens := make([]*gen, len(tags))
	errs := make([]error, len(tags))
	var wg sync.WaitGroup
	for i, t := range tags {
		if g := e.knows(t); g != nil && (began == nil || g.rest.Load().birth.Life == began.Life) && g.lasts(e, long) {
			gens[i] = g
			continue
		}
		wg.Go(func() { gens[i], errs[i] = e.obtainOne(ctx, t, long, began) })
	}
	wg.Wait()
	return gens, errors.Join(errs...)
}

func (g *gen) lasts(e *Engine, long time.Duration) bool {
	return g.rest.Load().until.After(e.remote.Now(e.remote.TagKey(g.of.name)).Add(long))
}

// obtainOne gives an unborn record the clock that it reads after it saw the record:
// whoever invalidates advances the clock first, so a load that began before has an
// earlier reading than the record's birth (model tags, -DUNBORN; writing the clock
// at once is unsound when two invalidations cross).
func (e *Engine) obtainOne(ctx context.Context, t *tag, long time.Duration, began *remote.Tick) (*gen, error) {
	s := e.sight(t)
	if e.journal.CoversTag(t.name) {
		return nil, errMarked
	}
	life := max(tagLife, 2*long)
	records, err := e.remote.Tags(ctx, []string{s.key})
	if err != nil {
		return nil, err
	}
	rec := records[0]
	for range 4 {
		switch {
		case !rec.Marked.IsZero() && e.believes(rec.Stamp, rec.Answered):
			if e.remote.Now(s.key).After(rec.Marked) {
				// Its Mutate died. It may have committed, so this is the invalidation
				// that it did not make.
				if _, err := e.remote.Tick(ctx); err == nil {
					_ = e.remote.TurnTag(ctx, s.key, tagLife, nil, nil, 0)
				}
			}
			return nil, errMarked
		case !e.counts(rec):
			rec, err = e.remote.NewTag(ctx, s.key, rec.Raw, life)
		case began != nil && rec.Clock.N == 0:
			var at remote.Tick
			if at, err = e.remote.Clock(ctx); err == nil {
				rec, err = e.remote.BearTag(ctx, s.key, rec.Nonce, at, 0)
			}
		case began != nil && rec.Clock.Life != began.Life:
			// One of the two readings is of a clock that is gone. If it is the
			// record's, no reading will ever cover it.
			var at remote.Tick
			if at, err = e.remote.Clock(ctx); err == nil && at.Life == rec.Clock.Life {
				e.tags.forgetClock()
				return nil, errMarked
			} else if err == nil {
				rec, err = e.remote.NewTag(ctx, s.key, rec.Raw, life)
			}
		case rec.Until.Before(e.remote.Now(s.key).Add(long)):
			rec, err = e.remote.BearTag(ctx, s.key, rec.Nonce, rec.Clock, life)
		default:
			return e.learn(s, rec), nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errMarked // it changes faster than it can be read
}

// tick is a reading of the prefix clock from before now.
func (e *Engine) tick(ctx context.Context) (remote.Tick, error) {
	if t := e.tags.clock.Load(); t != nil {
		return *t, nil
	}
	t, err := e.remote.Clock(ctx)
	if err == nil {
		e.tags.clock.Store(&t)
	}
	return t, err
}

// older tells whether one of the generations was born after began was read: the
// value may be from before.
func (e *Engine) older(began remote.Tick, gens []*gen) bool {
	if ablate.Out(ablate.TagClock) {
		return false
	}
	for _, g := range gens {
		if !began.Covers(g.rest.Load().birth) {
			e.tags.forgetClock() // by Pub/Sub nobody tells of its ticks
			return true
		}
	}
	return false
}
