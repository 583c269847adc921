package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tiercache/tiercache/internal/ablate"
	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/glob"
	"github.com/tiercache/tiercache/internal/journal"
	"github.com/tiercache/tiercache/internal/remote"
)

// Target is what an invalidation names.
type Target struct {
	Kind     journal.Kind
	Text     string
	Progress func(removed int64) // of a pattern; may be nil
}

// Report is what an invalidation did.
type Report struct {
	Keys   int64 // values and leases removed from Redis
	Queued bool  // some of it waits in the journal
}

func (r *Report) add(o Report) {
	r.Keys += o.Keys
	r.Queued = r.Queued || o.Queued
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
	return e.do(ctx, targets, false)
}

// Expire makes what the targets name old: the next read loads, unless it may have
// something stale. A tag is invalidated.
func (e *Engine) Expire(ctx context.Context, targets []Target) (Report, error) {
	return e.do(ctx, targets, true)
}

func (e *Engine) do(ctx context.Context, targets []Target, expire bool) (all Report, err error) {
	ctx, end, err := e.begin(ctx)
	if err != nil {
		return Report{}, err
	}
	defer end()
	keys, tags, patterns, err := sorted(targets)
	if err != nil {
		return Report{}, err
	}
	if len(keys) > 0 {
		e.kinds.keys.Add(int64(len(keys)))
		r := e.removeKeys(ctx, keys, expire)
		e.recent.note(Invalidation{Kind: ofKeys, Target: keys[0], Count: len(keys), Keys: r.Keys, Queued: r.Queued, Expire: expire})
		all.add(r)
	}
	if len(tags) > 0 {
		e.kinds.tags.Add(int64(len(tags)))
		r := e.invalidateTags(ctx, tags)
		e.recent.note(Invalidation{Kind: ofTags, Target: tags[0][len(userTag("")):], Count: len(tags), Queued: r.Queued, Expire: expire})
		all.add(r)
	}
	if len(patterns) > 0 {
		var r Report
		for _, p := range patterns {
			e.kinds.patterns.Add(1)
			if tag, ok := e.clearedBy(p.Text); ok && !expire {
				r.add(e.invalidateTags(ctx, []string{tag}))
			} else {
				r.add(e.invalidatePattern(ctx, p, expire))
			}
		}
		e.recent.note(Invalidation{Kind: ofPatterns, Target: patterns[0].Text, Count: len(patterns), Keys: r.Keys, Queued: r.Queued, Expire: expire})
		all.add(r)
	}
	return all, nil
}

// sorted checks targets and parts them by kind.
func sorted(targets []Target) (keys, tags []string, patterns []Target, err error) {
	for _, t := range targets {
		switch t.Kind {
		case journal.Key:
			err = checkKey(t.Text)
			keys = append(keys, t.Text)
		case journal.Tag:
			err = checkTags([]string{t.Text})
			tags = append(tags, userTag(t.Text))
		default:
			err = checkPattern(t.Text)
			patterns = append(patterns, t)
		}
		if err != nil {
			return nil, nil, nil, err
		}
	}
	return keys, tags, patterns, nil
}

func checkPattern(text string) error {
	switch {
	case text == "":
		return errors.New("tiercache: the pattern is empty")
	case text[0] == '~':
		return fmt.Errorf("tiercache: pattern %q begins with \"~\", which is reserved", text)
	}
	return nil
}

// mostTagBytes is for the tags of a call and those of the value together, twice.
const mostTagBytes = 100_000

// checkTags refuses what no tag may be: its name stands in the text-safe part of
// an envelope.
func checkTags(names []string) error {
	size := 0
	for _, n := range names {
		size += len(n) + envelope.TagOverhead
		switch {
		case n == "":
			return errors.New("tiercache: a tag is empty")
		case len(n) > envelope.LongestName:
			return fmt.Errorf("tiercache: tag %q… has %d bytes, at most %d are allowed", n[:32], len(n), envelope.LongestName)
		case !utf8.ValidString(n):
			return fmt.Errorf("tiercache: tag %q is not valid UTF-8", n)
		}
	}
	if size > mostTagBytes {
		return fmt.Errorf("tiercache: %d tags of one value are too many: their names have %d bytes with what each needs, at most %d are allowed",
			len(names), size, mostTagBytes)
	}
	return nil
}

// Clear invalidates everything of one cache, in one step.
func (c *Cache) Clear(ctx context.Context) (Report, error) {
	return c.eng.clear(ctx, cacheTag(c.spec.Name))
}

// Clear invalidates everything of all caches, also of those that only other
// processes have.
func (e *Engine) Clear(ctx context.Context) (Report, error) { return e.clear(ctx, allTag) }

func (e *Engine) clear(ctx context.Context, tag string) (Report, error) {
	ctx, end, err := e.begin(ctx)
	if err != nil {
		return Report{}, err
	}
	defer end()
	e.kinds.clears.Add(1)
	r := e.invalidateTags(ctx, []string{tag})
	is := Invalidation{Count: 1, Queued: r.Queued}
	is.Kind, is.Target = ofScope(tag)
	e.recent.note(is)
	return r, nil
}

// clearedBy is the tag of a cache whose keys are exactly those that the pattern
// matches: a cache has its KeyPrefix for itself, unless another one here has keys
// under it too.
func (e *Engine) clearedBy(pattern string) (tag string, ok bool) {
	literal := glob.Compile(pattern).Literal()
	if literal == "" || pattern != glob.Escape(literal)+"*" {
		return "", false
	}
	for _, c := range *e.caches.Load() {
		switch under := c.spec.KeyPrefix; {
		case under == literal && !ok:
			tag, ok = cacheTag(c.spec.Name), true
		case strings.HasPrefix(under, literal), strings.HasPrefix(literal, under):
			return "", false
		}
	}
	return tag, ok
}

func (e *Engine) invalidateKeys(ctx context.Context, keys []string) Report {
	return e.removeKeys(ctx, keys, false)
}

// around runs pass, op and pass again. op tells Redis, or writes to the journal.
func (e *Engine) around(pass func(), op func()) {
	if !ablate.Out(ablate.FirstPass) {
		pass()
	}
	if e.remote != nil {
		op()
	}
	if !ablate.Out(ablate.SecondPass) {
		pass()
	}
}

func (e *Engine) removeKeys(ctx context.Context, keys []string, expire bool) (r Report) {
	pass := func() {
		for _, k := range keys {
			if expire {
				e.outdate(k)
			} else {
				e.drop(k)
			}
		}
	}
	e.around(pass, func() {
		removed, failed := e.unlink(ctx, keys, expire)
		if len(failed) == 0 {
			if err := e.publish(ctx, newsKey, keys...); err != nil {
				failed = keys
			}
		}
		for _, k := range failed {
			e.queue(journal.Key, k)
		}
		r = Report{Keys: removed, Queued: len(failed) > 0}
	})
	return r
}

// unlink returns the keys that may still be in Redis.
func (e *Engine) unlink(ctx context.Context, keys []string, expire bool) (removed int64, failed []string) {
	full := make([]string, len(keys))
	for i, k := range keys {
		full[i] = e.prefix + k
	}
	var err error
	if expire {
		removed, failed, err = e.remote.Expire(ctx, full, envelope.NewToken)
	} else {
		removed, failed, err = e.remote.Unlink(ctx, full)
	}
	e.failed(err)
	for i := range failed {
		failed[i] = failed[i][len(e.prefix):]
	}
	return removed, failed
}

func (e *Engine) invalidatePattern(ctx context.Context, t Target, expire bool) (r Report) {
	e.around(func() { e.dropPattern(t.Text) }, func() {
		ended := false
		defer func() {
			if !ended { // Progress panicked
				e.queue(journal.Pattern, t.Text)
				e.dropPattern(t.Text)
			}
		}()
		s := remote.Sweep{Prefix: e.prefix, Pattern: t.Text, Expire: expire, Progress: t.Progress}
		if !expire { // what is old counts as invalidated nowhere: an Invalidate may wait under the same name
			s.Done = make(map[string]bool)
		}
		since := e.journal.Now()
		removed, err := e.remote.DeleteMatching(ctx, s)
		if err == nil {
			err = e.publish(ctx, newsPattern, t.Text)
		}
		ended = true
		r.Keys = removed
		if e.failed(err); err != nil {
			e.journal.AddPart(journal.Entry{Kind: journal.Pattern, Text: t.Text}, since, s.Done)
			wake(e.queued)
			r.Queued = true
		}
	})
	return r
}

// queue writes an invalidation down that Redis has not heard.
func (e *Engine) queue(kind journal.Kind, text string) {
	e.journal.Add(journal.Entry{Kind: kind, Text: text})
	wake(e.queued)
}

// publish tells what nodes cannot hear from Redis itself: by Pub/Sub everything,
// else what memory-only caches have.
func (e *Engine) publish(ctx context.Context, kind byte, texts ...string) error {
	if !e.remote.Speaks() && (kind == newsTag || !e.memoryOnly.Load()) {
		return nil
	}
	return e.remote.Publish(ctx, newsOf(e.id, kind, texts...))
}

// failed counts what kept an invalidation from Redis, and logs the first since
// the journal was last empty. That Redis is out of use is no news.
func (e *Engine) failed(err error) {
	if err == nil || errors.Is(err, remote.ErrUnavailable) {
		return
	}
	e.kinds.failed.Add(1)
	if e.journal.Len() == 0 && !errors.Is(err, context.Canceled) {
		e.log.Warn("tiercache: an invalidation did not reach Redis, and is kept to be sent again", "error", err)
	}
}

// dropPattern is the local pass for a pattern.
func (e *Engine) dropPattern(text string) {
	e.patterns.issue(text)
	if ablate.Out(ablate.Forget) {
		return
	}
	g := glob.Compile(text)
	for _, c := range *e.caches.Load() {
		c.forgetFunc(g.Match)
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
	return c.eng.Invalidate(ctx, []Target{{Kind: journal.Pattern, Text: pattern}})
}
