package redistest

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inShard is a key of that shard in a cluster of three.
func inShard(t *testing.T, c *Cluster, shard int) string {
	t.Helper()
	ctx, client := t.Context(), c.Nodes()[0].Client()
	for i := range 1000 {
		key := "key:" + strconv.Itoa(i)
		if int(client.ClusterKeySlot(ctx, key).Val())*3/Slots == shard {
			return key
		}
	}
	t.Fatal("no key of that shard in a thousand")
	return ""
}

func TestAReplicaServesTheSlotsOfAMasterThatDies(t *testing.T) {
	t.Parallel()
	began := time.Now()
	c := StartClusterWithReplicas(t, 3, 1)
	t.Log("formed after", time.Since(began))
	ctx, client := t.Context(), c.Client()
	require.Len(t, c.Addrs(), 6)
	require.Equal(t, []*Server{c.nodes[4].Server}, c.Replicas(1))
	dead, living := inShard(t, c, 1), inShard(t, c, 0)
	require.NoError(t, client.Set(ctx, dead, "v", 0).Err())
	c.AwaitReplicas()

	old, replica := c.Nodes()[1], c.Replicas(1)[0]
	old.Kill()
	began = time.Now()
	require.NoError(t, c.Nodes()[0].Client().Set(ctx, living, "v", 0).Err(), "the others go on")
	require.Same(t, replica, c.AwaitFailover(1))
	t.Log("failed over after", time.Since(began))
	require.Same(t, replica, c.Nodes()[1])
	require.Equal(t, []*Server{old}, c.Replicas(1))
	require.Equal(t, "v", replica.Client().Get(ctx, dead).Val())
	require.NoError(t, replica.Client().Set(ctx, dead, "w", 0).Err())

	old.Restart()
	c.AwaitReplicas()
	assert.ErrorContains(t, old.Client().Set(ctx, dead, "x", 0).Err(), "MOVED", "the former master is a replica")
	began = time.Now()
	require.Same(t, old, c.Failover(1), "and can become the master again")
	t.Log("made the master again after", time.Since(began))
	assert.Equal(t, "w", old.Client().Get(ctx, dead).Val())
	assert.NoError(t, old.Client().Set(ctx, dead, "x", 0).Err())
}

func TestAPausedMasterOfAClusterIsReplacedAndASlotMovesToItsSuccessor(t *testing.T) {
	t.Parallel()
	c := StartClusterWithReplicas(t, 3, 1)
	ctx, key := t.Context(), inShard(t, c, 0)
	require.NoError(t, c.Nodes()[0].Client().Set(ctx, key, "v", 0).Err())
	old := c.Nodes()[2]
	old.Pause()
	master := c.AwaitFailover(2)
	require.NotSame(t, old, master)
	old.Resume()
	c.AwaitReplicas()

	c.MoveSlot(int(c.Nodes()[0].Client().ClusterKeySlot(ctx, key).Val()), 0, 2)
	assert.Equal(t, "v", master.Client().Get(ctx, key).Val())
	assert.Equal(t, "v", c.Client().Get(ctx, key).Val())
}

func TestAGracefulFailoverLosesNothingAndIsKnownToAll(t *testing.T) {
	t.Parallel()
	c := StartClusterWithReplicas(t, 2, 1) // both masters are there to vote
	ctx, old := t.Context(), c.Nodes()[1]
	client := c.Client()
	for i := range 100 {
		require.NoError(t, client.Set(ctx, "key:"+strconv.Itoa(i), i, 0).Err())
	}
	master := c.Failover(1)
	require.NotSame(t, old, master)
	for _, n := range c.nodes {
		seen, err := c.view(n)
		require.NoError(t, err)
		assert.True(t, seen[c.nodes[3].id].serves)
		assert.False(t, seen[c.nodes[1].id].serves)
	}
	for i := range 100 {
		require.Equal(t, strconv.Itoa(i), client.Get(ctx, "key:"+strconv.Itoa(i)).Val())
	}
}

func TestWhatACombinationOfNodesCannotDoFailsTheTestAtOnce(t *testing.T) {
	t.Parallel()
	lookup(t) // or skips, as every test here does
	r := &recorder{TB: t}
	r.run(func() { StartClusterWithReplicas(r, 0, 1) })
	assert.Contains(t, r.reason, "a cluster of 0 masters")

	c := StartCluster(r, 1)
	r.run(func() { c.Failover(0) })
	assert.Contains(t, r.reason, "no replica is up")
	r.run(func() { c.AwaitFailover(0) })
	assert.Contains(t, r.reason, "without a majority")
}
