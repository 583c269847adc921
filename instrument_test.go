package tiercache_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

type asked struct{}

// watch is a hook that notes the commands of those who are asked for.
type watch struct {
	mu       sync.Mutex
	commands []string
	panics   bool
}

func (w *watch) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (w *watch) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		w.mu.Lock()
		if ctx.Value(asked{}) != nil {
			w.commands = append(w.commands, cmd.Name())
		}
		panics := w.panics
		w.mu.Unlock()
		if panics {
			panic("a hook's fault")
		}
		return next(ctx, cmd)
	}
}

func (w *watch) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if w.panics {
			panic("a hook's fault")
		}
		return next(ctx, cmds)
	}
}

func TestAHookSeesTheCommandsOfARead(t *testing.T) {
	t.Parallel()
	w := new(watch)
	tiers := open(t, tiercache.Config{Redis: redistest.Start(t).Client(), Prefix: "t:", Instrument: func(c *redis.Client) { c.AddHook(w) }})
	cache := newCache(t, tiers, tiercache.Options[profile]{})
	_, err := cache.GetOrLoad(context.WithValue(bg, asked{}, true), "k", value(ann))
	require.NoError(t, err)
	w.mu.Lock()
	defer w.mu.Unlock()
	assert.Contains(t, w.commands, "getrange", "with the context of the caller")
	assert.Contains(t, w.commands, "evalsha", "the lease")
}

func TestAHookThatPanicsCostsTheCommandAndNothingElse(t *testing.T) {
	t.Parallel()
	w := &watch{panics: true}
	tiers := open(t, tiercache.Config{Redis: redistest.Start(t).Client(), Prefix: "t:", Instrument: func(c *redis.Client) { c.AddHook(w) }})
	cache := newCache(t, tiers, tiercache.Options[profile]{})
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			got, err := cache.GetOrLoad(bg, fmt.Sprint(i), value(ann))
			assert.NoError(t, err)
			assert.Equal(t, ann.ID, got.ID)
		})
	}
	all.Wait()
	_, err := cache.GetMany(bg, []string{"0", "no"})
	assert.NoError(t, err)
	_ = cache.Delete(bg, "0")
}

// waiting is a hook that waits for the end of the time that a command has.
type waiting struct{ watch }

func (w *waiting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if ctx.Value(asked{}) != nil {
			<-ctx.Done()
			return ctx.Err()
		}
		return next(ctx, cmd)
	}
}

func TestAHookThatWaitsForTheEndOfItsContextIsNotWaitedForLonger(t *testing.T) {
	t.Parallel()
	tiers := open(t, tiercache.Config{Redis: redistest.Start(t).Client(), Prefix: "t:", Instrument: func(c *redis.Client) { c.AddHook(new(waiting)) }})
	cache := newCache(t, tiers, tiercache.Options[profile]{})
	got, err := cache.GetOrLoad(context.WithValue(bg, asked{}, true), "k", value(ann))
	require.NoError(t, err)
	assert.Equal(t, ann.ID, got.ID)
}

func TestAnInstrumentThatPanicsIsLoggedAndRedisUsed(t *testing.T) {
	t.Parallel()
	tiers := open(t, tiercache.Config{Redis: redistest.Start(t).Client(), Prefix: "t:", Instrument: func(*redis.Client) { panic("mine") }})
	cache := newCache(t, tiers, tiercache.Options[profile]{})
	_, err := cache.GetOrLoad(bg, "k", value(ann))
	require.NoError(t, err)
	assert.True(t, tiers.Health().Connected)
}
