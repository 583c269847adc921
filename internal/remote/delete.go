package remote

import (
	"context"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/envelope"
)

const (
	batch    = 1000 // keys in one pipeline, and SCAN's COUNT
	rescans  = 3    // how often a scan starts again because slots or servers changed
	reserved = "~"  // keys under <prefix>~ are the library's own: no pattern matches them
)

// Unlink removes keys, each with a command of its own: a pipeline never crosses
// slots. It returns how many there were and the keys whose command failed.
func (r *Remote) Unlink(ctx context.Context, keys []string) (removed int64, failed []string, err error) {
	var contradicted *table
	for try := 0; len(keys) > 0; try++ {
		var homeless []string
		at := r.routes.current(ctx, r.cfg.Write, contradicted)
		groups := make(map[*master][]string)
		for _, k := range keys {
			if m := at.master(k); m != nil {
				groups[m] = append(groups[m], k)
			} else {
				failed, err = append(failed, k), ErrUnavailable
			}
		}
		var mu sync.Mutex // guards the results below
		var wg sync.WaitGroup
		for m, all := range groups {
			wg.Go(func() {
				for len(all) > 0 {
					some := all[:min(batch, len(all))]
					all = all[len(some):]
					cmds, perr := unlinkAt(ctx, m, some)
					mu.Lock()
					for i, c := range cmds {
						switch {
						case c.Err() == nil && perr == nil:
							removed += c.Val()
						case try == 0 && moved(c.Err()):
							homeless = append(homeless, some[i])
						default:
							failed = append(failed, some[i])
							if err = c.Err(); err == nil {
								err = perr
							}
						}
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		keys, contradicted = homeless, at
	}
	return removed, failed, err
}

// unlinkAt fails as a whole (perr) only if nothing was sent.
func unlinkAt(ctx context.Context, m *master, keys []string) (cmds []*redis.IntCmd, perr error) {
	cmds = make([]*redis.IntCmd, len(keys))
	for i := range cmds {
		cmds[i] = redis.NewIntCmd(ctx, "unlink", keys[i])
	}
	perr = m.do(ctx, m.budget.write, func(ctx context.Context, l *life) error {
		p := l.rdb.Pipeline()
		for _, c := range cmds {
			_ = p.Process(ctx, c)
		}
		_, err := p.Exec(ctx)
		return err
	})
	if perr != nil {
		for _, c := range cmds {
			if c.Err() != nil {
				return cmds, nil // each says for itself
			}
		}
	}
	return cmds, perr
}

// DeleteMatching removes the keys prefix+x for every x that the glob pattern
// matches; with an owner, only what that cache wrote. prefix has no glob
// characters. It scans every master, and again if slots or servers changed on
// the way. A lease that stood when the scan began is removed like a value, so a
// load that began before cannot fill afterwards.
func (r *Remote) DeleteMatching(ctx context.Context, prefix, pattern string, expire bool, progress func(int64)) (removed int64, err error) {
	owner := ""
	for try := 0; ; try++ {
		t, err := r.routes.undisputed(ctx, r.cfg.Write)
		if err != nil {
			return removed, err
		}
		// Before the first connection nobody has a stamp that could change.
		if err := parallel(t.masters, func(m *master) error { return m.met(ctx) }); err != nil {
			return removed, err
		}
		before := stamps(t)
		var mu sync.Mutex // guards removed
		err = parallel(t.masters, func(m *master) error {
			return m.sweep(ctx, prefix, pattern, owner, func(n int64) {
				mu.Lock()
				removed += n
				mu.Unlock()
			})
		})
		if moved(err) && r.plan.cluster != nil {
			r.routes.stale()
		} else if err != nil {
			return removed, err
		} else if r.routes.unchanged(ctx, t, r.cfg.Write) && before == stamps(t) {
			return removed, nil
		}
		if try == rescans {
			return removed, ErrUnavailable
		}
	}
}

func stamps(t *table) string {
	var b strings.Builder
	for _, m := range t.masters {
		s := m.stamp()
		b.Write(s[:])
	}
	return b.String()
}

func (m *master) sweep(ctx context.Context, prefix, pattern, owner string, removed func(int64)) error {
	var cursor uint64
	for {
		var keys []string
		err := m.do(ctx, m.budget.write, func(ctx context.Context, l *life) (err error) {
			keys, cursor, err = l.rdb.Scan(ctx, cursor, prefix+pattern, batch).Result()
			return err
		})
		if err != nil {
			return err
		}
		for len(keys) > 0 {
			some := keys[:min(batch, len(keys))]
			keys = keys[len(some):]
			n, err := m.remove(ctx, prefix, some, owner)
			removed(n)
			if err != nil {
				return err
			}
		}
		if cursor == 0 {
			return nil
		}
	}
}

func (m *master) remove(ctx context.Context, prefix string, keys []string, owner string) (n int64, err error) {
	err = m.do(ctx, m.budget.write, func(ctx context.Context, l *life) error {
		p := l.rdb.Pipeline()
		var cmds []interface{ Int64() (int64, error) }
		for _, k := range keys {
			switch {
			case strings.HasPrefix(k[len(prefix):], reserved):
			case owner == "":
				cmds = append(cmds, intCmd{p.Unlink(ctx, k)})
			}
		}
		if len(cmds) == 0 {
			return nil
		}
		_, err := p.Exec(ctx)
		for _, c := range cmds {
			if one, cerr := c.Int64(); cerr == nil {
				n += one
			}
		}
		return err
	})
	return n, err
}

// intCmd lets the replies of UNLINK and of scripts be read alike.
type intCmd struct{ *redis.IntCmd }

func (c intCmd) Int64() (int64, error) { return c.Result() }

func (r *Remote) Expire(ctx context.Context, keys []string, token func() envelope.Token) (int64, []string, error) {
	return r.Unlink(ctx, keys)
}
