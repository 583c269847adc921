package flight

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/errs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

func TestOneRunServesAllWhoAskMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		var runs, leaders atomic.Int32
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				out, led, err := g.Do(bg, "k", nil, nil, func(ctx context.Context, out *int) {
					runs.Add(1)
					time.Sleep(time.Second)
					*out = 7
				})
				assert.NoError(t, err)
				assert.Equal(t, 7, *out)
				if led {
					leaders.Add(1)
				}
			})
		}
		wg.Wait()
		assert.EqualValues(t, 1, runs.Load())
		assert.EqualValues(t, 1, leaders.Load())
	})
}

func TestKeysDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	var g Group[string]
	out, led, err := g.Do(bg, "a", nil, nil, func(ctx context.Context, out *string) {
		inner, led, err := g.Do(ctx, "b", nil, nil, func(_ context.Context, out *string) { *out = "b" })
		assert.NoError(t, err)
		assert.True(t, led)
		*out = "a" + *inner
	})
	require.NoError(t, err)
	assert.True(t, led)
	assert.Equal(t, "ab", *out)
}

func TestAWaiterLeavesOnItsOwnContextAndTheRunGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		leaderCtx, cancel := context.WithCancel(bg)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, led, err := g.Do(leaderCtx, "k", nil, nil, func(ctx context.Context, out *int) {
				time.Sleep(time.Minute)
				assert.NoError(t, ctx.Err(), "somebody still waits")
				*out = 1
			})
			assert.True(t, led)
			assert.ErrorIs(t, err, context.Canceled)
		})
		synctest.Wait()
		wg.Go(func() {
			out, led, err := g.Do(bg, "k", nil, nil, nil)
			assert.NoError(t, err)
			assert.False(t, led)
			assert.Equal(t, 1, *out)
		})
		wg.Go(func() {
			short, cancel := context.WithTimeout(bg, time.Second)
			defer cancel()
			began := time.Now()
			_, _, err := g.Do(short, "k", nil, nil, nil)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, time.Second, time.Since(began))
		})
		synctest.Wait()
		cancel()
		wg.Wait()
	})
}

func TestTheLastWaiterToLeaveCancelsTheRunWhichNobodyJoinsThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		ctx, cancel := context.WithCancel(bg)
		ended := make(chan error, 1)
		go func() {
			_, _, _ = g.Do(ctx, "k", nil, nil, func(ctx context.Context, out *int) {
				<-ctx.Done()
				time.Sleep(time.Hour) // takes its time to notice
				ended <- ctx.Err()
			})
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		out, led, err := g.Do(bg, "k", nil, nil, func(_ context.Context, out *int) { *out = 2 })
		require.NoError(t, err)
		assert.True(t, led)
		assert.Equal(t, 2, *out)
		assert.ErrorIs(t, <-ended, context.Canceled)
		synctest.Wait()
	})
}

func TestTheRunHasTheValuesOfItsStarterAndNotHisDeadline(t *testing.T) {
	t.Parallel()
	type name struct{}
	var g Group[any]
	ctx, cancel := context.WithTimeout(context.WithValue(bg, name{}, "ann"), time.Hour)
	defer cancel()
	out, _, err := g.Do(ctx, "k", nil, nil, func(ctx context.Context, out *any) {
		*out = ctx.Value(name{})
		_, has := ctx.Deadline()
		assert.False(t, has)
	})
	require.NoError(t, err)
	assert.Equal(t, "ann", *out)
}

func TestAPanicAndAGoexitReachEveryWaiterAndTheNextCallRunsAgain(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		work  func(context.Context, *int)
		check func(t *testing.T, err error)
	}{
		"panic": {
			work: func(context.Context, *int) { panic(boom) },
			check: func(t *testing.T, err error) {
				var p *errs.Panic
				assert.ErrorAs(t, err, &p)
				assert.ErrorIs(t, err, boom)
				assert.Contains(t, string(p.Stack), "flight_test.go")
			},
		},
		"goexit": {
			work:  func(context.Context, *int) { runtime.Goexit() },
			check: func(t *testing.T, err error) { assert.Equal(t, errs.ErrGoexit, err) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var g Group[int]
				var wg sync.WaitGroup
				for range 10 {
					wg.Go(func() {
						_, _, err := g.Do(bg, "k", nil, nil, func(ctx context.Context, out *int) {
							time.Sleep(time.Second)
							c.work(ctx, out)
						})
						c.check(t, err)
					})
				}
				wg.Wait()
				out, led, err := g.Do(bg, "k", nil, nil, func(_ context.Context, out *int) { *out = 3 })
				require.NoError(t, err)
				assert.True(t, led)
				assert.Equal(t, 3, *out)
			})
		})
	}
}

func TestForgetEndsJoiningAndLeavesTheWaitersTheirRun(t *testing.T) {
	t.Parallel()
	forget := map[string]func(g *Group[int]){
		"by key":  func(g *Group[int]) { g.Forget("k") },
		"by func": func(g *Group[int]) { g.ForgetFunc(func(key string) bool { return key == "k" }) },
	}
	for name, f := range forget {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var g Group[int]
				old := make(chan int, 1)
				go func() {
					out, _, err := g.Do(bg, "k", nil, nil, func(_ context.Context, out *int) { time.Sleep(time.Second); *out = 1 })
					assert.NoError(t, err)
					old <- *out
				}()
				synctest.Wait()
				f(&g)
				out, led, err := g.Do(bg, "k", nil, nil, func(_ context.Context, out *int) { *out = 2 })
				require.NoError(t, err)
				assert.True(t, led)
				assert.Equal(t, 2, *out)
				assert.Equal(t, 1, <-old)
			})
		})
	}
}

func TestCloseCancelsWhatRunsWaitsForItAndRefusesTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		cause := make(chan error, 1)
		go func() {
			_, _, err := g.Do(bg, "k", nil, nil, func(ctx context.Context, _ *int) {
				<-ctx.Done()
				cause <- context.Cause(ctx)
				time.Sleep(time.Second)
			})
			assert.NoError(t, err)
		}()
		synctest.Wait()
		began := time.Now()
		g.Close()
		assert.Equal(t, time.Second, time.Since(began))
		assert.Equal(t, errs.ErrClosed, <-cause)
		_, _, err := g.Do(bg, "k", nil, nil, nil)
		assert.Equal(t, errs.ErrClosed, err)
		g.Close()
	})
}

func TestManyCallersManyForgetsNobodyIsLeftBehind(t *testing.T) {
	t.Parallel()
	var g Group[int64]
	var n atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 500 {
				ctx, cancel := bg, context.CancelFunc(func() {})
				if (i+j)%5 == 0 {
					ctx, cancel = context.WithTimeout(bg, time.Microsecond)
				}
				mine := n.Add(1)
				out, led, err := g.Do(ctx, "k", nil, nil, func(_ context.Context, out *int64) { *out = mine })
				if err == nil && led {
					assert.Equal(t, mine, *out)
				}
				cancel()
				if j%7 == 0 {
					g.Forget("k")
				}
			}
		})
	}
	wg.Wait()
	g.Close()
	assert.Empty(t, g.live)
	assert.Empty(t, g.running)
}

func TestGoReportsResultPanicAndGoexit(t *testing.T) {
	t.Parallel()
	run := func(fn func() (int, error)) (v int, err error) {
		done := make(chan struct{})
		Go(fn, func(x int, e error) { v, err = x, e; close(done) })
		<-done
		return v, err
	}
	v, err := run(func() (int, error) { return 5, nil })
	assert.NoError(t, err)
	assert.Equal(t, 5, v)
	_, err = run(func() (int, error) { panic(nil) })
	var p *errs.Panic
	assert.ErrorAs(t, err, &p)
	_, err = run(func() (int, error) { runtime.Goexit(); return 0, nil })
	assert.Equal(t, errs.ErrGoexit, err)
}
