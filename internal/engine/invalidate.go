package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/tiercache/tiercache/internal/glob"
	"github.com/tiercache/tiercache/internal/journal"
	"github.com/tiercache/tiercache/internal/remote"
)

// Target is what an invalidation names.
type Target struct {
	Text    string
	Pattern bool
}

// Report is what an invalidation did.
type Report struct {
	Keys   int64 // values and leases removed from Redis
	Queued bool  // some of it waits in the journal
}

// Invalidate makes every read that starts after it returned see what is newer.
// A target that is not one is an error, and then nothing is done. The end of ctx
// ends the waiting alone: what Redis has not heard by then is in the journal.
//
// The order is: a full local pass, Redis or the journal, a full local pass. The
// first keeps what memory has from being served while Redis is asked. The second
// is for what began in between:
//
//	pass | reader: sample, GET old | UNLINK | (no second pass) returns | reader: memory = old
func (e *Engine) Invalidate(ctx context.Context, targets []Target) (Report, error) {
	ctx, end, err := e.begin(ctx)
	if err != nil {
		return Report{}, err
	}
	defer end()
	var keys []string
	var patterns []Target
	for _, t := range targets {
		switch {
		case !t.Pattern:
			if err := checkKey(t.Text); err != nil {
				return Report{}, err
			}
			keys = append(keys, t.Text)
		case t.Text == "":
			return Report{}, errors.New("tiercache: the pattern is empty")
		case t.Text[0] == '~':
			return Report{}, fmt.Errorf("tiercache: pattern %q begins with \"~\", which is reserved", t.Text)
		default:
			patterns = append(patterns, t)
		}
	}
	var all Report
	if len(keys) > 0 {
		e.kinds.keys.Add(int64(len(keys)))
		all.add(e.invalidateKeys(ctx, keys))
	}
	for _, p := range patterns {
		e.kinds.patterns.Add(1)
		all.add(e.invalidatePattern(ctx, p.Text, nil))
	}
	return all, nil
}

// Clear invalidates everything of one cache.
func (c *Cache) Clear(ctx context.Context) (Report, error) {
	ctx, end, err := c.eng.begin(ctx)
	if err != nil {
		return Report{}, err
	}
	defer end()
	c.eng.kinds.clears.Add(1)
	return c.eng.invalidatePattern(ctx, glob.Escape(c.spec.KeyPrefix)+"*", c), nil
}

func (r *Report) add(o Report) {
	r.Keys += o.Keys
	r.Queued = r.Queued || o.Queued
}

func (e *Engine) invalidateKeys(ctx context.Context, keys []string) (r Report) {
	pass := func() {
		for _, k := range keys {
			e.drop(k)
		}
	}
	pass()
	if e.remote != nil {
		removed, failed := e.unlink(ctx, keys)
		for _, k := range failed {
			e.journal.AddKey(k)
		}
		r = Report{Keys: removed, Queued: len(failed) > 0}
		if r.Queued {
			wake(e.queued)
		}
		pass()
	}
	return r
}

// unlink returns the keys that may still be in Redis.
func (e *Engine) unlink(ctx context.Context, keys []string) (removed int64, failed []string) {
	full := make([]string, len(keys))
	for i, k := range keys {
		full[i] = e.prefix + k
	}
	removed, failed, err := e.remote.Unlink(ctx, full)
	e.failed(err)
	for i := range failed {
		failed[i] = failed[i][len(e.prefix):]
	}
	return removed, failed
}

func (e *Engine) invalidatePattern(ctx context.Context, text string, owner *Cache) (r Report) {
	e.dropPattern(text, owner)
	if e.remote != nil {
		p := journal.Pattern{Glob: text, Owner: ownerID(owner)}
		var err error
		if r.Keys, err = e.remote.DeleteMatching(ctx, e.prefix, p.Glob, false, nil); err != nil {
			e.failed(err)
			e.journal.AddPattern(p)
			r.Queued = true
			wake(e.queued)
		}
		e.dropPattern(text, owner)
	}
	return r
}

// failed counts what kept an invalidation from Redis, and logs the first since
// the journal was last empty. That Redis is out of use is no news.
func (e *Engine) failed(err error) {
	if err == nil || errors.Is(err, remote.ErrUnavailable) {
		return
	}
	e.kinds.failed.Add(1)
	if e.journal.Len() == 0 {
		e.log.Warn("tiercache: an invalidation did not reach Redis, and is kept to be sent again", "error", err)
	}
}

func ownerID(owner *Cache) string {
	if owner == nil {
		return ""
	}
	id := owner.id
	return string(id[:])
}

// dropPattern is the local pass for a pattern.
func (e *Engine) dropPattern(text string, owner *Cache) {
	e.patterns.issue(text, owner)
	g := glob.Compile(text)
	for _, c := range *e.caches.Load() {
		if owner == nil || owner == c {
			c.forgetFunc(g.Match)
		}
	}
}

// Delete invalidates keys of this cache.
func (c *Cache) Delete(ctx context.Context, keys []string) error {
	targets := make([]Target, len(keys))
	for i, k := range keys {
		if err := c.checkKey(k); err != nil {
			return err
		}
		targets[i] = Target{Text: k}
	}
	_, err := c.eng.Invalidate(ctx, targets)
	return err
}

// InvalidatePattern invalidates what the pattern matches, of any cache.
func (c *Cache) InvalidatePattern(ctx context.Context, pattern string) (Report, error) {
	return c.eng.Invalidate(ctx, []Target{{Text: pattern, Pattern: true}})
}
