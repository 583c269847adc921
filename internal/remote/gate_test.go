package remote

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
)

// gate is a hook that stops round trips before they are made, and counts them. Those
// of a handshake pass.
type gate struct {
	passing chan struct{} // closed: everything passes
	alone   atomic.Int64  // commands that were sent alone
	shared  atomic.Int64  // pipelines
	sent    sync.Map      // name and key of each command
	instead func(n int) error
}

func gateAt(t *testing.T, g *gather) *gate {
	gt := &gate{passing: make(chan struct{})}
	g.AddHook(gt)
	g.endLanes() // those that there are have the hooks of then
	t.Cleanup(gt.open)
	return gt
}

func (g *gate) open() {
	select {
	case <-g.passing:
	default:
		close(g.passing)
	}
}

func (g *gate) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !g.note(cmd) {
			return next(ctx, cmd)
		}
		g.alone.Add(1)
		select {
		case <-g.passing:
			return next(ctx, cmd)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if !g.note(cmd) {
				return next(ctx, cmds)
			}
		}
		g.shared.Add(1)
		if g.instead != nil {
			if err := g.instead(len(cmds)); err == refusal {
				return err // as go-redis does, when a handshake is refused
			} else if err != nil {
				for _, cmd := range cmds {
					cmd.SetErr(err)
				}
				return err
			}
		}
		return next(ctx, cmds)
	}
}

func (g *gate) note(cmd redis.Cmder) bool {
	switch cmd.Name() {
	case "getrange":
		g.sent.Store(fmt.Sprint(cmd.Args()[1]), true)
	case "evalsha", "eval":
		g.sent.Store(fmt.Sprint(cmd.Args()[3]), true)
	default:
		return false
	}
	return true
}

type answerOf string

func (a answerOf) Error() string { return string(a) }
func (answerOf) RedisError()     {}

const refusal = answerOf("ERR max number of clients reached")

func (g *gather) waiting() (flying, queued int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.queue {
		if !r.left {
			queued++
		}
	}
	return g.flying, queued
}

func (r *Remote) gathered() *gather { return r.routes.table.Load().masters[0].life.Load().rdb }

// full makes as many round trips at g as there may be, which wait at the gate. It
// returns when all are under way; they have ended when wg is done.
func (gt *gate) full(t *testing.T, wg *sync.WaitGroup, g *gather, r *Remote, key string) {
	t.Helper()
	for range g.most {
		wg.Go(func() { _, err := r.Get(bg, key); assert.NoError(t, err) })
	}
	soon(t, "as many as may be", func() bool { flying, _ := g.waiting(); return flying == g.most && gt.alone.Load() == int64(g.most) })
}
