package tiercache_test

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// What a server's several lives, its replicas and its neighbours can do.

func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, long, 2*time.Millisecond, what)
}

// connection A: INFO answered by life 1, late | restart from a snapshot | B meets
// life 2 | A is done: its stamp must not come back
func TestASlowHandshakeDoesNotBringBackTheStampOfAnEarlierLife(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	w := &wire{addr: s.Addr()}
	tiers := w.tiers(t)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	_, err := cache.GetOrLoad(bg, "k:1", value(1))
	require.NoError(t, err)
	first := tiers.Health().Masters[0].Stamp
	require.NoError(t, s.Client().Save(bg).Err())
	require.NoError(t, cache.Delete(bg, "k:1"))

	// All connections are busy, so a new one is made; the answer to its INFO waits.
	info := w.holdReply(t, "info", "replication")
	var busy []*stop
	for met := false; !met; {
		get := w.holdReply(t, "getrange", "t:busy"+strconv.Itoa(len(busy)))
		go func() { _, _, _ = cache.Get(bg, "busy"+strconv.Itoa(len(busy))) }()
		select {
		case <-get.reached:
			busy = append(busy, get)
		case <-info.reached:
			met = true
		}
	}
	s.Kill()
	s.Restart()
	for _, b := range busy {
		b.release()
	}
	soon(t, "the second life is met", func() bool {
		_, _ = cache.GetOrLoad(bg, "other", value(7))
		h := tiers.Health()
		return h.Connected && h.Masters[0].Stamp != first
	})
	info.release()
	for range 50 {
		v, err := cache.GetOrLoad(bg, "k:1", value(2), tiercache.Fresh())
		require.NoError(t, err)
		require.Equal(t, 2, v, "deleted, and here again from the snapshot")
		require.NotEqual(t, first, tiers.Health().Masters[0].Stamp)
	}
}

func TestTheFirstReplicaCostsOneColdStartAndNoMore(t *testing.T) {
	t.Parallel()
	s, replica := redistest.Start(t), redistest.Start(t)
	a := newCache(t, open(t, patient(client(t, s.Addr()))), tiercache.Options[int]{})
	_, err := a.GetOrLoad(bg, "k", value(1))
	require.NoError(t, err)
	host, port, err := net.SplitHostPort(s.Addr())
	require.NoError(t, err)
	before := s.Client().Info(bg, "replication").Val()
	require.NoError(t, replica.Client().ReplicaOf(bg, host, port).Err())
	soon(t, "another replication id", func() bool {
		return field(s.Client().Info(bg, "replication").Val(), "master_replid:") != field(before, "master_replid:")
	})
	// a keeps its connections, b makes new ones: they must agree all the same.
	b := newCache(t, open(t, patient(client(t, s.Addr()))), tiercache.Options[int]{})
	var loads atomic.Int32
	load := func(context.Context) (int, error) { loads.Add(1); return 1, nil }
	soon(t, "two nodes that believe each other", func() bool {
		before := loads.Load()
		for range 3 {
			for _, c := range []*tiercache.Cache[int]{a, b} {
				_, err := c.GetOrLoad(bg, "k", load, tiercache.Fresh())
				require.NoError(t, err)
			}
		}
		return loads.Load() == before
	})
}

// A lease under a key of which no holder knows: copied, restored, made persistent.
func TestALeaseThatOutlivesEveryHolderIsTakenOver(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b bubble) {
		cache := b.cache(tiercache.Options[int]{LoadTimeout: 2 * time.Second})
		_, err := cache.GetOrLoad(bg, "k", func(context.Context) (int, error) {
			lease, err := b.mini.Get("t:k")
			require.NoError(b, err)
			return 1, b.mini.Set("t:copy", lease)
		})
		require.NoError(b, err)
		began := time.Now()
		v, err := cache.GetOrLoad(bg, "copy", value(2))
		require.NoError(b, err)
		assert.Equal(b, 2, v)
		assert.InDelta(b, 5*time.Second, time.Since(began), float64(time.Second), "LoadTimeout and the life of a lease")
		_, err = b.cache(tiercache.Options[int]{}).GetOrLoad(bg, "copy", unwanted[int](b.T))
		require.NoError(b, err)
	})
}

// An acquire that was executed and answered too late: its lease is nobody's.
func TestALeaseWhoseAnswerCameTooLateIsNotLeftStanding(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"of the key": "t:k", "of a further key": "t:also"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			w := &wire{addr: s.Addr()}
			c := redis.NewClient(w.options())
			t.Cleanup(func() { _ = c.Close() })
			cfg := patient(c)
			cfg.WriteTimeout = 500 * time.Millisecond
			cache := newCache(t, open(t, cfg), tiercache.Options[int]{})
			_, err := cache.GetOrLoad(bg, "warm-up", value(0)) // the scripts are there
			require.NoError(t, err)
			acquire := w.holdReply(t, "evalsha", key)
			done := make(chan error, 1)
			go func() {
				_, err := cache.GetOrLoad(bg, "k", value(1), tiercache.Also("also"))
				done <- err
			}()
			acquire.wait(t)
			assert.EqualValues(t, 1, s.Client().Exists(bg, key).Val(), "the lease")
			require.NoError(t, <-done, "its time is up, and the value is loaded")
			soon(t, "the lease is removed", func() bool { return s.Client().Exists(bg, key).Val() == 0 })
			acquire.release()
		})
	}
}

func TestAnInvalidationThatRacesCloseIsSentOrReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustLoad(t, 1)
	unlink := w.w.holdRequest(t, removal...)
	got := make(chan error, 1)
	go func() {
		_, err := w.tiers.Invalidate(bg, tiercache.Key("k:1"))
		got <- err
	}()
	unlink.wait(t)
	closed := make(chan error, 1)
	go func() { closed <- w.tiers.Close() }()
	soon(t, "closing", func() bool { _, err := w.tiers.Invalidate(bg, tiercache.Key("x")); return err == tiercache.ErrClosed })
	unlink.release()
	require.NoError(t, <-got)
	if err := <-closed; err == nil {
		n, err := client(t, w.w.addr).Exists(bg, "t:k:1").Result()
		require.NoError(t, err)
		assert.Zero(t, n, "Close said that all was sent")
	}
}

func TestAClientOfOneServerThatIsPartOfAClusterLoadsWhatItCannotReach(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	cache := newCache(t, open(t, patient(client(t, c.Addrs()[0]))), tiercache.Options[int]{})
	for i := range 30 {
		key := "k" + strconv.Itoa(i)
		v, err := cache.GetOrLoad(bg, key, value(i))
		require.NoError(t, err)
		require.Equal(t, i, v)
		require.NoError(t, cache.Delete(bg, key))
		v, err = cache.GetOrLoad(bg, key, value(i+1))
		require.NoError(t, err)
		require.Equal(t, i+1, v)
	}
	_, err := cache.InvalidatePattern(bg, "k*")
	require.NoError(t, err)
}

// scan of master 1 ends | the slot moves 0→1 | scan of master 0 finds nothing | the
// slot comes home, with the value
func TestAKeyWhoseSlotMovesDuringAScanIsNotMissed(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	w := &wire{}
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), Protocol: 2, DialTimeout: 10 * time.Second,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			cn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if err == nil && addr == c.Addrs()[0] {
				return &wireConn{Conn: cn, w: w}, nil
			}
			return cn, err
		}})
	t.Cleanup(func() { _ = rdb.Close() })
	tiers := open(t, patient(rdb))
	cache := newCache(t, tiers, tiercache.Options[int]{})
	key, slot := "", 0
	for i := 0; key == ""; i++ { // one of master 0's
		k := "k" + strconv.Itoa(i)
		n, err := c.Client().ClusterKeySlot(bg, "t:"+k).Result()
		require.NoError(t, err)
		if n < 5000 {
			key, slot = k, int(n)
		}
	}
	_, err := cache.GetOrLoad(bg, key, value(1))
	require.NoError(t, err)

	scan := w.holdRequest(t, "scan")
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := tiers.Invalidate(bg, tiercache.Pattern("k*"))
		assert.NoError(t, err)
	})
	scan.wait(t)
	for _, i := range []int{1, 2} { // those are through, or will be before the slot is there
		soon(t, "scan of another master", func() bool {
			return field(c.Nodes()[i].Client().Info(bg, "commandstats").Val(), "cmdstat_scan:") != ""
		})
	}
	c.MoveSlot(slot, 0, 1)
	scan.release()
	wg.Wait()
	c.MoveSlot(slot, 1, 0)
	v, err := cache.GetOrLoad(bg, key, value(2), tiercache.Fresh())
	require.NoError(t, err)
	assert.Equal(t, 2, v)
}

func field(info, name string) string {
	for line := range strings.Lines(info) {
		if len(line) > len(name) && line[:len(name)] == name {
			return strings.TrimSpace(line[len(name):])
		}
	}
	return ""
}
