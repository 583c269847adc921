package batch

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"strconv"
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

// lengths is a loader that gives each key its length, and notes the calls of it.
type lengths struct {
	mu    sync.Mutex // guards calls
	calls [][]string
}

func (l *lengths) load(_ context.Context, keys []string) (map[string]int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, slices.Sorted(slices.Values(keys)))
	out := make(map[string]int)
	for _, k := range keys {
		out[k] = len(k)
	}
	return out, nil
}

// loaded is what the loads of parts gave.
func loaded[V any](parts []Part[V]) (values []V, failures []error) {
	values, failures = make([]V, len(parts)), make([]error, len(parts))
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() { values[i], failures[i] = parts[i].Load(bg) })
	}
	wg.Wait()
	return values, failures
}

func TestABatchIsOneCallForThoseThatDidNotLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lengths
		parts := New(bg, []string{"a", "bb", "ccc", "dddd"}, l.load, nil)
		parts[2].Leave()
		parts[2].Leave()
		go func() {
			time.Sleep(time.Second) // the others have come by then
			assert.Empty(t, l.calls, "one has neither come nor gone")
			parts[3].Leave()
		}()
		values, failures := loaded(parts[:2])
		assert.Equal(t, []int{1, 2}, values)
		assert.Equal(t, []error{nil, nil}, failures)
		parts[0].Leave()
		assert.Equal(t, [][]string{{"a", "bb"}}, l.calls)
	})
}

func TestWhoHasLeftIsLoadedAlone(t *testing.T) {
	t.Parallel()
	var l lengths
	parts := New(bg, []string{"a", "bb"}, l.load, nil)
	parts[0].Leave()
	v, err := parts[1].Load(bg)
	require.NoError(t, err)
	assert.Equal(t, 2, v)
	for range 2 {
		v, err = parts[0].Load(bg)
		require.NoError(t, err)
		assert.Equal(t, 1, v)
	}
	assert.Equal(t, [][]string{{"bb"}, {"a"}, {"a"}}, l.calls)
}

func TestABatchThatAllLeaveIsNotLoaded(t *testing.T) {
	t.Parallel()
	var l lengths
	parts := New(bg, []string{"a", "bb"}, l.load, nil)
	parts[0].Leave()
	parts[1].Leave()
	(*Part[int])(nil).Leave()
	assert.Empty(t, l.calls)
}

// A of {1, 2}: leads 1, waits for B's 2 | B of {2, 1}: leads 2, waits for A's 1
func TestTwoBatchesThatWaitForEachOtherDoNotIfTheyLeaveFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lengths
		a, b := New(bg, []string{"1", "2"}, l.load, nil), New(bg, []string{"2", "1"}, l.load, nil)
		var ended [2]chan struct{}
		for i, parts := range [][]Part[int]{a, b} {
			ended[i] = make(chan struct{})
			go func() {
				_, err := parts[0].Load(bg)
				assert.NoError(t, err)
				close(ended[i])
			}()
		}
		var wg sync.WaitGroup
		for i, parts := range [][]Part[int]{a, b} {
			wg.Go(func() {
				parts[1].Leave()
				<-ended[1-i]
			})
		}
		wg.Wait()
		assert.ElementsMatch(t, [][]string{{"1"}, {"2"}}, l.calls)
	})
}

type contextKey struct{}

func TestTheLoadersContextEndsWhenAllHaveLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base, cancel := context.WithTimeout(context.WithValue(bg, contextKey{}, "trace"), time.Millisecond)
		defer cancel()
		var running atomic.Int64
		ended := make(chan time.Duration, 1)
		began := time.Now()
		parts := New(base, []string{"a", "b", "c"}, func(ctx context.Context, keys []string) (map[string]int, error) {
			assert.EqualValues(t, 1, running.Load())
			assert.Equal(t, "trace", ctx.Value(contextKey{}))
			assert.Equal(t, []string{"a", "b"}, keys, "c left before")
			<-ctx.Done()
			ended <- time.Since(began)
			return nil, ctx.Err()
		}, func(delta int) { running.Add(int64(delta)) })
		for i, d := range []time.Duration{3 * time.Second, 2 * time.Second, time.Second} {
			go func() {
				ctx, cancel := context.WithTimeout(bg, d)
				defer cancel()
				if i == 1 { // the last to come, when c has left
					time.Sleep(1500 * time.Millisecond)
				}
				_, err := parts[i].Load(ctx)
				assert.Equal(t, context.DeadlineExceeded, err)
				assert.Equal(t, d, time.Since(began))
			}()
		}
		time.Sleep(time.Minute)
		assert.Equal(t, 3*time.Second, <-ended)
		assert.Zero(t, running.Load())
	})
}

func TestAPanicAndAGoexitAreTheErrorOfAll(t *testing.T) {
	t.Parallel()
	loaders := map[string]Loader[int]{
		"panic":  func(context.Context, []string) (map[string]int, error) { panic("boom") },
		"goexit": func(context.Context, []string) (map[string]int, error) { runtime.Goexit(); return nil, nil },
	}
	for name, load := range loaders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, failures := loaded(New(bg, []string{"a", "b"}, load, nil))
			for _, err := range failures {
				if name == "goexit" {
					assert.Equal(t, errs.ErrGoexit, err)
				} else {
					assert.Equal(t, "boom", err.(*errs.Panic).Value)
				}
			}
		})
	}
}

func TestWhoseErrorItIs(t *testing.T) {
	t.Parallel()
	keys := []string{"a", "b", "c"}
	of := errs.Keys{"b": io.EOF}
	others := &unnamed{of}
	assert.ErrorIs(t, others, io.EOF)
	assert.ErrorIs(t, others, others)
	assert.NotErrorIs(t, others, &unnamed{of}, "a map cannot be compared")
	for _, alone := range []error{errs.ErrNotFound, errs.ErrNotModified} {
		assert.NotErrorIs(t, &unnamed{errs.Keys{"b": alone}}, alone, "that is b's")
	}
	for name, c := range map[string]struct {
		values map[string]int
		err    error
		want   []error
	}{
		"of all":                         {map[string]int{"a": 1}, io.EOF, []error{io.EOF, io.EOF, io.EOF}},
		"nobody's":                       {map[string]int{"a": 1}, nil, []error{nil, errs.ErrNotFound, errs.ErrNotFound}},
		"a nil map":                      {nil, nil, []error{errs.ErrNotFound, errs.ErrNotFound, errs.ErrNotFound}},
		"of those that are named":        {map[string]int{"a": 1}, of, []error{nil, io.EOF, errs.ErrNotFound}},
		"of those, and of all without a": {nil, of, []error{others, io.EOF, others}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, failures := loaded(New(bg, keys, func(context.Context, []string) (map[string]int, error) { return c.values, c.err }, nil))
			assert.Equal(t, c.want, failures)
		})
	}
}

func TestAWindowGathersAndItsEndIsOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lengths
		g := NewGatherer(l.load, 5*time.Millisecond, 100)
		var wg sync.WaitGroup
		began := time.Now()
		for i, key := range []string{"a", "bb", "a", "late"} {
			wg.Go(func() {
				want := 5 * time.Millisecond
				if key == "late" {
					time.Sleep(6 * time.Millisecond)
					want = 11 * time.Millisecond
				} else {
					time.Sleep(time.Duration(i) * time.Millisecond)
				}
				v, err := g.Load(bg, bg, key)
				assert.NoError(t, err)
				assert.Equal(t, len(key), v)
				assert.Equal(t, want, time.Since(began))
			})
		}
		wg.Wait()
		assert.Equal(t, [][]string{{"a", "bb"}, {"late"}}, l.calls)
	})
}

func TestABatchThatIsFullDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lengths
		g := NewGatherer(l.load, time.Hour, 10)
		var wg sync.WaitGroup
		began := time.Now()
		for i := range 40 {
			wg.Go(func() {
				_, err := g.Load(bg, bg, strconv.Itoa(i))
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.Zero(t, time.Since(began))
		assert.Len(t, l.calls, 4)
	})
}

func TestNobodyIsLoadedForWhoHasLeftTheWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lengths
		g := NewGatherer(l.load, time.Second, 10)
		gone, cancel := context.WithCancel(bg)
		cancel()
		_, err := g.Load(gone, bg, "gone")
		assert.ErrorIs(t, err, context.Canceled)
		v, err := g.Load(bg, bg, "here")
		require.NoError(t, err)
		assert.Equal(t, 4, v)
		_, err = g.Load(gone, bg, "gone")
		assert.ErrorIs(t, err, context.Canceled)
		time.Sleep(time.Minute)
		assert.Equal(t, [][]string{{"here"}}, l.calls)
	})
}

func TestTheErrorOfKeysNamesTheFirstAndUnwrapsToAll(t *testing.T) {
	t.Parallel()
	assert.EqualError(t, errs.Keys{}, "tiercache: no key failed")
	assert.EqualError(t, errs.Keys{"a": io.EOF}, `tiercache: key "a" failed: EOF`)
	two := errs.Keys{"b": io.EOF, "a": errs.ErrNotFound}
	assert.EqualError(t, two, `tiercache: 2 keys failed, the first is "a": tiercache: not found`)
	assert.True(t, errors.Is(two, io.EOF) && errors.Is(two, errs.ErrNotFound))
	assert.Equal(t, []error{errs.ErrNotFound, io.EOF}, two.Unwrap())
}
