package redistest

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAServerRestartsFromAnOldSnapshotAsOftenAsNeeded(t *testing.T) {
	t.Parallel()
	s := Start(t)
	ctx, client := t.Context(), s.Client()
	require.NoError(t, client.Set(ctx, "k", "old", 0).Err())
	s.Snapshot()
	require.NoError(t, client.Set(ctx, "k", "new", 0).Err())
	require.NoError(t, client.Save(ctx).Err())

	s.Restart()
	require.Equal(t, "new", client.Get(ctx, "k").Val(), "a save after the snapshot is Restart's")
	s.RestartFromSnapshot()
	require.Equal(t, "old", client.Get(ctx, "k").Val())
	s.RestartEmpty()
	require.ErrorIs(t, client.Get(ctx, "k").Err(), redis.Nil)
	s.Kill()
	s.RestartFromSnapshot()
	require.Equal(t, "old", client.Get(ctx, "k").Val(), "kept over RestartEmpty and Kill")

	require.NoError(t, client.Set(ctx, "k", "newer", 0).Err())
	s.Snapshot()
	s.RestartFromSnapshot()
	assert.Equal(t, "newer", client.Get(ctx, "k").Val(), "the last snapshot counts")
}

func TestRestartEmptyForgetsAnAppendOnlyFile(t *testing.T) {
	t.Parallel()
	s := Start(t, "--appendonly", "yes", "--appendfsync", "always")
	ctx, client := t.Context(), s.Client()
	require.NoError(t, client.Set(ctx, "k", "v", 0).Err())
	s.Restart()
	require.Equal(t, "v", client.Get(ctx, "k").Val())
	s.RestartEmpty()
	assert.ErrorIs(t, client.Get(ctx, "k").Err(), redis.Nil)
}

func TestASnapshotThatCouldNotBeReadBackIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		do   func(*Server)
		want string
	}{
		"an append-only file would be read instead": {[]string{"--appendonly", "yes"}, (*Server).Snapshot, "appendonly is yes, not no"},
		"another file would be read":                {[]string{"--dbfilename", "x"}, (*Server).Snapshot, "dbfilename is x, not dump.rdb"},
		"none was taken":                            {nil, (*Server).RestartFromSnapshot, "none was taken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lookup(t) // or skips, as every test here does
			r := &recorder{TB: t}
			s := Start(r, c.args...)
			r.run(func() { c.do(s) })
			assert.Equal(t, "fatal", r.verdict)
			assert.Contains(t, r.reason, c.want)
		})
	}
}

func TestAReplicaHasWhatItsMasterHasAndRefusesWrites(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"open": nil, "with a password": {"--requirepass", "open sesame"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			master := Start(t, args...)
			ctx := t.Context()
			require.NoError(t, master.Client().Set(ctx, "k", "v", 0).Err())
			replica := master.StartReplica("--maxmemory", "9mb")
			client := replica.Client()
			require.Equal(t, "v", client.Get(ctx, "k").Val(), "in sync when it is returned")
			require.ErrorContains(t, client.Set(ctx, "k", "w", 0).Err(), "READONLY")
			require.Equal(t, "9437184", client.ConfigGet(ctx, "maxmemory").Val()["maxmemory"])

			replica.Restart()
			require.ErrorContains(t, client.Set(ctx, "k", "w", 0).Err(), "READONLY", "it is still one")

			master.Kill()
			replica.Promote()
			require.NoError(t, client.Set(ctx, "k", "w", 0).Err())
			replica.Restart()
			require.NoError(t, client.Set(ctx, "k", "x", 0).Err(), "it is still a master")

			master.Restart()
			require.NoError(t, master.Client().Set(ctx, "k", "other", 0).Err(), "its former master does not know")
			master.Follow(replica)
			assert.Equal(t, "x", master.Client().Get(ctx, "k").Val())
		})
	}
}
