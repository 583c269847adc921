package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/errs"
	"github.com/tiercache/tiercache/internal/journal"
)

const (
	// markLife is how long a marker stands that nobody takes away; fn's context ends
	// markMargin earlier, so that what it commits it commits under the marker.
	markLife   = 30 * time.Second
	markMargin = time.Second
)

// Mutate marks the targets, runs fn, which changes the source, and invalidates
// them. While a marker stands loads store nothing, so a process that dies between
// its commit and its invalidation leaves uncached reads for a while and never an
// old value (model mutate). If marking fails fn is not run, unless anyway is set;
// then the invalidation alone has to reach Redis, or the journal.
func (e *Engine) Mutate(ctx context.Context, fn func(context.Context) error, targets []Target, anyway bool) (Report, error) {
	keys, tags, patterns, err := sorted(targets)
	switch {
	case ctx == nil:
		return Report{}, errNilContext
	case err != nil:
		return Report{}, err
	case len(patterns) > 0:
		return Report{}, fmt.Errorf("tiercache: Mutate cannot mark the keys of pattern %q: name keys or tags", patterns[0].Text)
	case len(keys)+len(tags) == 0:
		return Report{}, errors.New("tiercache: Mutate has no targets")
	case fn == nil:
		return Report{}, errors.New("tiercache: Mutate has no function to run")
	}
	m := mutation{e: e, keys: unique(keys), tags: unique(tags), token: envelope.NewToken()}
	before, until, err := m.mark(ctx)
	marked := err == nil
	switch {
	case errors.Is(err, errs.ErrClosed), err != nil && ctx.Err() != nil:
		return Report{}, err
	case err != nil && e.closed.Load():
		// mark: under way | Close ends its context | (unguarded) as in an outage: fn is run, end is refused
		return Report{}, errs.ErrClosed
	case err != nil && !anyway:
		return Report{}, fmt.Errorf("%w: %w", errs.ErrNotMarked, err)
	}
	fctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	ended := false
	var after Report
	var closed error
	finish := func() {
		ended = true
		after, closed = m.end(context.WithoutCancel(ctx))
		m.note(before, after)
	}
	defer func() {
		if !ended { // fn panicked, or ended its goroutine
			finish()
		}
	}()
	err = fn(fctx)
	finish()
	before.add(after)
	switch {
	case err != nil || closed == nil:
	case marked:
		err = closed
	default:
		err = fmt.Errorf("%w: the change is made, and Redis was told of it neither before nor after", closed)
	}
	return before, err
}

// note writes down what was invalidated.
func (m *mutation) note(before, after Report) {
	if len(m.keys) > 0 {
		m.e.recent.note(Invalidation{Kind: ofKeys, Target: m.keys[0], Count: len(m.keys), Keys: before.Keys + after.Keys, Queued: after.Queued})
	}
	if len(m.tags) > 0 {
		m.e.recent.note(Invalidation{Kind: ofTags, Target: m.tags[0][len(userTag("")):], Count: len(m.tags), Queued: after.Queued})
	}
}

func unique(list []string) (out []string) {
	seen := make(map[string]bool, len(list))
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// mutation is one Mutate under way.
type mutation struct {
	e          *Engine
	keys, tags []string
	token      envelope.Token
}

func (m *mutation) pass() {
	for _, k := range m.keys {
		m.e.drop(k)
	}
	for _, t := range m.tags {
		m.e.dropTag(t)
	}
}

// each runs one of the two for every target.
func (m *mutation) each(key func(string) error, tag func(string) error) error {
	return errors.Join(inParallel(len(m.keys)+len(m.tags), mostTurns, func(i int) error {
		if i < len(m.keys) {
			return key(m.keys[i])
		}
		return tag(m.tags[i-len(m.keys)])
	})...)
}

// mark returns the time by which fn must have ended: before the first marker does.
func (m *mutation) mark(ctx context.Context) (r Report, until time.Time, err error) {
	e := m.e
	ctx, end, err := e.begin(ctx)
	if err != nil {
		return r, until, err
	}
	defer end()
	until = time.Now().Add(markLife - markMargin)
	m.pass()
	if e.remote == nil {
		return r, until, nil
	}
	var mu sync.Mutex // guards r
	err = m.each(func(k string) error {
		removed, err := e.remote.Mark(ctx, e.prefix+k, m.token, markLife)
		if removed {
			mu.Lock()
			r.Keys++
			mu.Unlock()
		}
		return err
	}, func(t string) error { return e.turned(ctx, t, m.token[:], nil) })
	if err == nil && len(m.keys) > 0 {
		err = e.publish(ctx, newsKey, m.keys...)
	}
	if err != nil {
		m.unmark(context.WithoutCancel(ctx))
	}
	m.pass()
	return r, until, err
}

func (m *mutation) unmark(ctx context.Context) {
	_ = m.each(func(k string) error { _, err := m.e.remote.Unmark(ctx, m.e.prefix+k, m.token); return err },
		func(t string) error { return m.e.turned(ctx, t, nil, m.token[:]) })
}

// end takes the markers away, and with them whatever stands there.
func (m *mutation) end(ctx context.Context) (r Report, err error) {
	e := m.e
	ctx, end, err := e.begin(ctx)
	if err != nil {
		m.pass()
		return r, err // the markers stand until they run out
	}
	defer end()
	var mu sync.Mutex // guards r
	queue := func(kind journal.Kind, text string) {
		e.queue(kind, text)
		mu.Lock()
		r.Queued = true
		mu.Unlock()
	}
	e.around(m.pass, func() {
		_ = m.each(func(k string) error {
			removed, err := e.remote.Unmark(ctx, e.prefix+k, m.token)
			if err == nil {
				err = e.publish(ctx, newsKey, k)
			}
			if e.failed(err); err != nil {
				queue(journal.Key, k)
			} else if removed {
				mu.Lock()
				r.Keys++
				mu.Unlock()
			}
			return nil
		}, func(t string) error {
			if err := e.turned(ctx, t, nil, m.token[:]); err != nil {
				queue(journal.Tag, t)
			}
			return nil
		})
	})
	return r, nil
}

// turned is turn for one tag.
func (e *Engine) turned(ctx context.Context, tag string, addMark, removeMark []byte) error {
	if len(e.turn(ctx, tag, addMark, removeMark)) > 0 {
		return errNotTurned
	}
	return nil
}

var errNotTurned = errors.New("tiercache: Redis could not be told of a tag")
