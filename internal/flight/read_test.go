package flight

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/errs"
)

func TestOneReadServesAllWhoAskMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g Reads[int]
		var runs atomic.Int32
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				out, _, err := g.Do(bg, "k", func(_ context.Context, out *int) error {
					runs.Add(1)
					time.Sleep(time.Second)
					*out = 7
					return nil
				})
				assert.NoError(t, err)
				assert.Equal(t, 7, *out)
			})
		}
		wg.Wait()
		assert.EqualValues(t, 1, runs.Load())
	})
}

func TestWhenTheReadersOwnContextEndsTheOthersReadForThemselves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g Reads[int]
		read := func(ctx context.Context, out *int) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
				*out = 1
				return nil
			}
		}
		ctx, cancel := context.WithCancel(bg)
		go func() {
			_, led, err := g.Do(ctx, "k", read)
			assert.True(t, led)
			assert.ErrorIs(t, err, context.Canceled)
		}()
		synctest.Wait()
		for range 10 {
			go func() {
				out, _, err := g.Do(bg, "k", read)
				assert.NoError(t, err)
				assert.Equal(t, 1, *out)
			}()
		}
		synctest.Wait()
		cancel()
		time.Sleep(time.Minute)
	})
}

func TestAJoinerOfAReadLeavesOnItsOwnContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g Reads[int]
		go func() {
			_, _, _ = g.Do(bg, "k", func(context.Context, *int) error { time.Sleep(time.Hour); return nil })
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		_, led, err := g.Do(ctx, "k", nil)
		assert.False(t, led)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		time.Sleep(2 * time.Hour)
	})
}

func TestAPanickingReadIsAnErrorForAllAndAGoexitForNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g Reads[int]
		for range 5 {
			go func() {
				_, _, err := g.Do(bg, "panic", func(context.Context, *int) error { time.Sleep(time.Second); panic("boom") })
				var p *errs.Panic
				assert.ErrorAs(t, err, &p)
			}()
		}
		synctest.Wait()
		time.Sleep(2 * time.Second)

		go func() {
			_, _, _ = g.Do(bg, "exit", func(context.Context, *int) error { time.Sleep(time.Second); runtime.Goexit(); return nil })
			t.Error("Goexit did not end the goroutine")
		}()
		synctest.Wait()
		out, _, err := g.Do(bg, "exit", func(_ context.Context, out *int) error { *out = 2; return nil })
		require.NoError(t, err)
		assert.Equal(t, 2, *out)
	})
}

func TestAForgottenReadIsNotJoined(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g Reads[int]
		for name, forget := range map[string]func(){
			"by key":  func() { g.Forget("k") },
			"by func": func() { g.ForgetFunc(func(key string) bool { return key == "k" }) },
		} {
			go func() {
				_, _, _ = g.Do(bg, "k", func(context.Context, *int) error { time.Sleep(time.Hour); return nil })
			}()
			synctest.Wait()
			forget()
			_, led, err := g.Do(bg, "k", func(context.Context, *int) error { return nil })
			assert.NoError(t, err, name)
			assert.True(t, led, name)
		}
		time.Sleep(2 * time.Hour)
		assert.Nil(t, g.live)
	})
}

func TestAnOutcomeKeepsNoOtherAlive(t *testing.T) {
	t.Parallel()
	var g Reads[[]byte]
	old, end, ended := make(chan weak.Pointer[byte]), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_, _, _ = g.Do(bg, "old", func(_ context.Context, out *[]byte) error {
			*out = make([]byte, 1<<20)
			old <- weak.Make(&(*out)[0])
			<-end
			return nil
		})
	}()
	was := <-old
	out, _, err := g.Do(bg, "new", func(context.Context, *[]byte) error { return nil })
	require.NoError(t, err)
	close(end)
	<-ended
	require.Eventually(t, func() bool { runtime.GC(); return was.Value() == nil }, 10*time.Second, time.Millisecond)
	runtime.KeepAlive(out)
}
