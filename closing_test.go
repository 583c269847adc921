package tiercache_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// Close in the middle of what it has to wait for, or must not.

// Mutate: marks | Close ends that | (unguarded) it is an outage: the change is made, and
// nobody is told
func TestACloseThatInterruptsTheMarkingOfAMutateIsErrClosedAndNothingIsRun(t *testing.T) {
	t.Parallel()
	for name, mutate := range map[string]func(*tiercache.Tiers, func(context.Context) error) error{
		"Mutate": func(t *tiercache.Tiers, fn func(context.Context) error) error {
			_, err := t.Mutate(bg, fn, tiercache.Key("k"))
			return err
		},
		"MutateAnyway": func(t *tiercache.Tiers, fn func(context.Context) error) error {
			_, err := t.MutateAnyway(bg, fn, tiercache.Key("k"))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &wire{addr: redistest.Start(t).Addr()}
			tiers := w.tiers(t)
			hear(t, tiers)
			mark := w.holdRequest(t, "t:k")
			done, closed := make(chan error, 1), make(chan error, 1)
			go func() {
				done <- mutate(tiers, func(context.Context) error { t.Error("it is run"); return nil })
			}()
			mark.wait(t)
			go func() { closed <- tiers.Close() }()
			soon(t, "closing", func() bool { _, err := tiers.Clear(bg); return err == tiercache.ErrClosed })
			mark.release()
			require.ErrorIs(t, <-done, tiercache.ErrClosed)
			require.NoError(t, <-closed)
		})
	}
}

func TestAChangeThatRedisWasNeverToldOfIsAnErrorThatSaysSo(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s.Addr())
	tiers := open(t, hasty(client(t, p.Addr())))
	hear(t, tiers)
	p.Refuse()
	p.CutAll()
	ran := false
	_, err := tiers.MutateAnyway(bg, func(context.Context) error {
		ran = true
		p.Pass()
		return tiers.Close()
	}, tiercache.Key("k"))
	require.True(t, ran)
	require.ErrorIs(t, err, tiercache.ErrClosed)
	assert.ErrorContains(t, err, "the change is made, and Redis was told of it neither before nor after")
}

func TestCloseDoesNotWaitForWhatPreparesAValue(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		in, free := make(chan struct{}), make(chan struct{})
		cache := newCache(t, tiers, tiercache.Options[int]{Tags: func(int) []string { close(in); <-free; return nil }})
		done := make(chan error, 1)
		go func() { done <- cache.Set(bg, "k", 1) }()
		<-in
		closed := make(chan error, 1)
		go func() { closed <- tiers.Close() }()
		select {
		case err := <-closed:
			require.NoError(t, err)
		case <-time.After(long):
			t.Error("Close waits")
		}
		close(free)
		require.ErrorIs(t, <-done, tiercache.ErrClosed)
	})
}

func TestTriggerOfAWarmerThatNeverRanEndsWithTheTiers(t *testing.T) {
	t.Parallel()
	tiers := open(t, tiercache.Config{})
	cache := newCache(t, tiers, tiercache.Options[int]{})
	w, err := tiercache.NewWarmer(tiers, cache.WarmEach(tiercache.Job{Name: "j"}, these("k"), each(1)))
	require.NoError(t, err)
	done := make(chan error, 2)
	go func() { done <- w.Trigger(bg, "j") }()
	require.NoError(t, tiers.Close())
	require.ErrorIs(t, <-done, tiercache.ErrClosed)
	require.ErrorIs(t, w.Trigger(bg, "j"), tiercache.ErrClosed)
}

func TestAScheduleThatNeverAnswersHoldsUpNeitherTheEndOfRunNorIfItExitsATrigger(t *testing.T) {
	t.Parallel()
	t.Run("blocks", func(t *testing.T) {
		t.Parallel()
		tiers := open(t, tiercache.Config{})
		cache := newCache(t, tiers, tiercache.Options[int]{})
		in, free := make(chan struct{}), make(chan struct{})
		defer close(free)
		next := schedule(func(now time.Time) time.Time { close(in); <-free; return now })
		w, err := tiercache.NewWarmer(tiers, cache.WarmEach(tiercache.Job{Name: "j", Schedule: next}, these("k"), each(1)))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(bg)
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		<-in
		cancel()
		select {
		case err := <-done:
			assert.ErrorIs(t, err, context.Canceled)
		case <-time.After(long):
			t.Error("Run does not return")
		}
	})
	t.Run("exits", func(t *testing.T) {
		t.Parallel()
		tiers := open(t, tiercache.Config{})
		cache := newCache(t, tiers, tiercache.Options[int]{})
		var asked atomic.Int64
		next := schedule(func(now time.Time) time.Time {
			asked.Add(1)
			runtime.Goexit()
			return now
		})
		w, _ := runJobs(t, tiers, cache.WarmEach(tiercache.Job{Name: "j", Schedule: next}, these("k"), each(1)))
		require.NoError(t, w.Trigger(bg, "j"))
		require.Positive(t, asked.Load())
		assert.True(t, w.Status()[0].Next.IsZero())
	})
}
