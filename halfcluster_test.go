package tiercache_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// A cluster in fake time, parts of which are away. There is no tracking in it, and
// Pub/Sub is not used in a cluster: its nodes hear nothing, and ask Redis.

// parts are masters that each own an equal part of the slots.
type parts struct {
	bubble
	minis []*miniredis.Miniredis
	gone  []atomic.Bool
	known atomic.Bool // whether anybody tells who owns what
}

func inCluster(t *testing.T, masters int, test func(p *parts)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &parts{bubble: bubble{T: t}, gone: make([]atomic.Bool, masters)}
		for range masters {
			m := miniredis.NewMiniRedis()
			m.ClockTTL(true)
			t.Cleanup(m.Close)
			p.minis = append(p.minis, m)
		}
		p.known.Store(true)
		test(p)
	})
}

// distant is a connection that takes time, as Health wants of a ping.
type distant struct{ net.Conn }

func (d distant) Read(b []byte) (int, error) {
	n, err := d.Conn.Read(b)
	time.Sleep(time.Millisecond)
	return n, err
}

// lose ends a master.
func (p *parts) lose(i int) { p.gone[i].Store(true); p.minis[i].Close() }

func (p *parts) node(change func(*tiercache.Config)) *tiercache.Tiers {
	slots := func(context.Context) (table []redis.ClusterSlot, _ error) {
		if !p.known.Load() {
			return nil, errors.New("connection refused")
		}
		size := 16384 / len(p.minis)
		for i := range p.minis {
			table = append(table, redis.ClusterSlot{Start: i * size, End: (i+1)*size - 1, Nodes: []redis.ClusterNode{{Addr: fmt.Sprintf("%d:1", i)}}})
		}
		return table, nil
	}
	c := redis.NewClusterClient(&redis.ClusterOptions{
		ClusterSlots: slots,
		PoolSize:     unbounded,
		Dialer: func(_ context.Context, _, addr string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(addr)
			i, err := strconv.Atoi(host)
			if err != nil || p.gone[i].Load() {
				return nil, errors.New("connection refused")
			}
			conn, err := p.minis[i].Dial()
			return distant{conn}, err
		},
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	p.Cleanup(func() { _ = c.Close() })
	cfg := patient(c)
	if change != nil {
		change(&cfg)
	}
	return open(p.T, cfg)
}

// keyOf is a key of master i.
func (p *parts) keyOf(t *testing.T, i int, c *tiercache.Cache[int]) string {
	for n := range 100 {
		key := fmt.Sprint("k", n)
		store(t, c, key, value(1))
		if p.minis[i].Exists("t:" + key) {
			return key
		}
	}
	require.FailNow(t, "no key of that master")
	return ""
}

// loadsIn10s is how often a key that is read all the time is loaded.
func loadsIn10s(t *testing.T, c *tiercache.Cache[int], key string) (loads int) {
	for range 100 {
		_, err := c.GetOrLoad(bg, key, func(context.Context) (int, error) { loads++; return 1, nil })
		require.NoError(t, err)
		time.Sleep(100 * time.Millisecond)
	}
	return loads
}

// nobody knows the masters: stored with no ear | they are known, another node
// deletes, which nobody tells the entry of
func TestWhatWasStoredBeforeTheMastersWereKnownIsVoidWhenTheyAre(t *testing.T) {
	t.Parallel()
	for name, age := range map[string]time.Duration{"served in an outage": time.Hour, "never served in an outage": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inCluster(t, 1, func(p *parts) {
				p.known.Store(false)
				tiers := p.node(func(cfg *tiercache.Config) { cfg.OutageStaleness = age })
				cache := newCache(p.T, tiers, tiercache.Options[int]{})
				v, err := cache.GetOrLoad(bg, "k", value(1))
				require.NoError(p, err)
				require.Equal(p, 1, v)
				v, err = cache.GetOrLoad(bg, "k", value(2))
				require.NoError(p, err)
				if age < 0 {
					require.Equal(p, 2, v)
				} else {
					require.Equal(p, 1, v)
				}
				p.known.Store(true)
				eventuallyConnected(p.T, tiers)
				other := newCache(p.T, p.node(nil), tiercache.Options[int]{})
				require.NoError(p, other.Delete(bg, "k"))
				time.Sleep(1500 * time.Millisecond) // longer than the bound
				v, err = cache.GetOrLoad(bg, "k", value(3))
				require.NoError(p, err)
				require.Equal(p, 3, v)
			})
		})
	}
}

// Clear, one master away: its part waits | (not by group) each attempt gives the
// living ones another generation, and nothing there lasts
func TestAClearThatOneMasterMissedDoesNotEmptyTheOthersAgainAndAgain(t *testing.T) {
	t.Parallel()
	inCluster(t, 2, func(p *parts) {
		a, b := p.node(nil), p.node(nil)
		ca, cb := newCache(p.T, a, tiercache.Options[int]{}), newCache(p.T, b, tiercache.Options[int]{})
		eventuallyConnected(p.T, a)
		eventuallyConnected(p.T, b)
		key := p.keyOf(p.T, 0, cb)
		p.lose(1)
		outOfUse(p.T, a)
		outOfUse(p.T, b)
		require.NoError(p, ca.Clear(bg))
		require.NotZero(p, a.Health().Queued)
		time.Sleep(2 * time.Second)
		assert.LessOrEqual(p, loadsIn10s(p.T, cb, key), 2, "on another node")
		assert.LessOrEqual(p, loadsIn10s(p.T, ca, key), 2, "on the node that cleared")
		require.NotZero(p, a.Health().Queued, "it waits still")
	})
}

func TestAJournalThatOverflowsForOneMasterLeavesTheOthersInUse(t *testing.T) {
	t.Parallel()
	inCluster(t, 2, func(p *parts) {
		a, b := p.node(nil), p.node(nil)
		ca, cb := newCache(p.T, a, tiercache.Options[int]{}), newCache(p.T, b, tiercache.Options[int]{})
		eventuallyConnected(p.T, a)
		eventuallyConnected(p.T, b)
		key := p.keyOf(p.T, 0, cb)
		p.lose(1)
		outOfUse(p.T, a)
		outOfUse(p.T, b)
		keys := make([]string, 21_000) // half of them are the dead master's
		for i := range keys {
			keys[i] = "x" + strconv.Itoa(i)
		}
		require.NoError(p, ca.Delete(bg, keys...))
		require.Less(p, a.Health().Queued, 10_000, "it has overflowed")
		time.Sleep(2 * time.Second)
		assert.LessOrEqual(p, loadsIn10s(p.T, cb, key), 2, "on another node")
		_, err := ca.GetOrLoad(bg, key, value(1))
		require.NoError(p, err)
		require.NoError(p, cb.Delete(bg, key))
		time.Sleep(1500 * time.Millisecond) // longer than the bound
		v, err := ca.GetOrLoad(bg, key, value(2))
		require.NoError(p, err)
		assert.Equal(p, 2, v)
	})
}

// the master of the clock begins another life | records elsewhere were born by the
// old one's readings, which nothing covers any more
func TestTagsBornByAClockThatIsGoneAreOfUseAgain(t *testing.T) {
	t.Parallel()
	inCluster(t, 2, func(p *parts) {
		tiers := p.node(nil)
		cache := newCache(p.T, tiers, tiercache.Options[thing]{Tags: thingTags})
		eventuallyConnected(p.T, tiers)
		clock := 0
		var tag string
		for i := 0; tag == ""; i++ {
			name := "tag" + strconv.Itoa(i)
			store(p.T, cache, "k"+strconv.Itoa(i), tagged(1, name))
			if p.minis[1].Exists("t:~clock") {
				clock = 1
			}
			if p.minis[1-clock].Exists("t:~t:" + name) {
				tag = name
			}
		}
		require.True(p, p.minis[clock].Exists("t:~clock"))
		p.minis[clock].FlushAll()
		void(p.T, tiers, "unrelated")
		store(p.T, cache, "another", tagged(2, tag))
		v, ok, err := cache.Get(bg, "another")
		require.NoError(p, err)
		require.True(p, ok)
		assert.Equal(p, 2, v.V)
	})
}
