package cachetest

import (
	"context"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

func TestOpenedTiersKeepAValueInTheRedisThatComesWithThem(t *testing.T) {
	t.Parallel()
	tiers, server := OpenWithRedis(t, func(c *tiercache.Config) { c.Prefix = "mine:" })
	cache, err := tiercache.New(tiers, tiercache.Options[string]{Name: "things", TTL: time.Minute})
	require.NoError(t, err)
	v, err := cache.GetOrLoad(t.Context(), "k", func(context.Context) (string, error) { return "v", nil })
	require.NoError(t, err)
	assert.Equal(t, "v", v)
	assert.True(t, server.Exists("mine:k"))
}

func TestTestsThatOpenTiersInParallelDoNotAccuseEachOther(t *testing.T) {
	t.Parallel()
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			tiers := Open(t)
			cache, err := tiercache.New(tiers, tiercache.Options[int]{Name: "n", TTL: time.Minute})
			require.NoError(t, err)
			for range 100 {
				_, err := cache.GetOrLoad(t.Context(), "k", func(context.Context) (int, error) { return 1, nil })
				require.NoError(t, err)
				require.NoError(t, cache.Delete(t.Context(), "k"))
			}
		})
	}
}

// verdict is a test that notes whether it failed.
type verdict struct {
	testing.TB
	cleanups []func()
	failed   bool
}

func (v *verdict) Cleanup(f func())      { v.cleanups = append(v.cleanups, f) }
func (v *verdict) Errorf(string, ...any) { v.failed = true }
func (v *verdict) Error(...any)          { v.failed = true }
func (v *verdict) end() {
	for i := len(v.cleanups) - 1; i >= 0; i-- {
		v.cleanups[i]()
	}
}

func TestALoaderThatOutlivesCloseFailsTheTest(t *testing.T) {
	t.Parallel()
	v := &verdict{TB: t}
	tiers := Open(v)
	cache, err := tiercache.New(tiers, tiercache.Options[int]{Name: "n", TTL: time.Minute})
	require.NoError(t, err)
	release, started := make(chan struct{}), make(chan struct{})
	asked := make(chan error)
	go func() {
		_, err := cache.GetOrLoad(context.Background(), "k", func(context.Context) (int, error) { close(started); <-release; return 1, nil })
		asked <- err
	}()
	<-started
	v.end()
	assert.True(t, v.failed)
	require.ErrorIs(t, <-asked, tiercache.ErrClosed)
	close(release)
}

func TestAMarkedGoroutineIsFoundByItsMarkAlone(t *testing.T) {
	t.Parallel()
	release, started := make(chan struct{}), make(chan struct{})
	pprof.Do(context.Background(), pprof.Labels(markLabel, "a"), func(context.Context) {
		go func() { close(started); <-release }()
	})
	<-started
	assert.Contains(t, marked("a"), "cachetest")
	assert.Empty(t, marked("b"))
	close(release)
	assert.Empty(t, leaked("a"))
}
