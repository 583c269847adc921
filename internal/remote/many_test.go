package remote

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
	var w manner
	assert.Equal(t, mostMany, w.width())
	w.took(100, 10*muchMany, nil)
	assert.Equal(t, 10, w.width())
	w.took(10, muchMany, nil)
	assert.Equal(t, 20, w.width(), "more are tried")
	w.took(5, 100, nil)
	assert.Equal(t, 20, w.width(), "few keys say nothing of many")
	w.took(20, 0, redis.ErrPoolTimeout)
	assert.Equal(t, 20, w.width())
	assert.False(t, w.careful())
	w.took(20, 0, context.DeadlineExceeded)
	assert.Equal(t, 5, w.width())
	assert.True(t, w.careful())
	w.took(1, 5*muchMany, nil)
	assert.Equal(t, 1, w.width())
}
