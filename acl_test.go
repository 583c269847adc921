package tiercache_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// aclDocs is what docs/redis.md says of users: the rules of the smallest one, what
// a cluster needs besides, and what some clients' options do; and for each
// permission what is lost without it.
type aclDocs struct {
	smallest, cluster, options []string
	lost                       map[string]string
}

func readACL(t *testing.T) (d aclDocs) {
	t.Helper()
	raw, err := os.ReadFile("docs/redis.md")
	require.NoError(t, err)
	text := string(raw)
	blocks := regexp.MustCompile("(?s)```\nACL SETUSER svc (.*?)\n```").FindAllStringSubmatch(text, -1)
	require.Len(t, blocks, 3, "one server, a cluster, options")
	d = aclDocs{
		smallest: strings.Fields(blocks[0][1]), cluster: strings.Fields(blocks[1][1]), options: strings.Fields(blocks[2][1]),
		lost: make(map[string]string),
	}
	permission := regexp.MustCompile("`([+~&][^` ]+)`")
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|")
		if len(cells) != 4 {
			continue
		}
		for _, m := range permission.FindAllStringSubmatch(cells[1], -1) {
			name := strings.ReplaceAll(m[1], "\x00", "|")
			require.NotContains(t, d.lost, name, "twice in the table")
			d.lost[name] = strings.TrimSpace(cells[2])
		}
	}
	return d
}

// permissions are the rules that allow something.
func permissions(rules []string) (out []string) {
	for _, r := range rules {
		if strings.Contains("+~&", r[:1]) {
			out = append(out, r)
		}
	}
	return out
}

// without is all rules but one.
func without(rules []string, permission string) []string {
	return slices.DeleteFunc(slices.Clone(rules), func(r string) bool { return r == permission })
}

// become makes the user svc of s what the rules say.
func become(t *testing.T, s *redistest.Server, rules []string) {
	t.Helper()
	args := []any{"ACL", "SETUSER", "svc"}
	for _, r := range rules {
		args = append(args, r)
	}
	require.NoError(t, s.Client().Do(bg, args...).Err())
}

func asUser(t *testing.T, s *redistest.Server, rules []string, change ...func(*redis.Options)) tiercache.Config {
	t.Helper()
	become(t, s, rules)
	o := &redis.Options{Addr: s.Addr(), Username: "svc", Password: "secret", DialTimeout: 10 * time.Second}
	for _, c := range change {
		c(o)
	}
	rdb := redis.NewClient(o)
	t.Cleanup(func() { _ = rdb.Close() })
	cfg := patient(rdb)
	cfg.Prefix = "shop:"
	return cfg
}

// refusals are the commands, keys and channels that the server has refused.
func refusals(t *testing.T, s *redistest.Server) (out []string) {
	t.Helper()
	entries, err := s.Client().ACLLog(bg, 100).Result()
	require.NoError(t, err)
	for _, e := range entries {
		// The handshake of go-redis, which does not care for the answer.
		if e.Object != "client|setinfo" {
			out = append(out, e.Reason+" "+e.Object)
		}
	}
	return out
}

// everything is what two nodes can do with each other, each of it with its effect.
func everything(t *testing.T, a, b *tiercache.Tiers) {
	t.Helper()
	hear(t, a, b)
	opts := tiercache.Options[int]{Tags: func(int) []string { return []string{"red"} }}
	here, there := newCache(t, a, opts), newCache(t, b, opts)
	version := 0
	for name, change := range map[string]func() error{
		"delete":  func() error { return here.Delete(bg, "k:1", "k:2") },
		"tag":     func() error { _, err := a.Invalidate(bg, tiercache.Tag("red")); return err },
		"pattern": func() error { _, err := here.InvalidatePattern(bg, "k:*"); return err },
		"clear":   func() error { return here.Clear(bg) },
		"mutate": func() error {
			_, err := a.Mutate(bg, func(context.Context) error { return nil }, tiercache.Key("k:1"), tiercache.Key("k:2"))
			return err
		},
	} {
		version++
		for _, key := range []string{"k:1", "k:2"} {
			store(t, here, key, value(version))
			v, err := there.GetOrLoad(bg, key, unwanted[int](t))
			require.NoError(t, err, name)
			require.Equal(t, version, v, name)
			require.Equal(t, version, inMemory(t, there, key), name)
		}
		require.NoError(t, change(), name)
		for _, key := range []string{"k:1", "k:2"} {
			soon(t, name+" is heard", func() bool { _, ok, err := there.Get(bg, key); return err == nil && !ok })
		}
	}
	many := map[string]int{"k:1": 98, "k:2": 99}
	require.NoError(t, here.SetMany(bg, many))
	got, err := there.GetOrLoadMany(bg, []string{"k:1", "k:2"}, func(context.Context, []string) (map[string]int, error) {
		t.Error("nothing is to be loaded")
		return nil, nil
	}, tiercache.Fresh())
	require.NoError(t, err)
	require.Equal(t, many, got)
	require.NoError(t, here.Set(bg, "k:1", 100))
	v, err := there.GetOrLoad(bg, "k:1", unwanted[int](t), tiercache.Fresh())
	require.NoError(t, err)
	require.Equal(t, 100, v)
	r, err := a.Expire(bg, tiercache.Key("k:1"))
	require.NoError(t, err)
	require.Equal(t, tiercache.Report{Keys: 1}, r)
	soon(t, "a value that has expired is loaded anew", func() bool {
		v, err := there.GetOrLoad(bg, "k:1", value(101))
		return err == nil && v == 101
	})
	for _, n := range []*tiercache.Tiers{a, b} {
		assert.Zero(t, n.Health().Queued)
		assert.Zero(t, n.Stats().Total.Errors)
		assert.Zero(t, n.Stats().InvalidationErrors)
	}
}

func TestTheSmallestUserOfTheDocsCanDoEverything(t *testing.T) {
	t.Parallel()
	d := readACL(t)
	t.Run("one server", func(t *testing.T) {
		t.Parallel()
		s := redistest.Start(t)
		cfg := asUser(t, s, d.smallest)
		a, b := open(t, cfg), open(t, cfg)
		everything(t, a, b)
		assert.Equal(t, "tracking", a.Health().Masters[0].Hearing)
		assert.NotEmpty(t, a.Health().Masters[0].Stamp)
		assert.Zero(t, commands(t, s, "publish"), "who hears all by tracking need not be told")
		assert.Empty(t, refusals(t, s))
	})
	t.Run("a node that may not track", func(t *testing.T) {
		t.Parallel()
		s := redistest.Start(t)
		cfg := asUser(t, s, without(d.smallest, "+client|tracking"))
		everything(t, open(t, cfg), open(t, cfg))
		assert.Equal(t, []string{"command client|tracking"}, refusals(t, s))
	})
	t.Run("options", func(t *testing.T) {
		t.Parallel()
		s := redistest.Start(t)
		cfg := asUser(t, s, slices.Concat(d.smallest, d.options), withOptions)
		everything(t, open(t, cfg), open(t, cfg))
		assert.Empty(t, refusals(t, s))
	})
	t.Run("a cluster", func(t *testing.T) {
		t.Parallel()
		c := redistest.StartCluster(t, 2)
		cfg := asUserOfCluster(t, c, slices.Concat(d.smallest, d.cluster))
		everything(t, open(t, cfg), open(t, cfg))
		for _, s := range c.Nodes() {
			assert.Empty(t, refusals(t, s))
		}
	})
}

func withOptions(o *redis.Options) { o.DB, o.ClientName = 2, "a-service" }

func asUserOfCluster(t *testing.T, c *redistest.Cluster, rules []string) tiercache.Config {
	t.Helper()
	for _, s := range c.Nodes() {
		become(t, s, rules)
	}
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), Username: "svc", Password: "secret", DialTimeout: 10 * time.Second})
	t.Cleanup(func() { _ = rdb.Close() })
	cfg := patient(rdb)
	cfg.Prefix = "shop:"
	return cfg
}

// Each permission in turn is taken from the smallest user, and what the docs say
// is lost is lost.
func TestWithoutAPermissionIsLostWhatTheDocsSay(t *testing.T) {
	t.Parallel()
	d := readACL(t)
	var named []string
	for p := range d.lost {
		named = append(named, p)
	}
	all := slices.Concat(permissions(d.smallest), d.cluster, d.options)
	require.ElementsMatch(t, all, named, "the rules and the table name the same")
	for _, p := range all {
		t.Run(p, func(t *testing.T) {
			t.Parallel()
			switch {
			case slices.Contains(d.options, p):
				require.Contains(t, d.lost[p], "not used")
				refused(t, slices.Concat(d.smallest, without(d.options, p)), p, withOptions)
			case slices.Contains(d.cluster, p):
				c := redistest.StartCluster(t, 2)
				whole := slices.Concat(d.smallest, d.cluster)
				require.Contains(t, lostInACluster, p)
				lostInACluster[p](t, c, asUserOfCluster(t, c, without(whole, p)), whole)
			case lostAlone[p] != nil:
				s := redistest.Start(t)
				lostAlone[p](t, s, asUser(t, s, without(d.smallest, p)))
			default:
				require.Contains(t, d.lost[p], "not used")
				refused(t, without(d.smallest, p), p)
			}
		})
	}
}

// refused is a server that a cache cannot be used with: nothing is stored that
// could not be invalidated, and the log says why.
func refused(t *testing.T, rules []string, permission string, change ...func(*redis.Options)) {
	t.Helper()
	s := redistest.Start(t)
	cfg := asUser(t, s, rules, change...)
	var log lines
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	tiers := nothingIsStored(t, s, cfg)
	why := whyOutOfUse(t, &log)
	// Redis 7.0 does not say which command a script may not run.
	if !strings.Contains(why, "The user executing the script can't run this command") {
		assert.Contains(t, why, "NOPERM")
		if command, ok := strings.CutPrefix(permission, "+"); ok {
			assert.Contains(t, why, command)
		}
	}
	assert.False(t, tiers.Health().Connected)
}

// nothingIsStored in s by a node that loads all the same.
func nothingIsStored(t *testing.T, s *redistest.Server, cfg tiercache.Config) *tiercache.Tiers {
	t.Helper()
	tiers := open(t, cfg)
	cache := newCache(t, tiers, tiercache.Options[int]{})
	for v := range 3 {
		require.NoError(t, cache.Delete(bg, "k"))
		got, err := cache.GetOrLoad(bg, "k", value(v))
		require.NoError(t, err)
		require.Equal(t, v, got)
	}
	for db := range 3 {
		rdb := redis.NewClient(&redis.Options{Addr: s.Addr(), DB: db})
		assert.Zero(t, rdb.Exists(bg, "shop:k").Val())
		require.NoError(t, rdb.Close())
	}
	assert.Positive(t, tiers.Health().Queued, "the Deletes")
	return tiers
}

// hearsBy waits until the node is connected and hears like that.
func hearsBy(t *testing.T, tiers *tiercache.Tiers, mode string) {
	t.Helper()
	soon(t, mode, func() bool { h := tiers.Health(); return h.Connected && h.Masters[0].Hearing == mode })
}

// lostAlone are the permissions that one server can be used without.
var lostAlone = map[string]func(t *testing.T, s *redistest.Server, cfg tiercache.Config){
	"&shop:~*":         memoryServesNothing("none"),
	"+subscribe":       memoryServesNothing("none"),
	"+ping":            memoryServesNothing("connecting"),
	"+client|tracking": othersChangesAreNotHeard,
	"+publish": func(t *testing.T, s *redistest.Server, cfg tiercache.Config) {
		tracks := open(t, cfg)
		hear(t, tracks)
		_, err := tracks.Invalidate(bg, tiercache.Key("k"))
		require.NoError(t, err)
		require.Zero(t, tracks.Health().Queued, "everybody tracks")
		poor := cfg
		poor.Redis = user(t, s, "-client|tracking")
		other := open(t, poor)
		hearsBy(t, other, "pubsub")
		hear(t, other)
		_, err = tracks.Invalidate(bg, tiercache.Key("k"))
		require.NoError(t, err)
		assert.Positive(t, tracks.Health().Queued)
	},
	"+pubsub|numsub": func(t *testing.T, s *redistest.Server, cfg tiercache.Config) {
		tiers := open(t, cfg)
		hear(t, tiers)
		before := commands(t, s, "publish")
		_, err := tiers.Invalidate(bg, tiercache.Key("k"))
		require.NoError(t, err)
		assert.Equal(t, before+1, commands(t, s, "publish"), "nobody needed it")
	},
	"+mget": func(t *testing.T, s *redistest.Server, cfg tiercache.Config) {
		tiers := open(t, cfg)
		hear(t, tiers)
		cache := newCache(t, tiers, tiercache.Options[int]{})
		want := map[string]int{"k:1": 1, "k:2": 2}
		require.NoError(t, cache.SetMany(bg, want))
		before := commands(t, s, "getrange")
		got, err := cache.GetOrLoadMany(bg, []string{"k:1", "k:2"}, func(context.Context, []string) (map[string]int, error) {
			return nil, errors.New("nothing is to be loaded")
		}, tiercache.Fresh())
		require.NoError(t, err)
		assert.Equal(t, want, got)
		assert.GreaterOrEqual(t, commands(t, s, "getrange"), before+2)
	},
	"+info": func(t *testing.T, _ *redistest.Server, cfg tiercache.Config) {
		tiers := open(t, cfg)
		hear(t, tiers)
		hearsBy(t, tiers, "tracking")
		assert.Empty(t, tiers.Health().Masters[0].Stamp)
	},
	"+scan": func(t *testing.T, _ *redistest.Server, cfg tiercache.Config) {
		tiers := open(t, cfg)
		hear(t, tiers)
		cache := newCache(t, tiers, tiercache.Options[int]{})
		require.NoError(t, cache.Delete(bg, "k"))
		require.NoError(t, cache.Clear(bg))
		_, err := tiers.Invalidate(bg, tiercache.Tag("red"))
		require.NoError(t, err)
		require.Zero(t, tiers.Health().Queued)
		r, err := cache.InvalidatePattern(bg, "k*")
		require.NoError(t, err)
		assert.True(t, r.Queued)
	},
	// Once a minute: in fake time, so on miniredis, which refuses it too.
	"+touch": func(t *testing.T, _ *redistest.Server, _ tiercache.Config) {
		inBubble(t, func(b bubble) {
			var mu sync.Mutex // guards touched
			var touched []string
			first := b.node() // miniredis has no Server before
			hear(b.T, first)
			b.mini.Server().SetPreHook(func(c *server.Peer, cmd string, args ...string) bool {
				if cmd != "TOUCH" {
					return false
				}
				mu.Lock()
				defer mu.Unlock()
				touched = append(touched, args...)
				c.WriteError("NOPERM this user has no permissions to run the 'touch' command")
				return true
			})
			tiers := b.node()
			cache := newCache(b.T, tiers, tiercache.Options[int]{})
			store(b.T, cache, "k", value(1), tiercache.WithTags("red"))
			time.Sleep(time.Minute + time.Second)
			synctest.Wait()
			mu.Lock()
			assert.Contains(b, touched, "t:~t:red")
			mu.Unlock()
			_, err := cache.GetOrLoad(bg, "k", unwanted[int](b.T))
			require.NoError(b, err)
		})
	},
}

// memoryServesNothing: every read asks Redis, and is right.
func memoryServesNothing(mode string) func(t *testing.T, s *redistest.Server, cfg tiercache.Config) {
	return func(t *testing.T, s *redistest.Server, cfg tiercache.Config) {
		tiers := open(t, cfg)
		hearsBy(t, tiers, mode)
		cache := newCache(t, tiers, tiercache.Options[int]{})
		store(t, cache, "k", value(1))
		before := cache.Stats().RedisHits
		for range 5 {
			v, err := cache.GetOrLoad(bg, "k", unwanted[int](t))
			require.NoError(t, err)
			require.Equal(t, 1, v)
		}
		assert.Equal(t, before+5, cache.Stats().RedisHits)
		assert.Zero(t, cache.Stats().MemoryHits)
		assert.False(t, tiers.Health().Masters[0].Fresh)
	}
}

func othersChangesAreNotHeard(t *testing.T, s *redistest.Server, cfg tiercache.Config) {
	a, b := open(t, cfg), open(t, cfg)
	hearsBy(t, a, "pubsub")
	hear(t, a, b)
	here, there := newCache(t, a, tiercache.Options[int]{}), newCache(t, b, tiercache.Options[int]{})
	store(t, here, "k", value(1))
	inMemory(t, there, "k")
	require.NoError(t, s.Client().Del(bg, "shop:k").Err())
	v, err := there.GetOrLoad(bg, "k", value(2))
	require.NoError(t, err)
	assert.Equal(t, 1, v, "what redis-cli deletes stays in memory")
	require.NoError(t, here.Delete(bg, "k"))
	soon(t, "what the library deletes does not", func() bool { _, ok, err := there.Get(bg, "k"); return err == nil && !ok })
}

// lostInACluster are those that a cluster needs besides; whole are the rules with
// all of them.
var lostInACluster = map[string]func(t *testing.T, c *redistest.Cluster, cfg tiercache.Config, whole []string){
	"+cluster|slots": func(t *testing.T, c *redistest.Cluster, cfg tiercache.Config, _ []string) {
		tiers := open(t, cfg)
		cache := newCache(t, tiers, tiercache.Options[int]{})
		for v := range 3 {
			require.NoError(t, cache.Delete(bg, "k"))
			got, err := cache.GetOrLoad(bg, "k", value(v))
			require.NoError(t, err)
			require.Equal(t, v, got)
		}
		assert.False(t, tiers.Health().Connected)
		assert.Positive(t, tiers.Health().Queued)
		soon(t, "it was refused", func() bool {
			return slices.ContainsFunc(c.Nodes(), func(s *redistest.Server) bool {
				return slices.Contains(refusals(t, s), "command cluster|slots")
			})
		})
	},
	"+cluster|nodes": func(t *testing.T, c *redistest.Cluster, cfg tiercache.Config, whole []string) {
		tiers := open(t, cfg)
		eventuallyConnected(t, tiers)
		cache := newCache(t, tiers, tiercache.Options[int]{})
		scans := func() int {
			before := commands(t, c.Nodes()[0], "scan")
			r, err := cache.InvalidatePattern(bg, "k*")
			require.NoError(t, err)
			require.False(t, r.Queued)
			return commands(t, c.Nodes()[0], "scan") - before
		}
		twice := scans()
		for _, s := range c.Nodes() {
			become(t, s, whole)
		}
		assert.Equal(t, 2*scans(), twice)
	},
	"+asking": func(t *testing.T, c *redistest.Cluster, cfg tiercache.Config, whole []string) {
		tiers := open(t, cfg)
		eventuallyConnected(t, tiers)
		cache := newCache(t, tiers, tiercache.Options[int]{})
		require.NoError(t, cache.Set(bg, "k", 1))
		slot := int(c.Client().ClusterKeySlot(bg, "shop:k").Val())
		from, to := c.Nodes()[0].Client(), c.Nodes()[1].Client()
		if slot >= redistest.Slots/2 {
			from, to = to, from
		}
		half := func(at *redis.Client, what string, other *redis.Client) {
			require.NoError(t, at.Do(bg, "cluster", "setslot", slot, what, other.Do(bg, "cluster", "myid").Val()).Err())
		}
		half(to, "importing", from)
		half(from, "migrating", to)
		host, port, _ := strings.Cut(to.Options().Addr, ":")
		require.NoError(t, from.Migrate(bg, host, port, "shop:k", 0, 5*time.Second).Err())
		require.NoError(t, cache.Delete(bg, "k"))
		assert.Positive(t, tiers.Health().Queued, "the key is where its slot is going")
		for _, s := range c.Nodes() {
			become(t, s, whole)
		}
		eventuallySent(t, tiers)
	},
}
