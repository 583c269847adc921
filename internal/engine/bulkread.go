package engine

import (
	"context"

	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/memory"
	"github.com/tiercache/tiercache/internal/remote"
)

// readMany is read for many keys in one look at Redis. found is called with the values
// that it has; the other keys are returned, with what was seen of them. Nobody joins
// it.
func (c *Cache) readMany(ctx context.Context, ones []one, call Call, began int64, found func(string, any) bool) (left []one) {
	e := c.eng
	c.sampleMany(ones)
	readAt := now()
	rkeys := make([]string, 0, len(ones))
	for i := range ones {
		o := &ones[i]
		o.opened.verdict = unasked
		if e.useRedis(o.key) { // after the samples, see there
			o.at, rkeys = len(rkeys), append(rkeys, o.rkey)
		} else {
			o.at = -1
		}
	}
	replies, failures := e.remote.GetMany(ctx, rkeys)
	rooms := make([]envelope.Tag, clearTags*len(ones)) // for those that all values have
	over, failed, size := remote.Over(ctx), false, 0
	for i := range ones {
		switch o := &ones[i]; {
		case o.at < 0:
		case failures[o.at] == nil:
			size += len(replies[o.at].Raw)
			o.opened = opened{}
			if c.open(&o.opened, o.rkey, replies[o.at], rooms[clearTags*i:][:0:clearTags]); o.opened.verdict == unasked {
				o.tags = c.storedTags(o.key, o.opened.body.Tags)
			}
		case over != nil:
			o.err = over
		default:
			failed, o.failed = true, true
		}
	}
	gens, err := c.resolveMany(ctx, ones)
	if err != nil {
		failed = true
	}
	if failed {
		c.counts.errors.Add(1)
	}
	w := weighing{c: c, warm: call.warm, replies: replies, gens: gens, unresolved: err != nil, began: began, readAt: readAt}
	sideBySide(len(ones), size/perHand, func(from, to int) { w.some(ctx, ones[from:to]) })
	for i := range ones {
		switch o := &ones[i]; {
		case !o.answered:
			left = append(left, *o)
		case !o.absent:
			found(o.key, o.value)
		}
	}
	return left
}

// weighing is what is made of the replies that many keys got: most of it is the codec's
// work, and takes longer than the round trip did.
type weighing struct {
	c             *Cache
	warm          bool // it is no operation
	replies       []remote.Reply
	gens          resolved
	unresolved    bool // the generations could not be read
	began, readAt int64
}

// some answers those of ones whose values may be served, and keeps them in memory. Of
// each it writes to nothing but itself.
func (w weighing) some(ctx context.Context, ones []one) {
	c := w.c
	var out *outcome
	for i := range ones {
		o := &ones[i]
		if o.err != nil {
			if !w.warm {
				c.tally(nil, o.key, o.err, now()-w.began, unexplained)
			}
			continue
		}
		if out == nil {
			out = new(outcome)
		}
		*out = outcome{v: o.v, readAt: w.readAt, verdict: o.opened.verdict, failed: o.failed, why: o.opened.why}
		if o.at >= 0 && !o.failed {
			out.reply = w.replies[o.at]
		}
		switch {
		case o.tags == nil:
		case w.unresolved:
			out.verdict, out.failed = unjudged, true
		default:
			out.verdict = c.weigh(out, out.reply, &o.opened, o.tags, w.gens.of(o.tags))
		}
		if out.source == nowhere {
			o.seen, out = out, nil
			continue
		}
		c.remember(o.hash, o.key, out, 0)
		if !w.warm {
			c.tally(out, o.key, nil, now()-w.began, unexplained)
		}
		o.answered, o.absent, o.value = true, out.absent, out.value
	}
}

// sampleMany samples the validity of all keys. Their names in Redis are parts of one
// string.
func (c *Cache) sampleMany(ones []one) {
	prefix := c.eng.prefix
	size := len(prefix) * len(ones)
	for i := range ones {
		size += len(ones[i].key)
	}
	all := make([]byte, 0, size)
	for i := range ones {
		all = append(append(all, prefix...), ones[i].key...)
	}
	rest := string(all)
	for i := range ones {
		o := &ones[i]
		n := len(prefix) + len(o.key)
		o.rkey, rest = rest[:n], rest[n:]
		o.hash = memory.Hash(o.key)
		o.v = c.eng.sample(o.hash, o.rkey)
	}
}

// resolved are the generations of the tags of many values, which were read before.
type resolved struct {
	by   map[*tag]*gen
	tags []*tag // of the last
	gens []*gen
}

// of are the generations of tags. Those of the keys of one group, without tags of their
// own, are the same slice.
func (r *resolved) of(tags []*tag) []*gen {
	if len(r.tags) == len(tags) && &r.tags[0] == &tags[0] {
		return r.gens
	}
	r.tags, r.gens = tags, make([]*gen, len(tags))
	for i, t := range tags {
		r.gens[i] = r.by[t]
	}
	return r.gens
}

// resolveMany is resolve for the tags of all values, in one round trip.
func (c *Cache) resolveMany(ctx context.Context, ones []one) (r resolved, err error) {
	r.by = make(map[*tag]*gen)
	var all, last []*tag
	for i := range ones {
		tags := ones[i].tags
		if len(tags) == 0 || last != nil && &tags[0] == &last[0] {
			continue
		}
		last = tags
		for _, t := range tags {
			if _, known := r.by[t]; !known {
				r.by[t], all = nil, append(all, t)
			}
		}
	}
	gens, err := c.eng.resolve(ctx, all)
	if err == nil && len(all) > 0 && !c.eng.remote.HearsAll() {
		for i, g := range gens {
			r.by[all[i]] = g
		}
		if doubted := r.doubted(ones); doubted {
			gens, err = c.eng.resolve(ctx, all)
		}
	}
	if err != nil {
		return r, err
	}
	for i, g := range gens {
		r.by[all[i]] = g
	}
	return r, nil
}

// doubted makes those generations be read again that a value does not have: that a
// record was evicted, and made anew, nobody publishes.
func (r *resolved) doubted(ones []one) (some bool) {
	for i := range ones {
		for j, t := range ones[i].tags {
			if g := r.by[t]; g != nil && g.nonce != ones[i].opened.body.Tags[j].Nonce {
				t.forget()
				some = true
			}
		}
	}
	return some
}

// againMany has the records read that again would ask for, of all keys at once.
func (c *Cache) againMany(ctx context.Context, ones []one) {
	seen := make(map[*tag]bool)
	var unknown []*tag
	for i := range ones {
		key := ones[i].key
		for _, t := range c.unknown(memory.Hash(key), key) {
			if !seen[t] {
				seen[t], unknown = true, append(unknown, t)
			}
		}
	}
	if len(unknown) > 0 {
		_, _ = c.eng.resolve(ctx, unknown) // again asks for what is still not known
	}
}
