package remote

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/redistest"
)

const outOfMemory = serverError("OOM command not allowed when used memory > 'maxmemory'. script: c69, on @user_script:7.")

func TestAShutValveLetsOneTryThroughAfterEachPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var lines log
		v := valve{log: slog.New(slog.NewTextHandler(&lines, nil))}
		trial, ok := v.admit()
		assert.True(t, ok)
		assert.False(t, trial)
		for range 3 {
			v.refused(outOfMemory)
		}
		for n := range 8 {
			pause := min(firstTry<<n, lastTry)
			time.Sleep(pause/2 - 1)
			_, ok = v.admit()
			assert.False(t, ok, "pause %d", n)
			assert.False(t, v.passes())
			time.Sleep(pause/2 + 1)
			assert.True(t, v.passes())
			for range 3 {
				trial, ok = v.admit()
				require.True(t, ok, "pause %d", n)
				require.True(t, trial)
				_, ok = v.admit()
				assert.False(t, ok, "one is on its way")
				v.tried(false, false) // it says nothing: the next may at once
			}
			_, _ = v.admit()
			v.refused(outOfMemory) // somebody else's, who was not held back
			v.tried(false, true)
		}
		time.Sleep(lastTry)
		_, ok = v.admit()
		require.True(t, ok)
		v.tried(true, false)
		trial, ok = v.admit()
		assert.True(t, ok)
		assert.False(t, trial)
		assert.Equal(t, 1, strings.Count(lines.String(), "takes no writes"))
		assert.Equal(t, 1, strings.Count(lines.String(), "takes writes again"))

		v.refused(outOfMemory)
		time.Sleep(lastTry/2 - 1)
		assert.False(t, v.passes(), "it was soon, so the pauses go on growing")
		time.Sleep(lastTry / 2)
		_, _ = v.admit()
		v.tried(true, false)
		time.Sleep(2 * steady)
		v.refused(outOfMemory)
		time.Sleep(firstTry)
		assert.True(t, v.passes())
	})
}

func TestOfManyWritersOneTries(t *testing.T) {
	t.Parallel()
	v := valve{log: slog.New(slog.DiscardHandler)}
	v.refused(outOfMemory)
	soon(t, "a try", v.passes)
	var trials atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if trial, ok := v.admit(); trial && ok {
				trials.Add(1)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 1, trials.Load())
}

// makers are the operations that only make values; removals must always be tried.
func makers(r *Remote) map[string]func() error {
	return map[string]func() error{
		"Acquire":  func() error { _, _, err := r.Acquire(bg, "p:new", lease("a"), nil, time.Minute); return err },
		"Fill":     func() error { _, err := r.Fill(bg, "p:k", lease("a"), value("a", "x"), time.Minute); return err },
		"Seize":    func() error { _, err := r.Seize(bg, "p:new", lease("a"), time.Minute); return err },
		"Renew":    func() error { _, err := r.Renew(bg, "p:k", lease("a"), time.Minute); return err },
		"TakeTurn": func() error { _, _, err := r.TakeTurn(bg, "p:turn", time.Minute); return err },
		"KeepTurn": func() error { return r.KeepTurn(bg, "p:turn", time.Minute) },
		"NewTag":   func() error { _, err := r.NewTag(bg, r.TagKey("t"), "", time.Minute); return err },
		"BearTag": func() error {
			_, err := r.BearTag(bg, r.TagKey("t"), envelope.NewToken(), Tick{}, time.Minute)
			return err
		},
	}
}

func removals(r *Remote) map[string]func() error {
	return map[string]func() error{
		"Release":        func() error { _, err := r.Release(bg, "p:k", lease("none")); return err },
		"EndTurn":        func() error { return r.EndTurn(bg, "p:turn", 0) },
		"Unlink":         func() error { _, _, err := r.Unlink(bg, []string{"p:k"}); return err },
		"Expire":         func() error { _, _, err := r.Expire(bg, []string{"p:k"}, freshToken); return err },
		"DeleteMatching": func() error { _, err := r.DeleteMatching(bg, Sweep{Prefix: "p:", Pattern: "*"}); return err },
		"Mark":           func() error { _, err := r.Mark(bg, "p:k", freshToken(), time.Minute); return err },
		"Unmark":         func() error { _, err := r.Unmark(bg, "p:k", freshToken()); return err },
		"TurnTag":        func() error { return r.TurnTag(bg, r.TagKey("t"), time.Minute, nil, nil, 0) },
		"Tick":           func() error { _, err := r.Tick(bg); return err },
		"Publish":        func() error { return r.Publish(bg, "x") },
	}
}

func TestARedisWithoutMemoryIsReadAndNotDown(t *testing.T) {
	t.Parallel()
	setting := func(name, value string) func(*testing.T, *redis.Client) {
		return func(t *testing.T, admin *redis.Client) { require.NoError(t, admin.ConfigSet(bg, name, value).Err()) }
	}
	for name, c := range map[string]struct {
		begin, end func(*testing.T, *redis.Client)
		removes    bool // while it lasts
	}{
		"no memory":   {setting("maxmemory", "1"), setting("maxmemory", "0"), true},
		"no replicas": {setting("min-replicas-to-write", "1"), setting("min-replicas-to-write", "0"), false},
		"no disk":     {unableToSave, setting("stop-writes-on-bgsave-error", "no"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, "--maxmemory-policy", "noeviction")
			admin := bare(t, s.Addr())
			var lines log
			r, err := Open(complete(Config{Client: bare(t, s.Addr()), Read: 10 * time.Second, Write: 10 * time.Second,
				Logger: slog.New(slog.NewTextHandler(&lines, nil))}))
			require.NoError(t, err)
			t.Cleanup(func() { _ = r.Close() })
			soon(t, "connected", func() bool { _, ms := r.Health(); return ms[0].Connected })
			require.NoError(t, admin.Set(bg, "p:k", value("a", "x"), 0).Err())
			require.NoError(t, admin.Set(bg, "p:gone", value("a", "x"), 0).Err())
			require.True(t, r.Writable("p:k"))

			c.begin(t, admin)
			_, _, err = r.Acquire(bg, "p:new", lease("a"), nil, time.Minute)
			require.Error(t, err)
			require.NotErrorIs(t, err, ErrReadOnly, "the first one is tried")
			_, ms := r.Health()
			assert.Equal(t, "read-only", ms[0].State)
			assert.True(t, ms[0].Connected)
			assert.Zero(t, ms[0].Opens)

			// The tries grow to seconds apart, so most of these are not sent.
			notSent := make(map[string]bool)
			soon(t, "nothing that makes a value is sent", func() bool {
				for op, do := range makers(r) {
					notSent[op] = notSent[op] || assert.ObjectsAreEqual(ErrReadOnly, do())
				}
				for op := range makers(r) {
					if !notSent[op] {
						return false
					}
				}
				return !r.Writable("p:k")
			})
			require.True(t, r.Usable("p:k"))
			reply, err := r.Get(bg, "p:k")
			require.NoError(t, err)
			assert.False(t, reply.Absent())
			_, err = r.Heads(bg, []string{"p:k"})
			require.NoError(t, err)
			for op, do := range removals(r) {
				assert.NotErrorIs(t, do(), ErrReadOnly, op)
				assert.NotErrorIs(t, do(), ErrUnavailable, op)
			}
			if c.removes {
				_, _, err := r.Unlink(bg, []string{"p:gone", "p:k"})
				require.NoError(t, err)
				assert.Zero(t, admin.Exists(bg, "p:gone", "p:k").Val())
			}
			assert.True(t, r.Usable("p:k"), "none of this is an outage")

			c.end(t, admin)
			soon(t, "written again", func() bool {
				won, _, err := r.Acquire(bg, "p:new", lease("a"), lease("a"), time.Minute)
				return won && err == nil
			})
			for op, do := range makers(r) {
				assert.NoError(t, do(), op)
			}
			assert.True(t, r.Writable("p:k"))
			_, ms = r.Health()
			assert.Equal(t, "closed", ms[0].State)
			assert.Zero(t, ms[0].NextProbe)
			assert.Zero(t, ms[0].Opens)
			assert.Equal(t, 1, strings.Count(lines.String(), "takes no writes"))
			assert.Equal(t, 1, strings.Count(lines.String(), "takes writes again"))
			assert.NotContains(t, lines.String(), "out of use")
		})
	}
}

// unableToSave puts a directory where the server saves to.
func unableToSave(t *testing.T, admin *redis.Client) {
	t.Helper()
	dir := admin.ConfigGet(bg, "dir").Val()["dir"]
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dump.rdb"), 0o700))
	require.NoError(t, admin.ConfigSet(bg, "save", "3600 1").Err())
	require.NoError(t, admin.BgSave(bg).Err())
	soon(t, "it has failed to save", func() bool { return redis.HasErrorPrefix(admin.Ping(bg).Err(), "MISCONF") })
}

// A server that is filled up, and not told to be full: what it answers at the limit.
func TestARedisThatIsFilledUpIsReadOnlyUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
	admin := bare(t, s.Addr())
	r := openTo(t, admin)
	soon(t, "connected", func() bool { _, ms := r.Health(); return ms[0].Connected })
	large := value("a", strings.Repeat("x", 20_000))
	var keys []string
	soon(t, "full", func() bool {
		key := fmt.Sprint("p:", len(keys))
		if won, _, err := r.Acquire(bg, key, lease("a"), nil, time.Minute); won && err == nil {
			_, _ = r.Fill(bg, key, lease("a"), large, time.Minute)
		}
		keys = append(keys, key)
		_, ms := r.Health()
		return ms[0].State == "read-only"
	})
	reply, err := r.Get(bg, keys[0])
	require.NoError(t, err)
	assert.Equal(t, string(large), string(reply.Raw))
	n, failed, err := r.Unlink(bg, keys)
	require.NoError(t, err)
	assert.Empty(t, failed)
	assert.Positive(t, n)
	soon(t, "written again", func() bool {
		_, _, _ = r.Acquire(bg, "p:new", lease("a"), lease("a"), time.Minute)
		_, ms := r.Health()
		return ms[0].State == "closed"
	})
	_, ms := r.Health()
	assert.Zero(t, ms[0].Opens)
}

// What only some servers say, and no script of ours makes this one say.
func TestWritesThatAreRefusedInOtherWords(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no disk":          "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
		"no disk, Redis 6": "ERR Error running script (call to f_c69): @user_script:7: @user_script: 7: -MISCONF Redis is configured to save RDB snapshots",
		"a quota of bytes": "ERR DB capacity quota exceeded. Threshold: 268435456 bytes",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := miniredis.RunT(t)
			r := openTo(t, bare(t, m.Addr()))
			_, err := r.Get(bg, "k")
			require.NoError(t, err)
			var refuse atomic.Bool
			refuse.Store(true)
			m.Server().SetPreHook(func(peer *server.Peer, cmd string, _ ...string) bool {
				if refuse.Load() && strings.HasPrefix(cmd, "EVAL") {
					peer.WriteError(text)
					return true
				}
				return false
			})
			_, _, err = r.Acquire(bg, "k", lease("a"), nil, time.Minute)
			require.ErrorContains(t, err, text)
			_, ms := r.Health()
			require.Equal(t, "read-only", ms[0].State)
			_, err = r.Get(bg, "k")
			require.NoError(t, err)
			refuse.Store(false)
			soon(t, "written", func() bool { won, _, _ := r.Acquire(bg, "k", lease("a"), lease("a"), time.Minute); return won })
			assert.True(t, r.Writable("k"))
		})
	}
}

func TestAQuotaThatRefusesReadsOpensTheCircuitUntilItIsRaised(t *testing.T) {
	t.Parallel()
	const quota = "ERR max requests limit exceeded. Limit: 500000, Usage: 500000."
	for name, refused := range map[string]func(cmd string) bool{
		"everything":       func(string) bool { return true },
		"all but who asks": func(cmd string) bool { return strings.HasPrefix(cmd, "GET") || strings.HasPrefix(cmd, "EVAL") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := miniredis.RunT(t)
			var lines log
			r, err := Open(complete(Config{Client: bare(t, m.Addr()), Read: 10 * time.Second, Write: 10 * time.Second,
				Logger: slog.New(slog.NewTextHandler(&lines, nil))}))
			require.NoError(t, err)
			t.Cleanup(func() { _ = r.Close() })
			_, err = r.Get(bg, "k")
			require.NoError(t, err)
			var refuse atomic.Bool
			m.Server().SetPreHook(func(peer *server.Peer, cmd string, _ ...string) bool {
				if refuse.Load() && refused(strings.ToUpper(cmd)) {
					peer.WriteError(quota)
					return true
				}
				return false
			})
			refuse.Store(true)
			_, err = r.Get(bg, "k")
			require.Error(t, err)
			_, err = r.Get(bg, "k")
			require.ErrorIs(t, err, ErrUnavailable, "one such answer is enough")
			require.False(t, r.Writable("k"))
			one := r.routes.table.Load().masters[0]
			soon(t, "probed a few times", func() bool {
				one.circuit.mu.Lock()
				defer one.circuit.mu.Unlock()
				return one.circuit.pause >= 8*firstProbe
			})
			assert.True(t, one.circuit.is(open), "it would fall over its first read")
			refuse.Store(false)
			soon(t, "in use", func() bool { return r.Usable("k") })
			_, err = r.Get(bg, "k")
			require.NoError(t, err)
			assert.NotContains(t, lines.String(), "another incarnation", "who refuses to say who he is, is not somebody else")
			assert.Equal(t, 1, strings.Count(lines.String(), "out of use"))
		})
	}
}

// A trial whose caller gives up, or that panics on its way, is over.
func TestATrialThatSaysNothingLeavesTheTryToTheNext(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	r := openTo(t, bare(t, m.Addr()))
	_, err := r.Get(bg, "k")
	require.NoError(t, err)
	one := r.routes.table.Load().masters[0]
	for name, try := range map[string]func(){
		"a caller who gave up": func() {
			ctx, cancel := context.WithCancel(bg)
			cancel()
			_, _, _ = r.Acquire(ctx, "k", lease("a"), nil, time.Minute)
		},
		"nothing to write": func() { _, _ = r.Fill(bg, "k", lease("none"), value("a", "x"), time.Minute) },
		"a panic": func() {
			defer func() { _ = recover() }()
			_ = one.store(bg, time.Second, func(context.Context, *life) (bool, error) { panic("user's") })
		},
	} {
		one.valve.refused(outOfMemory)
		soon(t, name, func() bool { return r.Writable("k") })
		try()
		assert.True(t, one.valve.shut.Load(), name)
		assert.True(t, r.Writable("k"), name)
	}
	_, err = r.Seize(bg, "k", lease("a"), time.Minute)
	require.NoError(t, err)
	assert.False(t, one.valve.shut.Load())
}
