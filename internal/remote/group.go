package remote

import (
	"context"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/envelope"
)

// getAll reads the first bytes of keys, in one pipeline for each master. It fails as a whole.
func (r *Remote) getAll(ctx context.Context, keys []string, upto int64) ([]Reply, error) {
	t := r.routes.current(ctx, r.cfg.Read, nil)
	replies, err := r.getAt(ctx, t, keys, upto)
	if moved(err) {
		replies, err = r.getAt(ctx, r.routes.current(ctx, r.cfg.Read, t), keys, upto)
	}
	return replies, err
}

func (r *Remote) getAt(ctx context.Context, t *table, keys []string, upto int64) ([]Reply, error) {
	groups := make(map[*master][]int)
	for i, k := range keys {
		m := t.master(k)
		if m == nil {
			return nil, ErrUnavailable
		}
		groups[m] = append(groups[m], i)
	}
	replies := make([]Reply, len(keys))
	var mu sync.Mutex // guards first
	var first error
	var wg sync.WaitGroup
	for m, at := range groups {
		wg.Go(func() {
			err := m.use(ctx, m.budget.read, func(ctx context.Context, l *life) error {
				if err := m.recent(ctx, l); err != nil {
					return err
				}
				cmds, all := getRanges(ctx, keys, at, upto)
				if err := l.rdb.do(ctx, false, all...); newsOf(ctx, err) != answered {
					return err
				}
				var err error
				for n, i := range at {
					if replies[i], err = replyOf(l, cmds[n]); err != nil {
						return err
					}
				}
				return nil
			})
			if strings.HasPrefix(answer(err), "MOVED ") {
				m.lose()
			}
			if err != nil {
				mu.Lock()
				first = err
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return replies, first
}

func getRanges(ctx context.Context, keys []string, at []int, upto int64) (cmds []*redis.StringCmd, all []redis.Cmder) {
	for _, i := range at {
		cmd := redis.NewStringCmd(ctx, "getrange", keys[i], 0, upto-1)
		cmds, all = append(cmds, cmd), append(all, cmd)
	}
	return cmds, all
}

// Heads reads the heads of what stands under keys, in one round trip for each
// master. A key that is absent has an empty one.
func (r *Remote) Heads(ctx context.Context, keys []string) ([]Reply, error) {
	return r.getAll(ctx, keys, envelope.HeadLen)
}

// Touch makes keys recently used, as far as it can.
func (r *Remote) Touch(ctx context.Context, keys []string) {
	t := r.routes.current(ctx, r.cfg.Read, nil)
	groups := make(map[*master][]string)
	for _, k := range keys {
		if m := t.master(k); m != nil {
			groups[m] = append(groups[m], k)
		}
	}
	for m, some := range groups {
		for len(some) > 0 {
			part := some[:min(batch, len(some))]
			some = some[len(part):]
			_ = m.use(ctx, m.budget.write, func(ctx context.Context, l *life) error {
				_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
					for _, k := range part {
						p.Touch(ctx, k)
					}
					return nil
				})
				return err
			})
		}
	}
}
