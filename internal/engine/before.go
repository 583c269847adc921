package engine

import (
	"context"
	"slices"
	"time"

	"github.com/tiercache/tiercache/internal/remote"
)

// before is what a load reads before it starts, of all that a later invalidation of
// a tag would change: the generations of the tags that are known by then, and the
// clock, by which those that only the value will tell are judged.
type before struct {
	clear [][]*gen // of Clear, for each key
	named []*gen   // of the call's tags, then of those that the value told
	clock remote.Tick
	tags  []*tag // the call's
}

// of are the generations of key i.
func (b *before) of(i int) []*gen {
	return append(append(make([]*gen, 0, clearTags+len(b.named)), b.clear[i]...), b.named...)
}

func (c *Cache) obtainBefore(ctx context.Context, holds []hold, call Call) (b before, err error) {
	var all []*tag
	for _, h := range holds {
		all = append(all, c.clear(h.key)...)
	}
	b.tags = c.tagsOf(call.Tags)
	gens, err := c.eng.obtain(ctx, append(all, b.tags...), c.servedFor(max(c.spec.TTL, call.TTL)), nil)
	if err != nil {
		return b, err
	}
	for i := range holds {
		b.clear = append(b.clear, gens[clearTags*i:clearTags*(i+1)])
	}
	b.named = gens[clearTags*len(holds):]
	if c.spec.Tags != nil {
		b.clock, err = c.eng.tick(ctx)
	}
	return b, err
}

// servedFor is how long a value of that TTL may be served, stale too.
func (c *Cache) servedFor(ttl time.Duration) time.Duration { return ttl + c.spec.StaleFor }

// obtainAfter adds the generations of the tags that the value told, if all were
// born before the load began.
func (c *Cache) obtainAfter(ctx context.Context, b *before, l loaded) error {
	var told []*tag
	for _, t := range c.tagsOf(l.names) {
		if !slices.Contains(b.tags, t) {
			told = append(told, t)
		}
	}
	if len(told) == 0 {
		return nil
	}
	gens, err := c.eng.obtain(context.WithoutCancel(ctx), told, c.servedFor(l.ttl), &b.clock)
	if err != nil {
		return err
	}
	if c.eng.older(b.clock, gens) {
		return errMarked
	}
	b.named = append(b.named[:len(b.tags):len(b.tags)], gens...)
	return nil
}
