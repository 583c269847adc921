package remote

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/redistest"
)

// partly is a cluster of three whose second master is dead, with a key at each of
// the others.
func partly(t *testing.T, change func(*Config)) (c *redistest.Cluster, r *Remote, first, third string) {
	t.Helper()
	c = redistest.StartCluster(t, 3)
	for _, n := range c.Nodes() { // or the living refuse everything with the dead
		require.NoError(t, n.Client().ConfigSet(bg, "cluster-require-full-coverage", "no").Err())
	}
	cfg := complete(Config{Client: c.Client(), Read: 10 * time.Second, Write: 10 * time.Second, Logger: slog.New(slog.DiscardHandler)})
	if change != nil {
		change(&cfg)
	}
	r, err := Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	soon(t, "connected", func() bool {
		_, ms := r.Health()
		connected := len(ms) == 3
		for _, m := range ms {
			connected = connected && m.Connected
		}
		return connected
	})
	at := func(third int) string {
		for i := 0; ; i++ {
			if k := fmt.Sprint("p:", i); slotOf(k)*3/slots == third {
				return k
			}
		}
	}
	first, third = at(0), at(2)
	c.Nodes()[1].Kill()
	soon(t, "out of use", func() bool { _, _ = r.Get(bg, at(1)); return !r.Usable(strings.TrimPrefix(at(1), "p:")) })
	for i, k := range map[int]string{0: first, 2: third} {
		put(t, c.Nodes()[i].Client(), k, "x", 0)
	}
	return c, r, first, third
}

func sweepAll(t *testing.T, r *Remote, done map[string]bool) int64 {
	t.Helper()
	n, err := r.DeleteMatching(bg, Sweep{Prefix: "p:", Pattern: "*", Done: done})
	require.ErrorIs(t, err, ErrUnavailable)
	return n
}

func TestWhileAMasterIsDeadAPatternIsDoneAtTheOthersOnceInEachLife(t *testing.T) {
	t.Parallel()
	c, r, first, third := partly(t, nil)
	done := make(map[string]bool)
	soon(t, "done", func() bool { _ = sweepAll(t, r, done); return len(done) == 2 })
	assert.Equal(t, map[string]bool{r.Identity(first): true, r.Identity(third): true}, done)
	assert.Zero(t, c.Nodes()[0].Client().Exists(bg, first).Val())
	assert.Zero(t, c.Nodes()[2].Client().Exists(bg, third).Val())

	put(t, c.Nodes()[0].Client(), first, "newer", 0)
	assert.Zero(t, sweepAll(t, r, done))
	assert.EqualValues(t, 1, c.Nodes()[0].Client().Exists(bg, first).Val(), "what is done is not scanned again")

	was := r.Identity(first)
	c.Nodes()[0].Kill()
	c.Nodes()[0].Restart()
	soon(t, "another life", func() bool {
		id := r.Identity(first)
		return id != was && id != "" && r.Usable(strings.TrimPrefix(first, "p:"))
	})
	assert.False(t, done[r.Identity(first)], "what it stored in the last one was not there to be removed")
	assert.True(t, done[r.Identity(third)])

	n, err := r.DeleteMatching(bg, Sweep{Prefix: "p:", Pattern: "*"})
	assert.ErrorIs(t, err, ErrUnavailable)
	assert.Zero(t, n, "all or nothing")

	c.Nodes()[1].Restart()
	put(t, c.Nodes()[2].Client(), third, "newer", 0)
	soon(t, "all of it", func() bool {
		_, err := r.DeleteMatching(bg, Sweep{Prefix: "p:", Pattern: "*", Done: done})
		return err == nil
	})
	assert.Zero(t, c.Nodes()[2].Client().Exists(bg, third).Val(), "with all in use all are scanned")
}

func TestWhoTrustsEarlierLivesIsDoneNowhere(t *testing.T) {
	t.Parallel()
	_, r, _, _ := partly(t, func(cfg *Config) { cfg.Trusting = true })
	done := make(map[string]bool)
	for range 3 {
		sweepAll(t, r, done)
	}
	assert.Empty(t, done)
}

// A value of B's goes with its slot to C, and comes back after B was scanned: B has
// written it itself.
func TestAMasterThatGetsASlotIsNotDoneAnyMore(t *testing.T) {
	t.Parallel()
	c, r, first, third := partly(t, nil)
	done := make(map[string]bool)
	soon(t, "done", func() bool { _ = sweepAll(t, r, done); return len(done) == 2 })
	slot := slotOf(first)
	owns := func(key, addr string) func() bool {
		return func() bool { r.routes.stale(); return r.routes.table.Load().master(key).addr == addr }
	}
	addrs := []string{c.Nodes()[0].Addr(), c.Nodes()[2].Addr()}
	moveBetweenTheLiving(t, c, slot, 0, 2)
	soon(t, "away", owns(first, addrs[1]))
	assert.False(t, done[r.Identity(third)], "it got one")
	moveBetweenTheLiving(t, c, slot, 2, 0)
	soon(t, "back", owns(first, addrs[0]))
	assert.False(t, done[r.Identity(first)])
	soon(t, "done again", func() bool { _ = sweepAll(t, r, done); return done[r.Identity(first)] && done[r.Identity(third)] })
}

// A slot that goes and comes back, or only goes, while a master is scanned: what
// was in it may have escaped.
func TestAMasterWhoseSlotsChangeDuringTheScanIsNotDone(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]bool{"one goes": false, "one goes and comes back": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, r, first, _ := partly(t, nil)
			var once sync.Once
			var scanned atomic.Bool
			r.routes.table.Load().master(first).life.Load().rdb.AddHook(onScan{after: func() {
				once.Do(func() {
					moveBetweenTheLiving(t, c, slotOf(first), 0, 2)
					if back {
						moveBetweenTheLiving(t, c, slotOf(first), 2, 0)
					}
					scanned.Store(true)
				})
			}})
			done := make(map[string]bool)
			soon(t, "scanned", func() bool { _ = sweepAll(t, r, done); return scanned.Load() })
			assert.Empty(t, done)
		})
	}
}

// moveBetweenTheLiving is MoveSlot without the dead, whom that asks too.
func moveBetweenTheLiving(t *testing.T, c *redistest.Cluster, slot, from, to int) {
	t.Helper()
	src, dst := c.Nodes()[from].Client(), c.Nodes()[to].Client()
	id := func(n *redis.Client) string { return n.Do(bg, "cluster", "myid").Val().(string) }
	a, b := id(src), id(dst)
	assert.NoError(t, dst.Do(bg, "cluster", "setslot", slot, "importing", a).Err())
	assert.NoError(t, src.Do(bg, "cluster", "setslot", slot, "migrating", b).Err())
	for _, k := range src.ClusterGetKeysInSlot(bg, slot, 100).Val() {
		migrate(t, src, dst, k)
	}
	assert.NoError(t, dst.Do(bg, "cluster", "setslot", slot, "node", b).Err())
	assert.NoError(t, src.Do(bg, "cluster", "setslot", slot, "node", b).Err())
}

func TestWhatAMasterClaimsIsComparedWithTheTable(t *testing.T) {
	t.Parallel()
	m := new(master)
	tbl := table{owner: new([slots]*master)}
	tbl.owner[3], tbl.owner[4], tbl.owner[7], tbl.owner[slots-1] = m, m, m, m
	for has, want := range map[string]bool{
		"3-4 7 16383":                  true,
		"3-4 7":                        false,
		"3-5 7 16383":                  false,
		"3-4 7 9 16383":                false,
		"3-4 7 16384":                  false,
		"3-4 7 16383 [7->-bbbb]":       false,
		"":                             false,
		"3 4 7-7 16383":                true,
		"3-4 7 16383 [1-<-bbbb]":       false,
		"99999999999999999999-4 16383": false,
	} {
		text := "bbbb 127.0.0.1:1@2 master - 0 0 1 connected 0-2\naaaa 127.0.0.1:1@2 myself,master - 0 0 1 connected " + has + "\n"
		assert.Equal(t, want, tbl.claims(m, text), has)
	}
	assert.False(t, tbl.claims(m, ""))
}
