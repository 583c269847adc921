package remote

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/clock"
)

const (
	mostMany = 100 // keys in one round trip
	wariness = time.Minute
)

// GetMany reads keys, each as Get does, those of one master together. An error is
// its key's alone: a master that is dead fails its own keys, and where a slot has
// moved only those are asked for again.
func (r *Remote) GetMany(ctx context.Context, keys []string) (replies []Reply, errs []error) {
	replies, errs = make([]Reply, len(keys)), make([]error, len(keys))
	which := make([]int, len(keys))
	for i := range which {
		which[i] = i
	}
	var contradicted *table
	for try := 0; try < 2 && len(which) > 0; try++ {
		t := r.routes.current(ctx, r.cfg.Read, contradicted)
		r.getManyBy(ctx, t, keys, which, replies, errs)
		var again []int
		for _, i := range which {
			if moved(errs[i]) {
				again = append(again, i)
			}
		}
		which, contradicted = again, t
	}
	return replies, errs
}

// getManyBy reads which of keys at the masters that t names.
func (r *Remote) getManyBy(ctx context.Context, t *table, keys []string, which []int, replies []Reply, errs []error) {
	if t.owner == nil && t.known() {
		t.masters[0].getMany(ctx, keys, which, replies, errs)
		return
	}
	groups := make(map[*master][]int)
	for _, i := range which {
		if m := t.master(keys[i]); m != nil {
			groups[m] = append(groups[m], i)
			continue
		}
		if errs[i] = Over(ctx); errs[i] == nil {
			errs[i] = ErrUnavailable
		}
		if t.known() {
			r.routes.stale() // nobody owns the slot, for now
		}
	}
	var wg sync.WaitGroup
	for m, at := range groups {
		wg.Go(func() { m.getMany(ctx, keys, at, replies, errs) })
	}
	wg.Wait()
}

// getMany reads the keys at the places at, a part at a time. Each part has a budget
// of its own; none is tried after one that the server did not answer.
func (m *master) getMany(ctx context.Context, keys []string, at []int, replies []Reply, errs []error) {
	defer func() {
		if slices.ContainsFunc(at, func(i int) bool { return strings.HasPrefix(answer(errs[i]), "MOVED ") }) {
			m.lose()
		}
	}()
	for rest := at; len(rest) > 0; {
		some := rest[:min(len(rest), m.usual.fits(mostMany))]
		err := m.use(ctx, m.budget.read, func(ctx context.Context, l *life) error {
			if err := m.recent(ctx, l); err != nil {
				return err
			}
			return m.getSome(ctx, l, keys, some, replies, errs)
		})
		if err != nil {
			if newsOf(ctx, err) == slow && m.usual.late(len(some), err) {
				m.beware.start() // it may be a value that is too long
			}
			for _, i := range rest {
				replies[i], errs[i] = Reply{}, err
			}
			return
		}
		rest = rest[len(some):]
	}
}

// getSome reads in one round trip. MGET costs half of what as many GETRANGE do, but
// has no bound for a value, and is not for several slots.
func (m *master) getSome(ctx context.Context, l *life, keys []string, at []int, replies []Reply, errs []error) error {
	if m.cfg.single && !m.beware.on() {
		err := m.mget(ctx, l, keys, at, replies)
		if err != errOdd && (!isAnswer(err) || newsOf(ctx, err) != answered) {
			return err
		}
		m.beware.start() // it may not be used, or is not known
	}
	cmds, all := getRanges(ctx, keys, at, m.cfg.Longest)
	if answered, err := l.rdb.send(ctx, l.rdb.Client, all); !answered {
		return err
	}
	for n, i := range at {
		replies[i], errs[i] = replyOf(l, cmds[n])
		if n := newsOf(ctx, errs[i]); n != answered {
			return errs[i]
		}
	}
	return nil
}

// mget takes what is not a string for nothing, as MGET does.
func (m *master) mget(ctx context.Context, l *life, keys []string, at []int, replies []Reply) error {
	args := make([]any, 1, len(at)+1)
	args[0] = "mget"
	for _, i := range at {
		args = append(args, keys[i])
	}
	cmd := redis.NewSliceCmd(ctx, args...)
	if err := l.rdb.Process(ctx, cmd); err != nil {
		return err
	}
	values, stamp := cmd.Val(), l.stamp()
	if len(values) != len(at) {
		return errOdd
	}
	var bytes int
	for n, i := range at {
		replies[i] = Reply{Stamp: stamp}
		text, _ := values[n].(string)
		if bytes += len(text); int64(len(text)) > m.cfg.Longest {
			text = text[:m.cfg.Longest]
			m.beware.start()
		}
		if text != "" {
			replies[i].Raw = bytesOf(text)
		}
	}
	m.usual.took(len(at), bytes)
	return nil
}

var errOdd = errors.New("tiercache: Redis answered MGET with another number of values")

// wary is what a master is for a while after it was seen that MGET is not for it.
// Safe for concurrent use.
type wary struct{ until atomic.Int64 } // clock.Now

func (w *wary) on() bool { return clock.Now() < w.until.Load() }
func (w *wary) start()   { w.until.Store(clock.Now() + int64(wariness)) }
