package redistest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSentinelsReplaceAMasterThatDies(t *testing.T) {
	t.Parallel()
	began := time.Now()
	set := StartSentinel(t, 2, 3)
	t.Log("formed after", time.Since(began))
	ctx, client := t.Context(), set.Client()
	require.Len(t, set.SentinelAddrs(), 3)
	old := set.Master()
	require.NoError(t, client.Set(ctx, "k", "v", 0).Err())
	require.Equal(t, "v", old.Client().Get(ctx, "k").Val(), "the client found the master")
	set.AwaitReplicas()

	old.Kill()
	began = time.Now()
	master := set.AwaitMaster(old.Addr())
	t.Log("failed over after", time.Since(began))
	require.NotSame(t, old, master)
	assert.Same(t, master, set.Master())
	assert.Equal(t, "v", master.Client().Get(ctx, "k").Val())
	eventually(t, func() bool { return client.Set(ctx, "k", "w", 0).Err() == nil })
	assert.Equal(t, "w", master.Client().Get(ctx, "k").Val(), "the client follows")

	old.Restart()
	set.AwaitReplicas()
	assert.Equal(t, "w", old.Client().Get(ctx, "k").Val())
	assert.ErrorContains(t, old.Client().Set(ctx, "k", "x", 0).Err(), "READONLY")
	assert.Contains(t, set.Replicas(), old)
	assert.NotContains(t, set.Replicas(), master)
	require.Len(t, set.Replicas(), 2)

	master.Restart()
	assert.NoError(t, master.Client().Set(ctx, "k", "y", 0).Err(), "a replica that was promoted is a master when it starts again")
}

func TestSentinelsFailOverAMasterThatLivesTwiceInARow(t *testing.T) {
	t.Parallel()
	set := StartSentinel(t, 1, 3)
	first := set.Master()
	second := set.Failover()
	require.NotSame(t, first, second)
	set.AwaitReplicas()
	require.NoError(t, second.Client().Set(t.Context(), "k", "v", 0).Err())
	require.Same(t, first, set.Failover())
	set.AwaitReplicas()
	assert.Equal(t, []*Server{second}, set.Replicas())
	assert.ErrorContains(t, second.Client().Set(t.Context(), "k", "w", 0).Err(), "READONLY")
}

func TestAPausedMasterIsReplacedAndMadeAReplicaWhenItResumes(t *testing.T) {
	t.Parallel()
	set := StartSentinel(t, 1, 3)
	old := set.Master()
	set.Sentinels()[0].Kill() // two of three are a majority
	old.Pause()
	master := set.AwaitMaster(old.Addr())
	require.NoError(t, master.Client().Set(t.Context(), "k", "new", 0).Err())
	old.Resume()
	set.AwaitReplicas()
	assert.Equal(t, "new", old.Client().Get(t.Context(), "k").Val())
}

func TestASetWithoutSentinelsIsRefused(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	r.run(func() { StartSentinel(r, 1, 0) })
	assert.Equal(t, "fatal", r.verdict)
	assert.Contains(t, r.reason, "1 replicas with 0 sentinels")
}
