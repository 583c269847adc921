package remote

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestSlotsAreTheServers(t *testing.T) {
	t.Parallel()
	c := bare(t, redistest.StartCluster(t, 3).Addrs()[0])
	keys := []string{"", "a", "123456789", "{a}b", "{a", "a}", "{}a", "{}{a}", "x{a}{b}", "x{{a}}", "\x00\xff{\xfe}"}
	for range 500 {
		b := make([]byte, rand.IntN(30))
		for i := range b {
			b[i] = "ab{}:\x00\xff"[rand.IntN(7)]
		}
		keys = append(keys, string(b))
	}
	for _, k := range keys {
		require.EqualValues(t, c.ClusterKeySlot(bg, k).Val(), slotOf(k), "key %q", k)
	}
}

func TestInAClusterEveryKeyIsAskedAtItsMaster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	c := cluster.Client()
	r := openTo(t, c)
	var keys []string
	for i := range 300 {
		k := fmt.Sprint("p:", i)
		keys = append(keys, k)
		won, _, err := r.Acquire(bg, k, lease("a"), nil, time.Minute)
		require.NoError(t, err)
		require.True(t, won)
		reply, err := r.Get(bg, k)
		require.NoError(t, err)
		require.Equal(t, string(lease("a")), string(reply.Raw))
	}
	mode, ms := r.Health()
	assert.Equal(t, "cluster", mode)
	assert.Len(t, ms, 3)
	n, failed, err := r.Unlink(bg, keys[:100])
	require.NoError(t, err)
	assert.Empty(t, failed)
	assert.EqualValues(t, 100, n)
	n, err = r.DeleteMatching(bg, Sweep{Prefix: "p:", Pattern: "*"})
	require.NoError(t, err)
	assert.EqualValues(t, 200, n, "on every master")
}

func TestAMovedSlotIsFollowed(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	r := openTo(t, cluster.Client())
	const key = "p:moving"
	_, err := r.Get(bg, key)
	require.NoError(t, err)
	slot := slotOf(key)
	from := slot * 3 / slots
	to := (from + 1) % 3
	for name, op := range map[string]func() error{
		"get":    func() error { _, err := r.Get(bg, key); return err },
		"script": func() error { _, _, err := r.Acquire(bg, key, lease("a"), nil, 1e9); return err },
		"unlink": func() error { _, failed, err := r.Unlink(bg, []string{key}); assert.Empty(t, failed); return err },
		"scan":   func() error { _, err := r.DeleteMatching(bg, Sweep{Prefix: "p:", Pattern: "*"}); return err },
	} {
		cluster.MoveSlot(slot, from, to)
		from, to = to, from
		require.NoError(t, op(), name)
	}
	cluster.MoveSlot(slot, from, to)
	_, err = r.Get(bg, key)
	require.NoError(t, err)
}
