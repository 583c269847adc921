package remote

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

func openTo(t *testing.T, c redis.UniversalClient) *Remote {
	t.Helper()
	r, err := Open(complete(Config{Client: c, Read: 10 * time.Second, Write: 10 * time.Second,
		Logger: slog.New(slog.DiscardHandler), Restored: func() {}}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func bare(t *testing.T, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr, DialTimeout: 10 * time.Second})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// onEach runs a test against miniredis and a real server.
func onEach(t *testing.T, test func(t *testing.T, r *Remote, c *redis.Client)) {
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		c := bare(t, miniredis.RunT(t).Addr())
		test(t, openTo(t, c), c)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		c := bare(t, redistest.Start(t).Addr())
		test(t, openTo(t, c), c)
	})
}

func lease(token string) []byte {
	h := envelope.Head{Kind: envelope.Lease, Stamp: envelope.NewID("m"), Cache: envelope.NewID("c")}
	copy(h.Token[:], fmt.Sprintf("%-22s", token))
	return h.Append(nil)
}

func value(token, payload string) []byte {
	h := envelope.Head{Kind: envelope.Value, Stamp: envelope.NewID("m"), Cache: envelope.NewID("c")}
	copy(h.Token[:], fmt.Sprintf("%-22s", token))
	raw, err := envelope.Seal("k", h, envelope.Body{Payload: []byte(payload)}, nil)
	if err != nil {
		panic(err)
	}
	return raw
}

func TestAcquireTakesWhatIsFreeOrRejectedAndNothingElse(t *testing.T) {
	t.Parallel()
	const head = envelope.HeadLen
	onEach(t, func(t *testing.T, r *Remote, c *redis.Client) {
		for name, s := range map[string]struct {
			there  any // nil: nothing; "list": another type
			reject []byte
			won    bool
		}{
			"absent":                    {nil, nil, true},
			"an empty string":           {"", nil, true},
			"another type":              {"list", nil, true},
			"another's lease":           {lease("b"), nil, false},
			"a value":                   {value("b", "x"), nil, false},
			"a value, another rejected": {value("b", "x"), value("a", "x")[:head], false},
			"the rejected value":        {value("b", "x"), value("b", "x")[:head], true},
			"the rejected lease":        {lease("b"), lease("b"), true},
			"foreign, not rejected":     {"plain text", nil, false},
			"foreign and rejected":      {"plain text", []byte("plain text"), true},
			"grown since the rejection": {"plain text and more", []byte("plain text"), false},
		} {
			t.Run(name, func(t *testing.T) {
				require.NoError(t, c.Del(bg, "k").Err())
				switch s.there {
				case nil:
				case "list":
					require.NoError(t, c.RPush(bg, "k", 1).Err())
				default:
					require.NoError(t, c.Set(bg, "k", s.there, 0).Err())
				}
				won, standing, err := r.Acquire(bg, "k", lease("mine"), s.reject, time.Minute)
				require.NoError(t, err)
				assert.Equal(t, s.won, won)
				if s.won {
					assert.True(t, standing.Absent())
					assert.Equal(t, string(lease("mine")), c.Get(bg, "k").Val())
					assert.InDelta(t, time.Minute, c.PTTL(bg, "k").Val(), float64(10*time.Second))
					return
				}
				assert.Equal(t, fmt.Sprintf("%s", s.there), string(standing.Raw), "unchanged")
				assert.Equal(t, string(standing.Raw), c.Get(bg, "k").Val())
			})
		}
	})
}

func TestFillReleaseAndRenewNeedTheirLease(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *Remote, c *redis.Client) {
		for name, there := range map[string]any{
			"absent": nil, "another's lease": lease("b"), "a value": value("mine", "old"),
			"another type": "list", "text": "plain", "its lease": lease("mine"),
		} {
			t.Run(name, func(t *testing.T) {
				for op, do := range map[string]func() (bool, error){
					"fill":    func() (bool, error) { return r.Fill(bg, "k", lease("mine"), value("mine", "new"), time.Minute) },
					"release": func() (bool, error) { return r.Release(bg, "k", lease("mine")) },
					"renew":   func() (bool, error) { return r.Renew(bg, "k", lease("mine"), time.Minute) },
				} {
					require.NoError(t, c.Del(bg, "k").Err())
					switch there {
					case nil:
					case "list":
						require.NoError(t, c.RPush(bg, "k", 1).Err())
					default:
						require.NoError(t, c.Set(bg, "k", there, time.Second).Err())
					}
					before := c.Dump(bg, "k").Val()
					ok, err := do()
					require.NoError(t, err, op)
					if name != "its lease" {
						assert.False(t, ok, op)
						assert.Equal(t, before, c.Dump(bg, "k").Val(), "%s changed what was not its own", op)
						continue
					}
					assert.True(t, ok, op)
					switch op {
					case "fill":
						assert.Equal(t, string(value("mine", "new")), c.Get(bg, "k").Val())
						assert.Greater(t, c.PTTL(bg, "k").Val(), 30*time.Second)
					case "release":
						assert.Zero(t, c.Exists(bg, "k").Val())
					case "renew":
						assert.Equal(t, string(lease("mine")), c.Get(bg, "k").Val())
						assert.Greater(t, c.PTTL(bg, "k").Val(), 30*time.Second)
					}
				}
			})
		}
	})
}

func TestGetTellsNothingFromWhatIsNotAString(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *Remote, c *redis.Client) {
		require.NoError(t, c.Set(bg, "empty", "", 0).Err())
		require.NoError(t, c.HSet(bg, "hash", "a", 1).Err())
		require.NoError(t, c.Set(bg, "text", "x", 0).Err())
		for key, want := range map[string][]byte{"absent": nil, "empty": nil, "hash": {}, "text": []byte("x")} {
			reply, err := r.Get(bg, key)
			require.NoError(t, err)
			assert.Equal(t, want, reply.Raw, key)
		}
	})
}

func TestAPatternReachesEveryPageOfAScanAndSparesTheRest(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *Remote, c *redis.Client) {
		p := c.Pipeline()
		for i := range 5_000 {
			p.Set(bg, fmt.Sprintf("p:in:%d", i), "x", 0)
			p.Set(bg, fmt.Sprintf("p:out:%d", i), "x", 0)
		}
		p.Set(bg, "q:in:1", "x", 0)
		p.Set(bg, "p:~in:1", "x", 0)
		_, err := p.Exec(bg)
		require.NoError(t, err)

		n, err := r.DeleteMatching(bg, Sweep{Prefix: "p:", Pattern: "in:*"})
		require.NoError(t, err)
		assert.EqualValues(t, 5_000, n)
		assert.EqualValues(t, 5_002, c.DBSize(bg).Val())

		n, err = r.DeleteMatching(bg, Sweep{Prefix: "p:", Pattern: "*"})
		require.NoError(t, err)
		assert.EqualValues(t, 5_000, n)
		assert.EqualValues(t, 1, c.Exists(bg, "p:~in:1").Val(), "the reserved names match nothing")
		assert.EqualValues(t, 1, c.Exists(bg, "q:in:1").Val())
	})
}

func TestAScanEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := bare(t, miniredis.RunT(t).Addr())
	r := openTo(t, c)
	ctx, cancel := context.WithCancel(bg)
	cancel()
	_, err := r.DeleteMatching(ctx, Sweep{Prefix: "p:", Pattern: "*"})
	assert.ErrorIs(t, err, context.Canceled)
	_, failed, err := r.Unlink(ctx, []string{"a", "b"})
	assert.Error(t, err)
	assert.ElementsMatch(t, []string{"a", "b"}, failed)
	_, err = r.Get(bg, "a")
	assert.NoError(t, err, "a caller who gave up says nothing of the server")
}

func TestUnlinkCountsWhatWasThere(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *Remote, c *redis.Client) {
		var keys []string
		for i := range 2_500 {
			keys = append(keys, fmt.Sprint("k", i))
			if i%2 == 0 {
				require.NoError(t, c.Set(bg, keys[i], 1, 0).Err())
			}
		}
		n, failed, err := r.Unlink(bg, keys)
		require.NoError(t, err)
		assert.Empty(t, failed)
		assert.EqualValues(t, 1_250, n)
		assert.Zero(t, c.DBSize(bg).Val())
	})
}

func TestClientsThatCannotKeepThePromisesAreRefusedByName(t *testing.T) {
	t.Parallel()
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}})
	defer func() { _ = ring.Close() }()
	_, err := Open(Config{Client: ring})
	assert.ErrorContains(t, err, "*redis.Ring")
	_, err = Open(Config{Client: struct{ redis.UniversalClient }{}})
	assert.ErrorContains(t, err, "is not supported")
}

func TestTheUsersClientIsCopiedAndItsOnConnectCalled(t *testing.T) {
	t.Parallel()
	called := make(chan struct{}, 100)
	o := &redis.Options{Addr: miniredis.RunT(t).Addr(), MaxRetries: 7, OnConnect: func(context.Context, *redis.Conn) error {
		called <- struct{}{}
		return nil
	}}
	c := redis.NewClient(o)
	r := openTo(t, c)
	require.NoError(t, c.Close(), "the library's connections are its own")
	_, err := r.Get(bg, "k")
	require.NoError(t, err)
	<-called
	assert.Equal(t, 7, c.Options().MaxRetries)
	assert.Zero(t, r.routes.table.Load().masters[0].life.Load().rdb.Options().MaxRetries)
}

// complete gives a Config what every one needs.
func complete(cfg Config) Config {
	cfg.Prefix, cfg.Bound, cfg.Handler, cfg.Longest = "p:", time.Second, deafHandler{}, 1<<20
	cfg.Replayed = func(func(string) bool) bool { return true }
	if cfg.Restored == nil {
		cfg.Restored = func() {}
	}
	return cfg
}

type deafHandler struct{}

func (deafHandler) Changed(string) {}
func (deafHandler) Flushed()       {}
func (deafHandler) Message(string) {}
