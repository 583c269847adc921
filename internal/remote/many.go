package remote

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/clock"
)

const (
	mostMany = 100     // keys in one round trip
	muchMany = 1 << 20 // bytes that one round trip may well bring: 10 ms at 1 Gbit/s
	carefor  = time.Minute
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
	for rest := at; len(rest) > 0; {
		some := rest[:min(len(rest), m.manner.width())]
		var bytes int
		err := m.use(ctx, m.budget.read, func(ctx context.Context, l *life) (err error) {
			if err := m.recent(ctx, l); err != nil {
				return err
			}
			bytes, err = m.getSome(ctx, l, keys, some, replies, errs)
			return err
		})
		m.manner.took(len(some), bytes, err)
		if newsOf(ctx, err) != answered {
			for _, i := range rest {
				replies[i], errs[i] = Reply{}, err
			}
			return
		}
		rest = rest[len(some):]
	}
	for _, i := range at {
		if strings.HasPrefix(answer(errs[i]), "MOVED ") {
			m.lose()
			return
		}
	}
}

// getSome reads in one round trip. MGET costs half of what as many GETRANGE do, but
// has no bound for a value, and is not for several slots.
func (m *master) getSome(ctx context.Context, l *life, keys []string, at []int, replies []Reply, errs []error) (bytes int, err error) {
	if m.cfg.single && !m.manner.careful() {
		bytes, err = m.mget(ctx, l, keys, at, replies)
		if err == nil || answer(err) == "" || newsOf(ctx, err) != answered {
			return bytes, err
		}
		m.manner.takeCare() // it may not be used, or is not known
	}
	cmds := make([]*redis.StringCmd, len(at))
	_, err = l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for n, i := range at {
			cmds[n] = p.GetRange(ctx, keys[i], 0, m.cfg.Longest-1)
		}
		return nil
	})
	if newsOf(ctx, err) != answered {
		return 0, err
	}
	for n, i := range at {
		replies[i], errs[i] = replyOf(l, cmds[n])
		bytes += len(replies[i].Raw)
	}
	return bytes, nil
}

// mget takes what is not a string for nothing, as MGET does.
func (m *master) mget(ctx context.Context, l *life, keys []string, at []int, replies []Reply) (bytes int, err error) {
	args := make([]any, 1, len(at)+1)
	args[0] = "mget"
	for _, i := range at {
		args = append(args, keys[i])
	}
	cmd := redis.NewSliceCmd(ctx, args...)
	if err := l.rdb.Process(ctx, cmd); err != nil {
		return 0, err
	}
	values, stamp := cmd.Val(), l.stamp()
	if len(values) != len(at) {
		return 0, errOdd
	}
	for n, i := range at {
		replies[i] = Reply{Stamp: stamp}
		text, _ := values[n].(string)
		if bytes += len(text); int64(len(text)) > m.cfg.Longest {
			text = text[:m.cfg.Longest]
			m.manner.takeCare()
		}
		if text != "" {
			var raw redis.StringCmd
			raw.SetVal(text)
			replies[i].Raw, _ = raw.Bytes() // without a copy
		}
	}
	return bytes, nil
}

var errOdd = errors.New("tiercache: Redis answered MGET with another number of values")

// manner is how many keys are read at a time, and how. It follows from what the last
// reads brought: many large values in one round trip would take more than a budget.
// Safe for concurrent use.
type manner struct {
	least atomic.Int64 // keys fewer than mostMany that are read at a time
	until atomic.Int64 // clock.Now when a value that is too long is not expected any more
}

func (w *manner) width() int { return int(max(1, mostMany-w.least.Load())) }

// took tells of a read of n keys.
func (w *manner) took(n, bytes int, err error) {
	width := w.width()
	switch {
	case err != nil && isTimeout(err):
		width = n / 4
		w.takeCare() // it may be one that is too long
	case err != nil:
		return
	case bytes > muchMany:
		width = n * muchMany / bytes
	case n == width:
		width *= 2
	}
	if less := int64(mostMany - min(max(1, width), mostMany)); less != w.least.Load() {
		w.least.Store(less)
	}
}

func (w *manner) careful() bool { return clock.Now() < w.until.Load() }
func (w *manner) takeCare()     { w.until.Store(clock.Now() + int64(carefor)) }
