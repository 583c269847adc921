package tiercache_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// records of tags are keys like any other: evicted, deleted, damaged by hand
func TestATagWhoseRecordIsLostIsAMissAndThenWorks(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	raw := s.Client()
	var nodes [2]*tiercache.Tiers
	var caches [2]*tiercache.Cache[thing]
	for i := range nodes {
		nodes[i] = open(t, patient(client(t, s.Addr())))
		caches[i] = newCache(t, nodes[i], tiercache.Options[thing]{Tags: thingTags})
	}
	hear(t, nodes[:]...)
	lose := map[string]func() error{
		"deleted": func() error { return raw.Del(bg, "t:~t:red").Err() },
		"expired": func() error { return raw.PExpire(bg, "t:~t:red", time.Millisecond).Err() },
		"damaged": func() error { return raw.Set(bg, "t:~t:red", "tg1 is not one", 0).Err() },
		"cut":     func() error { return raw.Set(bg, "t:~t:red", raw.Get(bg, "t:~t:red").Val()[:50], 0).Err() },
		"a list": func() error {
			if err := raw.Del(bg, "t:~t:red").Err(); err != nil {
				return err
			}
			return raw.RPush(bg, "t:~t:red", "x").Err()
		},
		"with the clock": func() error { return raw.Del(bg, "t:~t:red", "t:~clock").Err() },
		"everything":     func() error { return raw.FlushAll(bg).Err() },
	}
	for name, op := range lose {
		store(t, caches[0], "k", tagged(1, "red"))
		for _, c := range caches {
			require.Equal(t, 1, inMemory(t, c, "k").V, name)
		}
		require.EqualValues(t, 1, raw.Exists(bg, "t:~t:red").Val(), name)
		require.NoError(t, op(), name)
		for _, c := range caches {
			soon(t, "a miss, after it was "+name, func() bool { _, ok, _ := c.Get(bg, "k"); return !ok })
		}
		store(t, caches[1], "k", tagged(2, "red"))
		require.Equal(t, 2, inMemory(t, caches[0], "k").V, name)
		void(t, nodes[0], "red")
		_, ok, err := caches[0].Get(bg, "k")
		require.NoError(t, err)
		require.False(t, ok, "and the tag works, after it was %s", name)
		soon(t, "elsewhere too", func() bool { _, ok, _ := caches[1].Get(bg, "k"); return !ok })
	}
}

func TestATagCostsThreeCommandsHoweverManyValuesHaveIt(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	tiers := open(t, patient(client(t, s.Addr())))
	cache := newCache(t, tiers, tiercache.Options[int]{})
	hear(t, tiers)
	void(t, tiers, "red") // the scripts are there
	for i := range 500 {
		store(t, cache, strconv.Itoa(i), value(i), tiercache.WithTags("red"))
	}
	for i := range 500 {
		inMemory(t, cache, strconv.Itoa(i))
	}
	p := spyOn(t, s)
	void(t, tiers, "red")
	assert.LessOrEqual(t, p.changes(t, s), 3, "%q", p.all())
	assert.Zero(t, commands(t, s, "scan"))
	for i := range 500 {
		_, ok, err := cache.Get(bg, strconv.Itoa(i))
		require.NoError(t, err)
		require.False(t, ok)
	}
}

func TestTheRecordsOfTagsOutliveWhatIsStoredUnderThem(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		raw := client(t, addr)
		tiers := open(t, patient(client(t, addr)))
		cache := newCache(t, tiers, tiercache.Options[thing]{Tags: thingTags, Jitter: -1})
		hear(t, tiers)
		for i, ttl := range []time.Duration{time.Hour, 72 * time.Hour, time.Minute, 1000 * time.Hour} {
			key := strconv.Itoa(i)
			if i%2 == 0 {
				void(t, tiers, "red")
			}
			store(t, cache, key, tagged(1, "red"), tiercache.WithTTL(ttl), tiercache.WithTags("blue"))
			value := raw.PTTL(bg, "t:"+key).Val()
			require.InDelta(t, ttl, value, float64(time.Minute))
			for _, record := range []string{"t:~t:red", "t:~t:blue"} {
				require.Greater(t, raw.PTTL(bg, record).Val(), value, "%s, for %v", record, ttl)
			}
			others := 0
			for _, record := range raw.Keys(bg, "t:~*").Val() {
				if strings.HasPrefix(record, "t:~t:") || record == "t:~clock" || record == "t:~seq" {
					continue
				}
				others++
				require.Greater(t, raw.PTTL(bg, record).Val(), value, "%s, for %v", record, ttl)
			}
			require.Equal(t, 2, others, "those of Clear")
		}
	})
}

// By Pub/Sub a record is evicted, and made anew by another node, which nobody tells:
// each finds the other's values void and loads over them
func TestByPubSubNodesAgreeOnARecordThatWasMadeAnew(t *testing.T) {
	t.Parallel()
	for name, many := range map[string]bool{"one key": false, "many keys": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b bubble) { nodesAgreeOnARecord(b, many) })
		})
	}
}

func nodesAgreeOnARecord(b bubble, many bool) {
	first, second := b.node(), b.node()
	cache := newCache(b.T, first, tiercache.Options[int]{})
	hear(b.T, first)
	store(b.T, cache, "x", value(1))
	evicted := 0
	for _, key := range b.mini.Keys() {
		if strings.HasSuffix(key, "all") {
			b.mini.Del(key)
			evicted++
		}
	}
	require.Positive(b, evicted)
	there := newCache(b.T, second, tiercache.Options[int]{})
	hear(b.T, second)
	time.Sleep(2500 * time.Millisecond) // longer than what is known of a record is believed unasked
	loads := 0
	for range 10 {
		for _, c := range []*tiercache.Cache[int]{cache, there} {
			if many {
				_, err := c.GetOrLoadMany(bg, []string{"y"}, func(context.Context, []string) (map[string]int, error) {
					loads++
					return map[string]int{"y": 1}, nil
				}, tiercache.Fresh())
				require.NoError(b, err)
			} else {
				_, err := c.GetOrLoad(bg, "y", func(context.Context) (int, error) { loads++; return 1, nil }, tiercache.Fresh())
				require.NoError(b, err)
			}
		}
	}
	assert.LessOrEqual(b, loads, 3)
}

func TestMoreTagsThanAValueCanHaveAreAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[thing]{Tags: thingTags})
		tags := make([]string, 80)
		for i := range tags {
			tags[i] = strings.Repeat("x", 4000) + strconv.Itoa(i)
		}
		_, err := cache.GetOrLoad(bg, "k", unwanted[thing](t), tiercache.WithTags(tags...))
		require.ErrorContains(t, err, "80 tags of one value are too many")
		require.ErrorContains(t, cache.Set(bg, "k", thing{}, tiercache.WithTags(tags...)), "too many")
		require.ErrorContains(t, cache.Set(bg, "k", thing{Tags: tags}), "too many")
		for v := range 2 { // whose load would wait for a lease that was left behind
			got, err := cache.GetOrLoad(bg, "k", tagged(v, tags...))
			require.NoError(t, err, "its caller gets the value")
			require.Equal(t, v, got.V)
		}
		store(t, cache, "k", tagged(7), tiercache.WithTags(tags[:10]...))
	})
}

// load: clock? none, so it is begun | another load: the same | both: the tag's birth.
// If each that found none advanced it, only the last of them could store.
func TestManyFirstLoadsWithTagsAreAllStored(t *testing.T) {
	t.Parallel()
	node := open(t, patient(client(t, redistest.Start(t).Addr())))
	cache := newCache(t, node, tiercache.Options[thing]{Tags: thingTags})
	hear(t, node)
	keys := make([]string, 100)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	_, err := cache.GetOrLoadMany(bg, keys, func(_ context.Context, keys []string) (map[string]thing, error) {
		all := make(map[string]thing)
		for i, k := range keys {
			all[k] = thing{i, []string{"of " + k}}
		}
		return all, nil
	})
	require.NoError(t, err)
	assert.Zero(t, node.Stats().Total.FillsRefused)
}
