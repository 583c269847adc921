package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestALoneCallerIsSentAtOnceByHimself(t *testing.T) {
	t.Parallel()
	r := openTo(t, bare(t, redistest.Start(t).Addr()))
	gt := gateAt(t, r.gathered())
	gt.open()
	for i := range 50 {
		_, err := r.Get(bg, "p:k")
		require.NoError(t, err)
		_, _, err = r.Acquire(bg, fmt.Sprint("p:", i), lease("a"), nil, time.Minute)
		require.NoError(t, err)
	}
	assert.GreaterOrEqual(t, gt.alone.Load(), int64(100))
	assert.Zero(t, gt.shared.Load())
	assert.Empty(t, r.gathered().free, "nobody has waited in the queue")
}

func TestNoMoreRoundTripsAreUnderWayThanThereMayBeConnections(t *testing.T) {
	t.Parallel()
	addr := redistest.Start(t).Addr()
	for _, tc := range []struct{ pool, active, trips int }{
		{pool: 1, trips: 1}, {pool: 6, trips: 3}, {pool: 100, trips: mostAtOnce},
		{pool: 100, active: 4, trips: 2}, {pool: 4, active: 100, trips: 2},
	} {
		o := failFast(redis.Options{Addr: addr, PoolSize: tc.pool, MaxActiveConns: tc.active}, time.Second, time.Second)
		g := newGather(redis.NewClient(o), budget{time.Second, time.Second}, new(usual), func(error) {})
		gt := gateAt(t, g)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { assert.NoError(t, g.read(bg, "getrange", "k", "0", "9").Err()) })
		}
		soon(t, "all have come", func() bool { flying, queued := g.waiting(); return flying+queued == 20 })
		flying, _ := g.waiting()
		assert.Equal(t, tc.trips, flying, tc)
		gt.open()
		wg.Wait()
		require.NoError(t, g.close())
	}
}

func TestThoseWhoComeWhileOthersAreUnderWayShareRoundTrips(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *Remote, c *redis.Client) {
		const n = 200
		for i := range n {
			require.NoError(t, c.Set(bg, fmt.Sprint("p:", i), i, 0).Err())
		}
		require.NoError(t, c.HSet(bg, "p:hash", "a", 1).Err())
		_, err := r.Renew(bg, "p:l", lease("a"), time.Minute) // so the script is known
		require.NoError(t, err)
		g := r.gathered()
		gt := gateAt(t, g)
		var wg sync.WaitGroup
		gt.full(t, &wg, g, r, "p:0")
		for i := range n {
			wg.Go(func() {
				reply, err := r.Get(bg, fmt.Sprint("p:", i))
				assert.NoError(t, err)
				assert.Equal(t, fmt.Sprint(i), string(reply.Raw))
			})
			wg.Go(func() {
				ok, err := r.Renew(bg, fmt.Sprint("p:", i), fmt.Append(nil, i), time.Minute)
				assert.NoError(t, err)
				assert.True(t, ok)
			})
		}
		wg.Go(func() {
			reply, err := r.Get(bg, "p:hash")
			assert.NoError(t, err, "the wrong type of one is nobody's error")
			assert.Equal(t, notAString, reply.Raw)
		})
		soon(t, "all wait", func() bool { _, queued := g.waiting(); return queued == 2*n+1 })
		assert.Zero(t, gt.shared.Load())
		gt.open()
		wg.Wait()
		assert.LessOrEqual(t, gt.shared.Load(), int64((2*n+1)/mostShared+1))
		soon(t, "none is under way", func() bool { flying, queued := g.waiting(); return flying == 0 && queued == 0 })
	})
}

func TestWhoLeavesBeforeHisCommandIsSentTakesItAlong(t *testing.T) {
	t.Parallel()
	c := bare(t, redistest.Start(t).Addr())
	r := openTo(t, c)
	g := r.gathered()
	gt := gateAt(t, g)
	var wg sync.WaitGroup
	gt.full(t, &wg, g, r, "p:k")
	ctx, cancel := context.WithCancel(bg)
	left := make(chan error)
	go func() { _, _, err := r.Acquire(ctx, "p:left", lease("a"), nil, time.Minute); left <- err }()
	wg.Go(func() {
		won, _, err := r.Acquire(bg, "p:stays", lease("a"), nil, time.Minute)
		assert.NoError(t, err)
		assert.True(t, won)
	})
	soon(t, "two wait", func() bool { _, queued := g.waiting(); return queued == 2 })
	cancel()
	assert.ErrorIs(t, <-left, context.Canceled)
	gt.open()
	wg.Wait()
	_, sent := gt.sent.Load("p:left")
	assert.False(t, sent)
	_, sent = gt.sent.Load("p:stays")
	assert.True(t, sent)
	assert.Zero(t, c.Exists(bg, "p:left").Val())
}

func TestWhoLeavesAfterHisCommandWasSentDoesNotWaitForItsAnswer(t *testing.T) {
	t.Parallel()
	r := openTo(t, bare(t, redistest.Start(t).Addr()))
	g := r.gathered()
	gt := gateAt(t, g)
	taken, answer := make(chan struct{}), make(chan struct{})
	gt.instead = func(int) error { close(taken); <-answer; return nil }
	var wg sync.WaitGroup
	gt.full(t, &wg, g, r, "p:k")
	ctx, cancel := context.WithCancel(bg)
	left := make(chan error)
	go func() { _, err := r.Get(ctx, "p:left"); left <- err }()
	wg.Go(func() { _, err := r.Get(bg, "p:stays"); assert.NoError(t, err) })
	soon(t, "two wait", func() bool { _, queued := g.waiting(); return queued == 2 })
	gt.open()
	<-taken
	cancel()
	assert.ErrorIs(t, <-left, context.Canceled)
	close(answer)
	wg.Wait()
}

func TestARoundTripThatFailsIsNewsOnceHoweverManyShareIt(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{
		"late": context.DeadlineExceeded, "broken": errors.New("reset"), "refused by the handshake": refusal,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := openTo(t, bare(t, redistest.Start(t).Addr()))
			g := r.gathered()
			var told atomic.Int64
			tell := g.failed
			g.failed = func(err error) { told.Add(1); tell(err) }
			gt := gateAt(t, g)
			gt.instead = func(int) error { return cause }
			var wg sync.WaitGroup
			gt.full(t, &wg, g, r, "p:k")
			for range 100 {
				wg.Go(func() { _, err := r.Get(bg, "p:l"); assert.ErrorIs(t, err, cause) })
			}
			soon(t, "all wait", func() bool { _, queued := g.waiting(); return queued == 100 })
			gt.open()
			wg.Wait()
			assert.EqualValues(t, 1, told.Load())
			_, ms := r.Health()
			assert.Zero(t, ms[0].Opens)
		})
	}
}

func TestWhatEndsTheSenderIsAnErrorOfThoseItSentFor(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(){"panic": func() { panic("boom") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := openTo(t, bare(t, redistest.Start(t).Addr()))
			g := r.gathered()
			gt := gateAt(t, g)
			var once sync.Once
			gt.instead = func(int) error { once.Do(end); return nil }
			var wg sync.WaitGroup
			gt.full(t, &wg, g, r, "p:k")
			var failed atomic.Int64
			for range mostShared + 1 { // the last one goes in another round trip
				wg.Go(func() {
					if _, err := r.Get(bg, "p:l"); err != nil {
						failed.Add(1)
					}
				})
			}
			soon(t, "all wait", func() bool { _, queued := g.waiting(); return queued == mostShared+1 })
			gt.open()
			wg.Wait()
			assert.Contains(t, []int64{1, mostShared}, failed.Load())
			soon(t, "its place is free", func() bool { flying, _ := g.waiting(); return flying == 0 })
		})
	}
}

func TestAtAFrozenServerEveryCallerHasHisOwnDeadline(t *testing.T) {
	t.Parallel()
	const budget = 4 * time.Second
	s := redistest.Start(t)
	r, err := Open(complete(Config{Client: bare(t, s.Addr()), Read: budget, Write: budget, Logger: slog.New(slog.DiscardHandler)}))
	require.NoError(t, err)
	defer func() { _ = r.Close() }()
	soon(t, "connected", func() bool { _, err := r.Get(bg, "p:k"); return err == nil })
	s.Pause()
	var wg sync.WaitGroup
	for i := range 1_000 {
		wg.Go(func() {
			ctx, limit := bg, budget
			if i%2 == 0 {
				limit = time.Duration(1+i/2) * time.Millisecond
				c, cancel := context.WithTimeout(bg, limit)
				defer cancel()
				ctx = c
			}
			began := time.Now()
			_, err := r.Get(ctx, fmt.Sprint("p:", i))
			took := time.Since(began)
			assert.Error(t, err)
			assert.Less(t, took, limit+budget*3/4, "nobody waits for two")
			if limit < budget {
				assert.NotErrorIs(t, err, ErrUnavailable)
			}
		})
	}
	wg.Wait()
	s.Resume()
}

func TestASlotThatMovedIsTheConcernOfItsKeyAlone(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	c := cluster.Client()
	r := openTo(t, c)
	var keys []string // of one master
	for i := 0; len(keys) < 40; i++ {
		if k := fmt.Sprint("p:", i); slotOf(k) < slots/3-1 {
			keys = append(keys, k)
			require.NoError(t, c.Set(bg, k, k, 0).Err())
		}
	}
	_, err := r.Get(bg, keys[0])
	require.NoError(t, err)
	g := r.routes.table.Load().master(keys[0]).life.Load().rdb
	gt := gateAt(t, g)
	cluster.MoveSlot(slotOf(keys[7]), 0, 1)
	var wg sync.WaitGroup
	gt.full(t, &wg, g, r, keys[0])
	for _, k := range keys {
		wg.Go(func() {
			reply, err := r.Get(bg, k)
			assert.NoError(t, err)
			assert.Equal(t, k, string(reply.Raw))
		})
	}
	soon(t, "all wait", func() bool { _, queued := g.waiting(); return queued == len(keys) })
	gt.open()
	wg.Wait()
	assert.EqualValues(t, 1, gt.shared.Load())
}

func TestLargeValuesDoNotGoTogether(t *testing.T) {
	t.Parallel()
	c := bare(t, redistest.Start(t).Addr())
	r := openTo(t, c)
	g := r.gathered()
	large := strings.Repeat("x", 1<<20)
	require.NoError(t, c.Set(bg, "p:k", large, 0).Err())
	_, err := r.Get(bg, "p:k")
	require.NoError(t, err)
	gt := gateAt(t, g)
	var largest atomic.Int64
	gt.instead = func(n int) error { largest.Store(max(largest.Load(), int64(n))); return nil }
	var wg sync.WaitGroup
	gt.full(t, &wg, g, r, "p:k")
	for range 10 {
		wg.Go(func() { _, err := r.Get(bg, "p:k"); assert.NoError(t, err) })
		wg.Go(func() {
			_, err := r.Fill(bg, "p:l", lease("a"), []byte(large), time.Minute)
			assert.NoError(t, err)
		})
	}
	soon(t, "all wait", func() bool { _, queued := g.waiting(); return queued == 20 })
	gt.open()
	wg.Wait()
	assert.Zero(t, gt.shared.Load(), "each alone")
}

func TestCallersThatComeAndGoGetTheirOwnAnswersOrNone(t *testing.T) {
	t.Parallel()
	c := bare(t, redistest.Start(t).Addr())
	r := openTo(t, c)
	const keys = 50
	for i := range keys {
		require.NoError(t, c.Set(bg, fmt.Sprint("p:", i), i, 0).Err())
	}
	seed := rand.Uint64()
	t.Log("seed", seed)
	var wg sync.WaitGroup
	for n := range 64 {
		wg.Go(func() {
			dice := rand.New(rand.NewPCG(seed, uint64(n)))
			for range 200 {
				ctx, cancel := context.WithTimeout(bg, time.Duration(dice.IntN(2_000))*time.Microsecond)
				i := dice.IntN(keys)
				switch reply, err := r.Get(ctx, fmt.Sprint("p:", i)); {
				case err == nil:
					assert.Equal(t, fmt.Sprint(i), string(reply.Raw))
				default:
					assert.Error(t, Over(ctx), "%v", err)
				}
				_, _ = r.Renew(ctx, fmt.Sprint("p:", i), fmt.Append(nil, i), time.Minute)
				cancel()
			}
		})
	}
	wg.Wait()
	soon(t, "none is under way", func() bool { flying, queued := r.gathered().waiting(); return flying == 0 && queued == 0 })
	_, ms := r.Health()
	assert.Zero(t, ms[0].Opens, "who gives up says nothing of the server")
}

func TestCloseEndsWhatIsQueued(t *testing.T) {
	t.Parallel()
	r := openTo(t, bare(t, redistest.Start(t).Addr()))
	var wg sync.WaitGroup
	begun := make(chan struct{}, 64)
	for range 64 {
		wg.Go(func() {
			for i := 0; ; i++ {
				_, err := r.Get(bg, "p:k")
				if i == 10 {
					begun <- struct{}{}
				}
				if err != nil {
					return
				}
			}
		})
	}
	for range 64 {
		<-begun
	}
	g := r.gathered()
	require.NoError(t, r.Close())
	wg.Wait()
	flying, queued := g.waiting()
	assert.Zero(t, flying)
	assert.Zero(t, queued)
}
