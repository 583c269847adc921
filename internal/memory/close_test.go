package memory

import (
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCloseMayComeAtAnyTime(t *testing.T) {
	t.Parallel()
	rounds := 300
	if raceEnabled {
		rounds = 50
	}
	for round := range rounds {
		c, err := New(Config[int]{MaxBytes: 64 << 10, Now: sinceBase})
		require.NoError(t, err)
		start := make(chan struct{})
		var all sync.WaitGroup
		for g := range 4 {
			all.Go(func() {
				<-start
				for n := range 200 {
					key := strconv.Itoa((g*7 + n) % 50)
					c.Set(item(key, n))
					for range 70 { // enough for ristretto to hand its buffer on
						get(c, key)
					}
					c.Delete(Hash(key), key)
					c.Len()
				}
			})
		}
		for range 2 {
			all.Go(func() {
				<-start
				for range round % 17 {
					c.Get(1, "")
				}
				c.Close()
				if c.Get(Hash("1"), "1") != nil || c.Set(item("1", 1)) || c.Delete(Hash("1"), "1") {
					t.Error("something happened after Close had returned")
				}
			})
		}
		close(start)
		all.Wait()
		c.Close()
		require.Zero(t, c.Len())
		require.Zero(t, c.Bytes())
	}
}

func TestAClosedCacheDoesNothing(t *testing.T) {
	t.Parallel()
	c, err := New(Config[int]{MaxBytes: 1 << 20, Now: sinceBase})
	require.NoError(t, err)
	require.True(t, c.Set(item("k", 1)))
	c.Close()
	c.Close()
	assert.Nil(t, get(c, "k"))
	assert.False(t, c.Set(item("k", 2)))
	assert.False(t, c.Delete(Hash("k"), "k"))
	assert.Zero(t, c.Len())
	assert.Zero(t, c.Bytes())
	assert.Zero(t, c.Evictions(), "Close evicts nothing")
}

func TestTheGateLetsNobodyInAfterItShut(t *testing.T) {
	t.Parallel()
	for range 2_000 {
		var g gate
		open := true // plain: the race detector sees a call that overlaps shut
		var all, started sync.WaitGroup
		started.Add(3)
		for range 3 {
			all.Go(func() {
				started.Done()
				for {
					at, ok := g.enter(1)
					if !ok {
						return
					}
					if !open {
						t.Error("inside a gate that is shut")
					}
					g.leave(at)
					runtime.Gosched()
				}
			})
		}
		started.Wait()
		g.shut()
		open = false
		all.Wait()
	}
}

func TestWhatCloseFreesIsNotEvicted(t *testing.T) {
	t.Parallel()
	c := open(t, 1<<20)
	for n := range 100 {
		c.Set(item(strconv.Itoa(n), n))
	}
	require.Equal(t, 100, c.Len())
	c.Close()
	assert.Zero(t, c.Evictions())
}
