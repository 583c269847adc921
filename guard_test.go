package tiercache_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// Each test here plays one interleaving that a guard of the protocol closes. In
// all of them version 1 is old and nothing that starts after the invalidation
// has returned may see it.

// invalidations are the ways to void the key "k:1".
var invalidations = map[string]func(*tiercache.Tiers) error{
	"key": func(t *tiercache.Tiers) error {
		_, err := t.Invalidate(bg, tiercache.Key("k:1"))
		return err
	},
	"pattern": func(t *tiercache.Tiers) error {
		_, err := t.Invalidate(bg, tiercache.Pattern("k:*"))
		return err
	},
}

// Words of the scripts by which operations reach Redis; miniredis is sent their
// text each time.
var (
	removal = []string{"Removes what stands under a key", "t:k:1"}
	seizing = []string{"Takes the lease of a key for a Set", "t:k:1"}
	filling = []string{"Turns a lease into the value", "t:k:1"}
)

func forEachInvalidation(t *testing.T, test func(t *testing.T, w world, invalidate func() error)) {
	for name, inv := range invalidations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			test(t, w, func() error { return inv(w.tiers) })
		})
	}
}

func (w world) mustLoad(t *testing.T, v int) {
	t.Helper()
	got, err := w.cache.GetOrLoad(bg, "k:1", value(v))
	require.NoError(t, err)
	require.Equal(t, v, got, "an old value was served")
}

// fromRedisOnly makes memory forget what it has, by a second process that wrote
// the value.
func (w world) fromRedisOnly(t *testing.T, v int) {
	t.Helper()
	other := newCache(t, open(t, patient(client(t, w.w.addr))), tiercache.Options[int]{})
	got, err := other.GetOrLoad(bg, "k:1", value(v))
	require.NoError(t, err)
	require.Equal(t, v, got)
}

// reader: GET old | invalidate, returns | reader: memory = old
func TestAReadThatBeganBeforeAnInvalidationDoesNotReachMemory(t *testing.T) {
	t.Parallel()
	forEachInvalidation(t, func(t *testing.T, w world, invalidate func() error) {
		w.fromRedisOnly(t, 1)
		w.deafen(t)
		get := w.w.holdReply(t, "getrange", "t:k:1")
		read := make(chan int, 1)
		go func() { v, _, _ := w.cache.Get(bg, "k:1"); read <- v }()
		get.wait(t)
		require.NoError(t, invalidate())
		get.release()
		assert.Equal(t, 1, <-read, "a read that began before may see what was there")
		w.mustLoad(t, 2)
	})
}

// reader: GET old | another node: DEL | push | reader: memory = old
func TestAReadThatBeganBeforeAPushDoesNotReachMemory(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		w := worldAt(t, addr)
		other := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[int]{})
		heard := w.probe(t, other)
		_, err := other.GetOrLoad(bg, "k:1", value(1))
		require.NoError(t, err)
		get := w.w.holdReply(t, "getrange", "t:k:1")
		read := make(chan int, 1)
		go func() { v, _, _ := w.cache.Get(bg, "k:1"); read <- v }()
		get.wait(t)
		require.NoError(t, other.Delete(bg, "k:1"))
		heard()
		get.release()
		assert.Equal(t, 1, <-read, "a read that began before may see what was there")
		w.mustLoad(t, 2)
	})
}

// probe returns what waits until the node has heard all that other has said.
func (w world) probe(t *testing.T, other *tiercache.Cache[int]) (heard func()) {
	_, err := other.GetOrLoad(bg, "probe", value(0))
	require.NoError(t, err)
	inMemory(t, w.cache, "probe")
	return func() {
		t.Helper()
		require.NoError(t, other.Delete(bg, "probe"))
		soon(t, "the probe is gone", func() bool { _, ok, _ := w.cache.Get(bg, "probe"); return !ok })
	}
}

// reader: GET value, GET record of its tag | another node: the tag gets another
// nonce | push | reader: keeps the old record, and the value under it
func TestATagsRecordThatWasReadBeforeAPushIsNotKept(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		w := worldAt(t, addr)
		node := open(t, patient(client(t, addr)))
		other := newCache(t, node, tiercache.Options[int]{})
		heard := w.probe(t, other)
		store(t, other, "k:1", value(1), tiercache.WithTags("red"))
		get := w.w.holdReply(t, "getrange", "t:~t:red")
		read := make(chan int, 1)
		go func() { v, _, _ := w.cache.Get(bg, "k:1"); read <- v }()
		get.wait(t)
		void(t, node, "red")
		heard()
		get.release()
		assert.Equal(t, 1, <-read, "a read that began before may see what was there")
		w.mustLoad(t, 2)
	})
}

// local pass | reader: GET old, memory = old | UNLINK | second pass, returns
func TestAReadBetweenTheLocalPassAndRedisDoesNotStayInMemory(t *testing.T) {
	t.Parallel()
	forEachInvalidation(t, func(t *testing.T, w world, invalidate func() error) {
		w.fromRedisOnly(t, 1)
		w.deafen(t)
		unlink := w.w.holdRequest(t, removal...)
		done := make(chan error, 1)
		go func() { done <- invalidate() }()
		unlink.wait(t)
		v, ok, err := w.cache.Get(bg, "k:1")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, 1, v, "the invalidation has not returned")
		unlink.release()
		require.NoError(t, <-done)
		w.mustLoad(t, 2)
	})
}

// loader reads old | invalidate, returns | fill old
func TestALoadThatBeganBeforeAnInvalidationIsNotStored(t *testing.T) {
	t.Parallel()
	forEachInvalidation(t, func(t *testing.T, w world, invalidate func() error) {
		loading, goOn, got := make(chan struct{}), make(chan struct{}), make(chan int, 1)
		go func() {
			v, _ := w.cache.GetOrLoad(bg, "k:1", func(context.Context) (int, error) {
				close(loading)
				<-goOn
				return 1, nil
			})
			got <- v
		}()
		<-loading
		require.NoError(t, invalidate())
		close(goOn)
		assert.Equal(t, 1, <-got, "its own caller began before")
		w.mustLoad(t, 2)
		assert.EqualValues(t, 1, w.cache.Stats().FillsRefused)
	})
}

// loader reads old | invalidate of another node, returns | fill old
func TestALoadDoesNotOutliveAnotherNodesInvalidation(t *testing.T) {
	t.Parallel()
	for name, inv := range invalidations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			other := open(t, patient(client(t, w.w.addr)))
			_, err := w.cache.GetOrLoad(bg, "k:1", func(context.Context) (int, error) {
				return 1, inv(other)
			})
			require.NoError(t, err)
			w.mustLoad(t, 2)
		})
	}
}

// leader loads old | invalidate, returns | joiner joins | leader: old
func TestACallerAfterAnInvalidationDoesNotJoinAnOlderLoad(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		for name, inv := range invalidations {
			t.Run(name, func(t *testing.T) {
				tiers := open(t, config())
				cache := newCache(t, tiers, tiercache.Options[int]{})
				require.NoError(t, inv(tiers)) // what the other subtest left in Redis
				loading, goOn := make(chan struct{}), make(chan struct{})
				var wg sync.WaitGroup
				wg.Go(func() {
					_, _ = cache.GetOrLoad(bg, "k:1", func(context.Context) (int, error) {
						close(loading)
						<-goOn
						return 1, nil
					})
				})
				<-loading
				require.NoError(t, inv(tiers))
				wg.Go(func() {
					v, err := cache.GetOrLoad(bg, "k:1", value(2))
					assert.NoError(t, err)
					assert.Equal(t, 2, v)
				})
				require.Eventually(t, func() bool { return cache.Stats().Loads == 2 }, 10*time.Second, time.Millisecond)
				close(goOn)
				wg.Wait()
				v, err := cache.GetOrLoad(bg, "k:1", value(3))
				require.NoError(t, err)
				require.NotEqual(t, 1, v)
			})
		}
	})
}

// reader: GET old | Set new, returns | reader: memory = old
func TestAReadThatBeganBeforeASetDoesNotReplaceIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fromRedisOnly(t, 1)
	get := w.w.holdReply(t, "getrange", "t:k:1")
	read := make(chan struct{})
	go func() { _, _, _ = w.cache.Get(bg, "k:1"); close(read) }()
	get.wait(t)
	require.NoError(t, w.cache.Set(bg, "k:1", 2))
	get.release()
	<-read
	w.mustHave(t, 2)
}

// Set: pass | reader: sample, GET old | Set: seize, fill, memory = new | reader: memory = old
func TestAReadBetweenTheStepsOfASetDoesNotReplaceIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fromRedisOnly(t, 1)
	seize := w.w.holdRequest(t, seizing...)
	set := make(chan error, 1)
	go func() { set <- w.cache.Set(bg, "k:1", 2) }()
	seize.wait(t)
	get := w.w.holdReply(t, "getrange", "t:k:1")
	read := make(chan struct{})
	go func() { _, _, _ = w.cache.Get(bg, "k:1"); close(read) }()
	get.wait(t)
	seize.release()
	require.NoError(t, <-set)
	get.release()
	<-read
	w.mustHave(t, 2)
}

// Set: seize | invalidate, returns | Set: fill, memory
func TestASetOvertakenByAnInvalidationStoresNothing(t *testing.T) {
	t.Parallel()
	forEachInvalidation(t, func(t *testing.T, w world, invalidate func() error) {
		seize := w.w.holdReply(t, seizing...)
		set := make(chan error, 1)
		go func() { set <- w.cache.Set(bg, "k:1", 1) }()
		seize.wait(t)
		require.NoError(t, invalidate())
		seize.release()
		require.NoError(t, <-set)
		w.mustLoad(t, 2)
	})
}

// load begins | Set new, returns | fill old
func TestALoadThatBeganBeforeASetDoesNotReplaceIt(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[int]{})
		_, err := cache.GetOrLoad(bg, "k:1", func(ctx context.Context) (int, error) {
			return 1, cache.Set(ctx, "k:1", 2)
		})
		require.NoError(t, err)
		v, ok, err := cache.Get(bg, "k:1")
		require.NoError(t, err)
		require.True(t, ok)
		assert.Equal(t, 2, v)
	})
}

func (w world) mustHave(t *testing.T, want int) {
	t.Helper()
	for _, opt := range [][]tiercache.CallOption{nil, {tiercache.Fresh()}} {
		v, err := w.cache.GetOrLoad(bg, "k:1", unwanted[int](t), opt...)
		require.NoError(t, err)
		require.Equal(t, want, v)
	}
}

// Set: seize, fill | invalidate, returns | Set: memory
func TestAnInvalidationAfterTheFillOfASetIsNotUndoneInMemory(t *testing.T) {
	t.Parallel()
	forEachInvalidation(t, func(t *testing.T, w world, invalidate func() error) {
		fill := w.w.holdReply(t, filling...)
		set := make(chan error, 1)
		go func() { set <- w.cache.Set(bg, "k:1", 1) }()
		fill.wait(t)
		require.NoError(t, invalidate())
		fill.release()
		require.NoError(t, <-set)
		w.mustLoad(t, 2)
	})
}

// Set: seize | another node invalidates, returns | Set: fill is refused, memory
// must not have it
func TestASetWhoseFillIsRefusedDoesNotStayInMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seize := w.w.holdReply(t, seizing...)
	set := make(chan error, 1)
	go func() { set <- w.cache.Set(bg, "k:1", 1) }()
	seize.wait(t)
	_, err := open(t, patient(client(t, w.w.addr))).Invalidate(bg, tiercache.Key("k:1"))
	require.NoError(t, err)
	seize.release()
	require.NoError(t, <-set)
	w.mustLoad(t, 2)
	assert.EqualValues(t, 1, w.cache.Stats().FillsRefused)
}

// While an invalidation waits for Redis, memory has forgotten already.
func TestMemoryIsCleanBeforeRedisIsAsked(t *testing.T) {
	t.Parallel()
	forEachInvalidation(t, func(t *testing.T, w world, invalidate func() error) {
		w.mustLoad(t, 1)
		unlink := w.w.holdRequest(t, removal...)
		done := make(chan error, 1)
		go func() { done <- invalidate() }()
		unlink.wait(t)
		_, ok, err := w.cache.Get(bg, "k:1")
		require.NoError(t, err)
		assert.True(t, ok)
		assert.EqualValues(t, 1, w.cache.Stats().RedisHits, "memory did not answer")
		unlink.release()
		require.NoError(t, <-done)
	})
}

// A holds E, wants P | B holds P, wants E: whoever waited for the other's lease
// would wait for somebody who waits for him.
func TestAnExtraKeysLeaseIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t) // on miniredis without a clock: no lease runs out
	acquire := w.w.holdReply(t, "Takes the lease of a key for whoever", "t:E")
	a := make(chan error, 1)
	go func() {
		_, err := w.cache.GetOrLoad(bg, "E", value(1), tiercache.Also("P"))
		a <- err
	}()
	acquire.wait(t) // A holds E
	other := newCache(t, open(t, patient(client(t, w.w.addr))), tiercache.Options[int]{})
	b := make(chan error, 1)
	go func() {
		_, err := other.GetOrLoad(bg, "P", value(2), tiercache.Also("E"))
		b <- err
	}()
	require.NoError(t, <-b)
	there, err := client(t, w.w.addr).Get(bg, "t:E").Result()
	require.NoError(t, err)
	assert.Contains(t, there, "tc1L", "A holds E still: B did not wait until it had given up")
	acquire.release()
	require.NoError(t, <-a)
}
