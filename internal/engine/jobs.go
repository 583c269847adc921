package engine

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tiercache/tiercache/internal/errs"
	"github.com/tiercache/tiercache/internal/remote"
	"github.com/tiercache/tiercache/internal/warm"
)

// Jobs fill a cache by loads as any others, see package warm.

// errLost has a key tried again: a job is to store what it loads.
var errLost = errors.New("tiercache: the value was loaded and not stored: its key was invalidated meanwhile, or Redis did not take it")

// WarmOne loads key, whatever there is. What does not exist has not failed.
func (c *Cache) WarmOne(ctx context.Context, key string, load Loader, call Call) error {
	call.Load, call.warm = true, true
	if _, err := c.Load(ctx, key, load, call); err != nil && !c.isAbsent(err) {
		return err
	}
	return nil
}

// WarmMany is WarmOne for keys, each of which is there once. It says of each that
// failed why.
func (c *Cache) WarmMany(ctx context.Context, keys []string, load ManyLoader, call Call) errs.Keys {
	call.Load, call.warm = true, true
	err := c.CheckMany(ctx, call)
	if err == nil {
		err = c.LoadMany(ctx, keys, load, call, func(string, any) bool { return true })
	}
	if err == nil {
		return nil
	}
	failed, ok := err.(errs.Keys)
	if !ok {
		failed = make(errs.Keys, len(keys))
		for _, k := range keys {
			failed[k] = err
		}
	}
	return failed
}

// CheckWarm refuses a call for every key of a job that cannot be.
func (c *Cache) CheckWarm(call Call) error { return c.CheckMany(context.Background(), call) }

// CheckKey refuses a key that cannot be.
func (c *Cache) CheckKey(key string) error { return c.checkKey(key) }

// Reads are the operations so far, but for those of jobs.
func (c *Cache) Reads() int64 {
	n := c.counts.hits.Count() + c.counts.redisHits.Load()
	for i := range c.counts.misses {
		n += c.counts.misses[i].Load()
	}
	return n
}

// Of tells whether the cache is one of e.
func (c *Cache) Of(e *Engine) bool { return c.eng == e }

// Log is where the engine writes.
func (e *Engine) Log() *slog.Logger { return e.log }

// AtClose calls f when the engine closes, unless it is stopped before.
func (e *Engine) AtClose(f func()) (stop func() bool) { return context.AfterFunc(e.ctx, f) }

// WarmTurn is whose it is to run a job that fills c, nil if every process has to: what
// another loads is of no use to it.
func (c *Cache) WarmTurn(job string) warm.Turn {
	if c.eng.remote == nil || c.spec.MemoryOnly {
		return nil
	}
	return warmTurn{c.eng.remote, c.eng.prefix + "~warm:" + job}
}

// warmTurn is the turn of a key that no value has.
type warmTurn struct {
	remote *remote.Remote
	rkey   string
}

func (t warmTurn) Take(ctx context.Context) (mine bool, rest time.Duration, err error) {
	turn, rest, err := t.remote.TakeTurn(ctx, t.rkey, warm.Life)
	if turn == remote.Resting {
		rest = max(rest, time.Millisecond)
	}
	return err == nil && turn == remote.Mine, rest, err
}

func (t warmTurn) Keep(ctx context.Context) error { return t.remote.KeepTurn(ctx, t.rkey, warm.Life) }

func (t warmTurn) End(ctx context.Context, rest time.Duration) error {
	return t.remote.EndTurn(ctx, t.rkey, rest)
}
