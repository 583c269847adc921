package tiercache_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// runJobs runs jobs until the test is over, or stop is called, which waits for the end.
func runJobs(t *testing.T, tiers *tiercache.Tiers, jobs ...tiercache.Job) (w *tiercache.Warmer, stop func() error) {
	t.Helper()
	w, err := tiercache.NewWarmer(tiers, jobs...)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(bg)
	ended, done := error(nil), make(chan struct{})
	go func() {
		defer close(done)
		ended = w.Run(ctx)
	}()
	stop = func() error { cancel(); <-done; return ended }
	t.Cleanup(func() { _ = stop() })
	return w, stop
}

// these are the keys of a job.
func these(keys ...string) func(context.Context) ([]string, error) {
	return func(context.Context) ([]string, error) { return keys, nil }
}

func each[T any](v T) func(context.Context, string) (T, error) {
	return func(context.Context, string) (T, error) { return v, nil }
}

// inMemoryBubble runs a test in fake time, in memory alone.
func inMemoryBubble(t *testing.T, test func(t *testing.T, tiers *tiercache.Tiers, cache *tiercache.Cache[int])) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		tiers := open(t, tiercache.Config{})
		test(t, tiers, newCache(t, tiers, tiercache.Options[int]{TTL: 1000 * time.Hour, Jitter: -1}))
	})
}

// starts notes when a job asks for its keys.
func starts(at *[]time.Duration, keys ...string) func(context.Context) ([]string, error) {
	began := time.Now()
	return func(context.Context) ([]string, error) {
		*at = append(*at, time.Since(began)) // runs of a job follow one another
		return keys, nil
	}
}

func TestAJobRunsEveryHalfAnHourLessUpToATenth(t *testing.T) {
	t.Parallel()
	inMemoryBubble(t, func(t *testing.T, tiers *tiercache.Tiers, cache *tiercache.Cache[int]) {
		var at []time.Duration
		w, stop := runJobs(t, tiers, cache.WarmEach(tiercache.Job{Name: "j"}, starts(&at, "k:1"), each(1)))
		time.Sleep(20 * time.Hour)
		require.ErrorIs(t, stop(), context.Canceled)
		require.Greater(t, len(at), 39)
		var gaps []time.Duration
		for i, last := 0, time.Duration(0); i < len(at); i++ {
			gaps = append(gaps, at[i]-last)
			last = at[i]
		}
		assert.GreaterOrEqual(t, slices.Min(gaps), 27*time.Minute)
		assert.LessOrEqual(t, slices.Max(gaps), 30*time.Minute)
		assert.NotEqual(t, slices.Min(gaps), slices.Max(gaps), "there is jitter")
		assert.EqualValues(t, len(at), w.Status()[0].Runs)
	})
}

type schedule func(time.Time) time.Time

func (s schedule) Next(t time.Time) time.Time { return s(t) }

func TestAJobWithAScheduleRunsWhenThatSays(t *testing.T) {
	t.Parallel()
	inMemoryBubble(t, func(t *testing.T, tiers *tiercache.Tiers, cache *tiercache.Cache[int]) {
		var at []time.Duration
		hours := schedule(func(t time.Time) time.Time { return t.Truncate(time.Hour).Add(time.Hour) })
		w, stop := runJobs(t, tiers, cache.WarmEach(tiercache.Job{Name: "j", Schedule: hours}, starts(&at, "k:1"), each(1)))
		synctest.Wait()
		assert.Equal(t, time.Now().Add(time.Hour), w.Status()[0].Next)
		time.Sleep(3*time.Hour + time.Minute)
		_ = stop()
		assert.Equal(t, []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour}, at)
	})
}

func TestAScheduleThatGivesNoTimeAheadDoesNoHarm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		next schedule
		runs int64 // in ten seconds
	}{
		"never":  {func(time.Time) time.Time { return time.Time{} }, 0},
		"now":    {func(t time.Time) time.Time { return t }, 10},
		"past":   {func(t time.Time) time.Time { return t.Add(-time.Hour) }, 10},
		"panics": {func(time.Time) time.Time { panic("no") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inMemoryBubble(t, func(t *testing.T, tiers *tiercache.Tiers, cache *tiercache.Cache[int]) {
				w, _ := runJobs(t, tiers, cache.WarmEach(tiercache.Job{Name: "j", Schedule: c.next}, these("k:1"), each(1)))
				time.Sleep(10*time.Second + time.Millisecond)
				assert.Equal(t, c.runs, w.Status()[0].Runs)
				require.NoError(t, w.Trigger(bg, "j"))
				assert.Equal(t, c.runs+1, w.Status()[0].Runs)
			})
		})
	}
}

func TestAJobRunsAtStartIfItIsToldSo(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		w, _ := runJobs(b.T, tiers,
			cache.WarmEach(tiercache.Job{Name: "now", AtStart: true}, these("k:1"), each(1)),
			cache.WarmEach(tiercache.Job{Name: "later"}, these("k:2"), each(2)))
		time.Sleep(time.Second)
		s := w.Status()
		assert.EqualValues(b, 1, s[0].Runs)
		assert.Equal(b, 1, s[0].Done)
		assert.Zero(b, s[1].Runs)
		v, ok, err := cache.Get(bg, "k:1")
		require.NoError(b, err)
		assert.True(b, ok)
		assert.Equal(b, 1, v)
		_, ok, err = cache.Get(bg, "k:2")
		require.NoError(b, err)
		assert.False(b, ok)
	})
}

func TestTriggerRunsAJobAndReturnsItsError(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		down := errors.New("the source is down")
		var broken atomic.Bool
		w, stop := runJobs(b.T, tiers, cache.WarmMany(tiercache.Job{Name: "j", Every: -1, Retries: -1}, these("k:1", "k:2"),
			func(_ context.Context, keys []string) (map[string]int, error) {
				if broken.Load() {
					return map[string]int{"k:1": 9}, tiercache.KeyErrors{"k:2": down}
				}
				return map[string]int{"k:1": 1, "k:2": 2}, nil
			}))
		time.Sleep(31 * time.Minute)
		assert.Zero(b, w.Status()[0].Runs, "it runs only when it is asked to")
		require.NoError(b, w.Trigger(bg, "j"))
		broken.Store(true)
		err := w.Trigger(bg, "j")
		require.ErrorIs(b, err, down)
		assert.ErrorContains(b, err, `job "j": 1 of 2 keys failed`)
		s := w.Status()[0]
		assert.Equal(b, err, s.Err)
		assert.Equal(b, []int{2, 1, 1}, []int{s.Total, s.Done, s.Failed})
		for key, want := range map[string]int{"k:1": 9, "k:2": 2} {
			v, ok, err := cache.Get(bg, key)
			require.NoError(b, err)
			assert.True(b, ok)
			assert.Equal(b, want, v, "what is there stays if its load fails")
		}
		require.ErrorContains(b, w.Trigger(bg, "other"), `"other"`)
		require.ErrorIs(b, stop(), context.Canceled)
		require.ErrorIs(b, w.Trigger(bg, "j"), context.Canceled)
		require.ErrorContains(b, w.Run(bg), "second time")
	})
}

func TestTriggerWaitsForRunAndNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	inMemoryBubble(t, func(t *testing.T, tiers *tiercache.Tiers, cache *tiercache.Cache[int]) {
		goOn := make(chan struct{})
		w, err := tiercache.NewWarmer(tiers, cache.WarmEach(tiercache.Job{Name: "j"}, these("k:1"),
			func(context.Context, string) (int, error) { <-goOn; return 1, nil }))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		require.ErrorIs(t, w.Trigger(ctx, "j"), context.DeadlineExceeded, "nobody runs it")
		first := make(chan error, 1)
		go func() { first <- w.Trigger(bg, "j") }()
		synctest.Wait()
		ctx, stop := context.WithCancel(bg)
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }()
		synctest.Wait()
		assert.True(t, w.Status()[0].Running)
		short, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		require.ErrorIs(t, w.Trigger(short, "j"), context.DeadlineExceeded)
		close(goOn)
		require.NoError(t, <-first)
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

func TestAJobNeverRunsBesideItself(t *testing.T) {
	t.Parallel()
	inEveryBubble(t, func(b bubble, tiers *tiercache.Tiers) {
		cache := newCache(b.T, tiers, tiercache.Options[int]{})
		var running, most, runs atomic.Int64
		w, _ := runJobs(b.T, tiers, cache.WarmEach(tiercache.Job{Name: "j", Every: time.Second, AtStart: true}, these("k:1"),
			func(context.Context, string) (int, error) {
				most.Store(max(most.Load(), running.Add(1)))
				time.Sleep(5 * time.Second) // longer than the period, and a lease
				running.Add(-1)
				return int(runs.Add(1)), nil
			}))
		synctest.Wait()
		asked := make(chan error)
		for range 3 {
			go func() { asked <- w.Trigger(bg, "j") }()
		}
		for range 3 {
			require.NoError(b, <-asked)
		}
		assert.EqualValues(b, 2, runs.Load(), "one that ran, and one for all who asked meanwhile")
		time.Sleep(time.Minute)
		assert.EqualValues(b, 1, most.Load())
	})
}

func TestBadJobsAreErrorsThatNameTheField(t *testing.T) {
	t.Parallel()
	tiers, others := open(t, tiercache.Config{}), open(t, tiercache.Config{})
	cache, foreign := newCache(t, tiers, tiercache.Options[int]{}), newCache(t, others, tiercache.Options[int]{})
	type job = tiercache.Job
	good := func(j job) job { return cache.WarmEach(j, these(), each(1)) }
	many := func(j job) job {
		return cache.WarmMany(j, these(), func(context.Context, []string) (map[string]int, error) { return nil, nil })
	}
	hourly := schedule(func(t time.Time) time.Time { return t.Add(time.Hour) })
	for name, c := range map[string]struct {
		job  job
		want string
	}{
		"no name":         {good(job{}), "Job.Name is empty"},
		"no work":         {job{Name: "j"}, "no work"},
		"no keys":         {cache.WarmEach(job{Name: "j"}, nil, each(1)), "keys is nil"},
		"no loader":       {cache.WarmEach(job{Name: "j"}, these(), nil), "loader is nil"},
		"no many loader":  {cache.WarmMany(good(job{Name: "j"}), these(), nil), "loader is nil"},
		"other tiers":     {foreign.WarmEach(job{Name: "j"}, these(), each(1)), "other Tiers"},
		"also":            {cache.WarmEach(job{Name: "j"}, these(), each(1), tiercache.Also("x")), "Also"},
		"bad tag":         {cache.WarmEach(job{Name: "j"}, these(), each(1), tiercache.WithTags("")), "tag"},
		"short period":    {good(job{Name: "j", Every: time.Millisecond}), "Job.Every is 1ms"},
		"two periods":     {good(job{Name: "j", Every: time.Hour, Schedule: hourly}), "Job.Every is 1h0m0s beside a Schedule"},
		"idle":            {good(job{Name: "j", StopAfterIdle: -1}), "Job.StopAfterIdle"},
		"concurrency":     {good(job{Name: "j", Concurrency: -1}), "Job.Concurrency"},
		"rate":            {good(job{Name: "j", Rate: -1}), "Job.Rate"},
		"rate not number": {good(job{Name: "j", Rate: math.NaN()}), "Job.Rate"},
		"tiny rate":       {good(job{Name: "j", Rate: 1e-300}), "Job.Rate"},
		"batch":           {many(job{Name: "j", Batch: -1}), "Job.Batch"},
		"large batch":     {many(job{Name: "j", Batch: 1001}), "Job.Batch"},
		"batch of each":   {good(job{Name: "j", Batch: 2}), "Job.Batch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tiercache.NewWarmer(tiers, c.job)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := tiercache.NewWarmer(nil, good(job{Name: "j"}))
	require.ErrorContains(t, err, "Tiers")
	_, err = tiercache.NewWarmer(tiers, good(job{Name: "j"}), many(job{Name: "j"}))
	require.ErrorContains(t, err, `"j" is that of two jobs`)
	w, err := tiercache.NewWarmer(tiers)
	require.NoError(t, err)
	var none context.Context
	require.Error(t, w.Run(none))
	require.Error(t, w.Trigger(none, "j"))
}
