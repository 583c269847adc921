package remote

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestManyKeysAreReadAsEachOfThemIs(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *Remote, c *redis.Client) {
		require.NoError(t, c.Set(bg, "p:empty", "", 0).Err())
		require.NoError(t, c.HSet(bg, "p:hash", "a", 1).Err())
		long := strings.Repeat("x", 1<<20+10)
		require.NoError(t, c.Set(bg, "p:long", long, 0).Err())
		keys, want := []string{"p:empty", "p:absent", "p:hash"}, []string{"", "", ""}
		for i := range 250 {
			keys, want = append(keys, fmt.Sprint("p:", i)), append(want, fmt.Sprint("value ", i))
			require.NoError(t, c.Set(bg, keys[len(keys)-1], want[len(want)-1], 0).Err())
		}
		keys, want = append(keys, "p:long", "p:0"), append(want, long[:1<<20], "value 0")
		for round := range 3 { // the first meets the long one, the others beware
			replies, errs := r.GetMany(bg, keys)
			require.Len(t, replies, len(keys))
			for i := range keys {
				require.NoError(t, errs[i])
				assert.True(t, want[i] == string(replies[i].Raw), "round %d, %s", round, keys[i])
			}
			assert.True(t, replies[0].Absent() && replies[1].Absent())
		}
		replies, errs := r.GetMany(bg, nil)
		assert.Empty(t, replies)
		assert.Empty(t, errs)
	})
}

func TestOfManyKeysOnlyThoseThatMovedAreReadAgain(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	c := cluster.Client()
	r := openTo(t, c)
	var keys []string
	for i := range 60 {
		keys = append(keys, fmt.Sprint("p:", i))
		require.NoError(t, c.Set(bg, keys[i], i, 0).Err())
	}
	read := func() {
		t.Helper()
		replies, errs := r.GetMany(bg, keys)
		for i := range keys {
			require.NoError(t, errs[i])
			require.Equal(t, fmt.Sprint(i), string(replies[i].Raw))
		}
	}
	read()
	slot := slotOf(keys[7])
	from := slot * 3 / slots
	cluster.MoveSlot(slot, from, (from+1)%3)
	read()

	cluster.Nodes()[(from+2)%3].Kill()
	replies, errs := r.GetMany(bg, keys)
	var failed int
	for i, k := range keys {
		if slotOf(k)*3/slots == (from+2)%3 {
			failed++
			assert.Error(t, errs[i])
		} else {
			assert.NoError(t, errs[i], "a master that is dead fails its own keys alone")
			assert.Equal(t, fmt.Sprint(i), string(replies[i].Raw))
		}
	}
	assert.Positive(t, failed)
}

// Demoted, or come back to after a pause, it may say what is old.
func TestAMasterIsAskedWhetherItIsOneBeforeManyKeysAreReadThere(t *testing.T) {
	t.Parallel()
	r := openTo(t, bare(t, redistest.Start(t).Addr()))
	_, err := r.Get(bg, "p:k")
	require.NoError(t, err)
	m := r.routes.table.Load().masters[0]
	for range 20 { // the watch may ask too, now and then
		m.asked.Store(0)
		_, errs := r.GetMany(bg, []string{"p:k", "p:l"})
		require.NoError(t, errs[0])
		require.Positive(t, m.asked.Load())
	}
}

// Whatever the table says then, or says already.
func TestWhatWasHeardFromAMasterIsVoidWhenOneOfManyKeysHasMoved(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	r := openTo(t, cluster.Client())
	keys := []string{"p:moving"}
	_, errs := r.GetMany(bg, keys)
	require.NoError(t, errs[0])
	slot := slotOf(keys[0])
	from := slot * 3 / slots
	m := r.routes.table.Load().master(keys[0])
	soon(t, "heard", func() bool { return m.hearing().Fresh(clock.Now()) != coherence.No })
	epoch := m.hearing().Epoch()
	cluster.MoveSlot(slot, from, (from+1)%3)
	m.getMany(bg, keys, []int{0}, make([]Reply, 1), errs)
	require.ErrorContains(t, errs[0], "MOVED")
	assert.True(t, m.hearing().Fresh(clock.Now()) == coherence.No || m.hearing().Epoch() > epoch)
}

func TestAUserWhoMayNotUseMGETReadsManyKeysToo(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	admin := bare(t, s.Addr())
	require.NoError(t, admin.Do(bg, "acl", "setuser", "u", "on", "nopass", "~*", "&*", "+@all", "-mget").Err())
	require.NoError(t, admin.Set(bg, "p:k", "x", 0).Err())
	c := redis.NewClient(&redis.Options{Addr: s.Addr(), Username: "u", Password: "x"})
	defer func() { _ = c.Close() }()
	r := openTo(t, c)
	replies, errs := r.GetMany(bg, []string{"p:k", "p:l"})
	require.NoError(t, errs[0])
	require.NoError(t, errs[1])
	assert.Equal(t, "x", string(replies[0].Raw))
	assert.True(t, replies[1].Absent())
}

func TestManyLargeValuesAreReadAFewAtATime(t *testing.T) {
	t.Parallel()
	var u usual
	assert.Equal(t, 100, u.fits(100))
	u.took(100, 10*much)
	assert.Equal(t, 10, u.fits(100))
	u.took(1, 1)
	assert.InDelta(t, 11, u.fits(100), 1, "one short one says little")
	u.took(8, 8)
	assert.Equal(t, 100, u.fits(100))
	assert.False(t, u.late(20, redis.ErrClosed))
	assert.Equal(t, 100, u.fits(100))
	assert.True(t, u.late(20, context.DeadlineExceeded))
	assert.Equal(t, 5, u.fits(100))
	assert.True(t, u.late(1, context.DeadlineExceeded))
	assert.Equal(t, 1, u.fits(100))
}
