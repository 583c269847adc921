package remote

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/auth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/redistest"
)

func (g *gather) laned() (free, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.lanes.free), g.lanes.n
}

// gatherAt is one of its own, with so many connections at the most.
func gatherAt(t *testing.T, addr string, pool int) *gather {
	o := failFast(redis.Options{Addr: addr, PoolSize: pool}, time.Second, time.Second)
	g := newGather(redis.NewClient(o), budget{time.Second, time.Second}, new(usual), func(error) {})
	t.Cleanup(func() { _ = g.close() })
	return g
}

func lone(g *gather) error { return g.do(bg, false, redis.NewStringCmd(bg, "getrange", "k", "0", "9")) }

func TestLoneCommandsTakeTurnsOnOneConnection(t *testing.T) {
	t.Parallel()
	g := gatherAt(t, redistest.Start(t).Addr(), 20)
	for range 100 {
		require.NoError(t, lone(g))
	}
	s := g.PoolStats()
	assert.EqualValues(t, 1, s.TotalConns)
	assert.Less(t, s.Hits+s.Misses, uint32(50), "the pool is asked once in a while")
}

func TestThePoolHasItsConnectionsBackAfterAWhile(t *testing.T) {
	t.Parallel()
	g := gatherAt(t, redistest.Start(t).Addr(), 20)
	for range 3 {
		require.NoError(t, lone(g))
		soon(t, "it has", func() bool {
			free, n := g.laned()
			return free == 0 && n == 0 && g.PoolStats().IdleConns == 1
		})
	}
	assert.EqualValues(t, 1, g.PoolStats().TotalConns)
}

func TestAConnectionThatIsInUseGoesBackAfterwards(t *testing.T) {
	t.Parallel()
	g := gatherAt(t, redistest.Start(t).Addr(), 20)
	gt := gateAt(t, g)
	var wg sync.WaitGroup
	wg.Go(func() { assert.NoError(t, lone(g)) })
	soon(t, "it is under way", func() bool { flying, _ := g.waiting(); return flying == 1 })
	g.endLanes()
	gt.open()
	wg.Wait()
	free, n := g.laned()
	assert.Zero(t, free)
	assert.Zero(t, n)
	assert.EqualValues(t, 1, g.PoolStats().IdleConns)
}

func TestWhoHasGivenUpSendsNothing(t *testing.T) {
	t.Parallel()
	g := gatherAt(t, redistest.Start(t).Addr(), 20)
	require.NoError(t, lone(g))
	cancelled, cancel := context.WithCancel(bg)
	cancel()
	late, cancel := context.WithDeadline(bg, time.Now().Add(-time.Second))
	defer cancel()
	for want, ctx := range map[error]context.Context{context.Canceled: cancelled, context.DeadlineExceeded: late} {
		l := limit(ctx, time.Second)
		defer l.end()
		for _, ctx := range []context.Context{ctx, l} {
			assert.ErrorIs(t, g.do(ctx, false, redis.NewStringCmd(ctx, "getrange", "k", "0", "9")), want)
		}
	}
	free, n := g.laned()
	assert.Equal(t, 1, free)
	assert.Equal(t, 1, n)
	assert.EqualValues(t, 1, g.PoolStats().TotalConns)
}

func TestWritesAreThePoolsOwn(t *testing.T) {
	t.Parallel()
	g := gatherAt(t, redistest.Start(t).Addr(), 20)
	require.NoError(t, g.do(bg, true, redis.NewStatusCmd(bg, "set", "k", "v")))
	_, n := g.laned()
	assert.Zero(t, n)
}

func TestTheOthersHaveAQuarterOfThePoolWhateverIsUnderWay(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr()
	for pool, lanes := range map[int]int{1: 0, 3: 0, 4: 1, 8: 2, 100: mostAtOnce} {
		g := gatherAt(t, addr, pool)
		gt := gateAt(t, g)
		var wg sync.WaitGroup
		for range g.most {
			wg.Go(func() { assert.NoError(t, lone(g)) })
		}
		soon(t, "all are under way", func() bool { flying, _ := g.waiting(); return flying == g.most })
		_, n := g.laned()
		assert.Equal(t, lanes, n, pool)
		gt.open()
		wg.Wait()
		free, _ := g.laned()
		assert.LessOrEqual(t, free, lanes)
	}
}

func TestAConnectionThatFailsIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	g := gatherAt(t, redistest.Start(t).Addr(), 20)
	slow := func(ctx context.Context) error { // one that is given up
		ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		return g.do(ctx, false, redis.NewCmd(ctx, "eval", "local t = 0; for i = 1, 1e7 do t = t + i end; return 'late'", 0))
	}
	for name, fails := range map[string]func() error{
		"an answer that go-redis gives a connection up for": func() error {
			return g.do(bg, false, redis.NewCmd(bg, "eval", "return redis.error_reply('READONLY You cannot write')", 0))
		},
		"any other answer": func() error { return g.do(bg, false, redis.NewCmd(bg, "nonesuch")) },
		"none":             func() error { return slow(bg) },
	} {
		require.NoError(t, lone(g))
		require.Error(t, fails(), name)
		for range 20 {
			got := redis.NewStatusCmd(bg, "ping")
			require.NoError(t, g.do(bg, false, got), name)
			assert.Equal(t, "PONG", got.Val(), name)
		}
	}
}

func TestAConnectionThatTheServerHasClosedWhileItWasIdleIsNotUsed(t *testing.T) {
	t.Parallel()
	c := bare(t, redistest.Start(t).Addr())
	r := openTo(t, c)
	for range 5 {
		_, err := r.Get(bg, "k")
		require.NoError(t, err)
		soon(t, "the pool has it", func() bool { _, n := r.gathered().laned(); return n == 0 })
		require.Positive(t, c.ClientKillByFilter(bg, "TYPE", "normal", "SKIPME", "yes").Val())
		_, err = r.Get(bg, "k")
		require.NoError(t, err)
	}
}

func TestConnectionsThatAreAllClosedAtOnceDoNotOpenTheCircuit(t *testing.T) {
	t.Parallel()
	c := bare(t, redistest.Start(t).Addr())
	r := openTo(t, c)
	for range 6 {
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() { _, err := r.Get(bg, "k"); assert.NoError(t, err) })
		}
		wg.Wait()
	}
	require.Greater(t, c.ClientKillByFilter(bg, "TYPE", "normal", "SKIPME", "yes").Val(), int64(failLimit))
	failed := 0
	for range 2 * mostAtOnce {
		if _, err := r.Get(bg, "k"); err != nil {
			failed++
		}
	}
	assert.LessOrEqual(t, failed, 1)
	assert.Zero(t, r.routes.only.circuit.opens.Load())
}

func TestAGoroutineThatEndsWithItsCommandLeavesNoLane(t *testing.T) {
	t.Parallel()
	g := gatherAt(t, redistest.Start(t).Addr(), 20)
	var panics atomic.Bool
	g.AddHook(hook(func(next redis.ProcessHook) redis.ProcessHook {
		return func(ctx context.Context, cmd redis.Cmder) error {
			if panics.Load() {
				panic("hook")
			}
			return next(ctx, cmd)
		}
	}))
	require.NoError(t, lone(g))
	panics.Store(true)
	assert.Panics(t, func() { _ = lone(g) })
	panics.Store(false)
	free, n := g.laned()
	assert.Zero(t, free)
	assert.Zero(t, n)
	flying, _ := g.waiting()
	assert.Zero(t, flying)
	require.NoError(t, lone(g))
}

type credentials struct{}

func (credentials) Subscribe(auth.CredentialsListener) (auth.Credentials, auth.UnsubscribeFunc, error) {
	return auth.NewBasicCredentials("", ""), func() error { return nil }, nil
}

func TestThereAreNoLanesForWhatAConnectionOfItsOwnCannotDo(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr()
	o := failFast(redis.Options{Addr: addr, StreamingCredentialsProvider: credentials{}}, time.Second, time.Second)
	streaming := newGather(redis.NewClient(o), budget{time.Second, time.Second}, new(usual), func(error) {})
	defer streaming.close()
	hooked := gatherAt(t, addr, 20)
	hooked.hooked = true
	for _, g := range []*gather{streaming, hooked} {
		require.NoError(t, lone(g))
		_, n := g.laned()
		assert.Zero(t, n)
	}
}

// The gather is closed | a read: a lane, ends | the client is closed | a read: that lane.
func TestAReadAfterTheEndIsToldThatItIsOne(t *testing.T) {
	t.Parallel()
	g := gatherAt(t, redistest.Start(t).Addr(), 20)
	require.NoError(t, lone(g))
	g.mu.Lock()
	g.closed = true
	ended := g.lanes.end()
	g.mu.Unlock()
	closeAll(ended)
	require.NoError(t, lone(g))
	require.NoError(t, g.Client.Close())
	err := lone(g)
	assert.ErrorIs(t, err, redis.ErrClosed)
	assert.Equal(t, none, newsOf(bg, err))
}

func TestNoLaneOutlivesItsGather(t *testing.T) {
	t.Parallel()
	g := gatherAt(t, redistest.Start(t).Addr(), 20)
	gt := gateAt(t, g)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { _ = lone(g) })
	}
	soon(t, "all are under way", func() bool { flying, _ := g.waiting(); return flying == 4 })
	require.NoError(t, g.close())
	gt.open()
	wg.Wait()
	assert.Zero(t, g.PoolStats().TotalConns)
	assert.ErrorIs(t, lone(g), redis.ErrClosed)
	free, n := g.laned()
	assert.Zero(t, free)
	assert.Zero(t, n)
}

type hook func(redis.ProcessHook) redis.ProcessHook

func (h hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return h(next) }
func (hook) DialHook(next redis.DialHook) redis.DialHook            { return next }
func (hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
