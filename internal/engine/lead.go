package engine

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/tiercache/tiercache/internal/ablate"
	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/flight"
	"github.com/tiercache/tiercache/internal/remote"
)

const (
	firstPoll = 2 * time.Millisecond // of a key that another node loads; doubled each time
	lastPoll  = 50 * time.Millisecond

	quickLooks = 20 // that a push may lead to, of one load
)

// lead is the body of a load's flight: it takes the lease and loads, or waits
// for the holder of the lease and reads. seen is what the leader's own read saw;
// acquire checks that it is still so.
func (c *Cache) lead(ctx context.Context, out *outcome, hash uint64, key string, load Loader, call Call, seen, fallback *outcome) {
	e := c.eng
	if resting(fallback) && !call.Load && !call.Fresh {
		out.err = errRecent
		return
	}
	if c.recall(out, hash, key, call) {
		return
	}
	rkey := e.prefix + key
	reply, v, failed := seen.reply, seen.verdict, seen.failed
	giveUp := now() + int64(c.spec.LoadTimeout+leaseTime)
	var heard <-chan struct{}
	release, looks := func() {}, 0
	defer func() { release() }()
	for pause := firstPoll; ; {
		if c.spec.MemoryOnly && c.useRedis(key) {
			c.loadHere(ctx, out, hash, key, load, call, fallback)
			return
		}
		if failed || c.spec.MemoryOnly || !e.useRedis(key) {
			c.loadAlone(ctx, out, hash, key, load, call, fallback)
			return
		}
		if v == unasked {
			var err error
			if reply, err = e.remote.Get(ctx, rkey); err != nil && ctx.Err() == nil {
				c.counts.errors.Add(1)
				failed = true
				continue
			}
			v = c.judge(ctx, out, key, rkey, reply)
		}
		if (v == nothing || v == refused) && !e.remote.Writable(rkey) {
			c.loadAlone(ctx, out, hash, key, load, call, fallback)
			return
		}
		if v == nothing || v == refused {
			lease, standing, err := c.claim(ctx, rkey, reply)
			switch {
			case ctx.Err() != nil:
				out.err = context.Cause(ctx)
				c.abandon(rkey, lease)
				return
			case errors.Is(err, remote.ErrReadOnly), errors.Is(err, remote.ErrUnavailable): // it was not asked
				c.loadAlone(ctx, out, hash, key, load, call, fallback)
				return
			case err != nil:
				c.counts.errors.Add(1)
				c.abandon(rkey, lease)
				c.loadAlone(ctx, out, hash, key, load, call, fallback)
				return
			case standing.Absent():
				first := underLease(key, hash, rkey, lease, out.v)
				c.loadHeld(ctx, out, c.holdAlso(ctx, first, call), load, call, nil)
				return
			}
			reply = standing
			v = c.judge(ctx, out, key, rkey, reply)
		}
		switch {
		case v == unjudged:
			failed = true
			continue
		case v == stale:
			old := out.fallback
			if old == nil {
				old = seen.fallback
			}
			mine, rest := c.takeTurn(ctx, rkey, call.Load || now() > giveUp)
			if mine {
				c.loadOver(ctx, out, hash, key, load, call, old)
				return
			} else if rest > 0 {
				c.tired(hash, key, old, rest)
				out.err = errRecent
				return
			}
		case v == outlived && !c.taken(ctx, rkey, now() > giveUp):
			v = refused
			continue
		case v == usable && call.Load:
			is := *out
			*out = outcome{v: is.v, readAt: is.readAt}
			c.loadOver(ctx, out, hash, key, load, call, &is)
			return
		case v == usable:
			c.remember(hash, key, out, 0)
			return
		case v == marked && e.remote.Now(rkey).After(remote.MarkEnds(reply.Raw).Add(leaseTime)),
			v == leased && now() > giveUp:
			// No holder lives that long, and Redis itself ends a marker: it was
			// restored, copied or made persistent by somebody. It is taken over like
			// anything else that is not believed.
			v = refused
			continue
		case v == marked:
			c.loadUnstored(ctx, out, key, load, call, fallback)
			return
		}
		call.part.leave() // those that it would be loaded with do not wait for others' loads
		if heard == nil { // another look, after the ear is at the wall
			heard, release = e.listen(hash, rkey)
		} else {
			told := heard
			if looks++; looks > quickLooks { // somebody writes it all the time
				told = nil
			}
			timer := time.NewTimer(pause/2 + rand.N(pause))
			select {
			case <-told:
				timer.Stop()
				release()
				heard, release = e.listen(hash, rkey)
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				out.err = context.Cause(ctx)
				return
			}
			pause = min(2*pause, lastPoll)
		}
		out.v, out.readAt, v = c.sample(hash, key), now(), unasked
	}
}

type verdict int

const (
	unasked verdict = iota // Redis was out of use, or is to be asked again
	nothing
	usable
	leased   // somebody loads
	marked   // somebody changes the source
	refused  // bytes that this cache does not believe, or not any more
	stale    // past its TTL, and may be served if a load fails
	outlived // past its TTL, and may not: it stands for a refresh that is late
	unjudged // the generations of its tags could not be read
)

// claim takes the lease if nothing came to stand in the place of what the
// caller saw; else it returns what did.
func (c *Cache) claim(ctx context.Context, rkey string, saw remote.Reply) (lease []byte, standing remote.Reply, err error) {
	lease = c.newLease(saw.Stamp)
	reject := headOf(saw)
	_, standing, err = c.eng.remote.Acquire(ctx, rkey, lease, reject, leaseTime)
	if err != nil || len(reject) == 0 || !bytes.Equal(headOf(standing), reject) {
		return lease, standing, err
	}
	// What was rejected stands: over REST not all bytes can be named, only those of
	// this library surely. To remove what nobody believes costs a load at most.
	if _, failed, err := c.eng.remote.Unlink(ctx, []string{rkey}); err != nil || len(failed) > 0 {
		return lease, standing, errors.Join(err, remote.ErrUnavailable)
	}
	lease = c.newLease(saw.Stamp)
	_, standing, err = c.eng.remote.Acquire(ctx, rkey, lease, nil, leaseTime)
	return lease, standing, err
}

func headOf(r remote.Reply) []byte { return r.Raw[:min(len(r.Raw), envelope.HeadLen)] }

func (c *Cache) newLease(stamp envelope.ID) []byte {
	return envelope.Head{Kind: envelope.Lease, Stamp: stamp, Token: envelope.NewToken(), Cache: c.id}.Append(nil)
}

// judge reads a reply into out. Whatever it does not know is a miss.
func (c *Cache) judge(ctx context.Context, out *outcome, key, rkey string, reply remote.Reply) verdict {
	var room [clearTags]envelope.Tag // more only for one that has tags of its own
	var o opened
	c.open(&o, rkey, reply, room[:])
	if out.why = o.why; o.verdict != unasked {
		return o.verdict
	}
	tags := c.storedTags(key, o.body.Tags)
	gens, err := c.eng.resolve(ctx, tags)
	if err == nil && !c.eng.remote.HearsAll() {
		// That a record was evicted, and made anew, nobody publishes.
		gens, err = c.reread(ctx, tags, gens, o.body.Tags)
	}
	if err != nil {
		c.counts.errors.Add(1)
		return unjudged
	}
	return c.weigh(out, reply, &o, tags, gens)
}

// opened is a reply whose bytes are those of a value of this cache, which may be old;
// else verdict says what they are.
type opened struct {
	verdict verdict
	why     cause
	head    envelope.Head
	body    envelope.Body
	at      time.Time // in the clock of its master
}

// open sets o, which is zero.
func (c *Cache) open(o *opened, rkey string, reply remote.Reply, room []envelope.Tag) {
	if reply.Absent() {
		o.verdict = nothing
		return
	}
	if envelope.IsMarker(reply.Raw) && !ablate.Out(ablate.MarkerKept) {
		o.verdict, o.why = marked, invalidated
		return
	}
	var err error
	switch o.head, o.body, err = envelope.Open(rkey, reply.Raw, room); {
	case err != nil:
		c.counts.rejected.Add(1)
		o.verdict, o.why = refused, unstored
	case !c.eng.believes(o.head.Stamp, reply.Stamp): // written to another incarnation of this server
		o.verdict, o.why = refused, unstored
	case o.head.Kind == envelope.Lease:
		o.verdict = leased
	case o.head.Cache != c.id || o.body.Schema != c.schema || len(o.body.Tags) < clearTags:
		c.counts.rejected.Add(1)
		o.verdict, o.why = refused, unstored
	default:
		if o.at = c.eng.remote.Now(rkey); o.body.Expired && !c.mayServe(o) {
			o.verdict, o.why = refused, expired
		}
	}
}

// fresh is for how long the value is, not more than 0 if it is not.
func (o *opened) fresh() time.Duration {
	fresh := o.body.FreshUntil.Sub(o.at)
	if o.body.Expired {
		fresh = min(fresh, 0)
	}
	return fresh
}

// mayServe tells whether it may stand in for a load, were it not fresh.
func (c *Cache) mayServe(o *opened) bool {
	return o.head.Kind == envelope.Value && c.spec.StaleFor > 0 && o.fresh()+c.spec.StaleFor > 0
}

// weigh is the rest of judge: gens are those that the tags of the value have, read
// after it.
func (c *Cache) weigh(out *outcome, reply remote.Reply, o *opened, tags []*tag, gens []*gen) verdict {
	for i, g := range gens {
		if (g == nil || g.nonce != o.body.Tags[i].Nonce) && !ablate.Out(ablate.TagCompare) {
			out.why = invalidated
			return refused
		}
	}
	if ablate.Out(ablate.TagCompare) {
		gens = nil
	}
	var value any
	var encoded int
	if o.head.Kind != envelope.Absent {
		var err error
		if value, encoded, err = c.decode(o.body.Payload); err != nil {
			c.counts.rejected.Add(1)
			out.why = unstored
			return refused
		}
	}
	is, v := out, usable
	fresh := o.fresh()
	if fresh <= 0 {
		is, out.why = &outcome{v: out.v, readAt: out.readAt, stale: true}, expired
		if c.mayServe(o) {
			out.fallback, v = is, stale
		} else {
			out.outlived, v = is, outlived
		}
	}
	is.source, is.standing, is.token, is.raw, is.payload = fromRedis, true, o.head.Token, reply.Raw, o.body.Payload
	is.value, is.encoded, is.absent = value, encoded, o.head.Kind == envelope.Absent
	is.fresh, is.age, is.took = fresh, max(0, o.at.Sub(o.body.Created)), o.body.LoadTime
	is.tags, is.gens = tags, gens
	return v
}

// storedTags are the tags of a value that is stored under key, in the order of its
// generations. Not to be written.
func (c *Cache) storedTags(key string, stored []envelope.Tag) []*tag {
	clear := c.clear(key)
	if len(stored) == clearTags {
		return clear
	}
	tags := append(make([]*tag, 0, len(stored)), clear...)
	for _, t := range stored[clearTags:] {
		tags = append(tags, c.eng.tags.of(userTag(t.Name)))
	}
	return tags
}

// reread reads again the records of those generations that a value does not have.
func (c *Cache) reread(ctx context.Context, tags []*tag, gens []*gen, stored []envelope.Tag) ([]*gen, error) {
	same := true
	for i, g := range gens {
		if g != nil && g.nonce != stored[i].Nonce {
			tags[i].forget()
			same = false
		}
	}
	if same {
		return gens, nil
	}
	return c.eng.resolve(ctx, tags)
}

// remember puts what was read from Redis into memory, for no longer than it has left
// there. What is past its TTL is served without a load for so long, if retry is not 0.
func (c *Cache) remember(hash uint64, key string, out *outcome, retry time.Duration) {
	life := c.memoryLife(out.fresh)
	if life <= 0 && retry <= 0 {
		return
	}
	l := loaded{value: out.value, absent: out.absent, ttl: out.fresh, age: out.age, took: out.took}
	if err := flight.Recovering(func() error { l.size = c.size(out.value, out.absent, out.encoded); return nil }); err != nil {
		c.counts.errors.Add(1) // Options.Cost panicked: returned, not kept
		return
	}
	it := c.item(hash, key, l, out.readAt, life, out.v, out.gens, true)
	it.Meta.token = out.token
	if retry > 0 {
		it.Meta.retry.Store(now() + int64(retry))
	}
	c.eng.keep(it, out.v)
}
