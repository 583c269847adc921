package remote

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/redistest"
)

const fresh = "fresh-token-of-22-char"

func freshToken() (t envelope.Token) {
	copy(t[:], fresh)
	return t
}

// as is raw with another kind, token where one is given.
func as(kind, token string, raw []byte) string {
	s := "tc1" + kind + string(raw[4:])
	if token != "" {
		s = s[:15] + token + s[37:]
	}
	return s
}

func put(t *testing.T, c redis.UniversalClient, key string, v any, life time.Duration) {
	t.Helper()
	require.NoError(t, c.Del(bg, key).Err())
	switch v {
	case nil:
	case "list":
		require.NoError(t, c.RPush(bg, key, 1).Err())
	default:
		require.NoError(t, c.Set(bg, key, v, life).Err())
	}
}

func TestUnlinkRemovesEverythingButMarkers(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *Remote, c *redis.Client) {
		for name, s := range map[string]struct {
			there any
			gone  int64
		}{
			"nothing":            {nil, 0},
			"a lease":            {lease("a"), 1},
			"a value":            {value("a", "x"), 1},
			"a marker":           {"tc1M and what it holds", 0},
			"no more than tc1M":  {"tc1M", 0},
			"a version to come":  {"tc2M", 1},
			"text that has tc1M": {" tc1M", 1},
			"the empty string":   {"", 1},
			"another type":       {"list", 1},
		} {
			t.Run(name, func(t *testing.T) {
				for op, do := range map[string]func() (int64, error){
					"by key": func() (int64, error) {
						n, failed, err := r.Unlink(bg, []string{"p:k"})
						assert.Empty(t, failed)
						return n, err
					},
					"by pattern": func() (int64, error) { return r.DeleteMatching(bg, Sweep{Prefix: "p:", Pattern: "*"}) },
				} {
					put(t, c, "p:k", s.there, 0)
					before := c.Dump(bg, "p:k").Val()
					n, err := do()
					require.NoError(t, err, op)
					assert.Equal(t, s.gone, n, op)
					if s.gone == 1 {
						assert.Zero(t, c.Exists(bg, "p:k").Val(), op)
					} else {
						assert.Equal(t, before, c.Dump(bg, "p:k").Val(), op)
					}
				}
			})
		}
	})
}

func TestExpireMarksValuesRemovesLeasesAndSparesMarkers(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *Remote, c *redis.Client) {
		v := value("old", "payload")
		for name, s := range map[string]struct {
			there any
			after string // "": nothing
			n     int64
		}{
			"nothing":                  {nil, "", 0},
			"a lease":                  {lease("a"), "", 1},
			"a value":                  {v, as("O", fresh, v), 1},
			"an absence":               {as("N", "", v), as("G", fresh, v), 1},
			"a value marked before":    {as("O", "", v), as("O", fresh, v), 1},
			"an absence marked before": {as("G", "", v), as("G", fresh, v), 1},
			"a marker":                 {"tc1M and what it holds", "tc1M and what it holds", 0},
			"a kind of later days":     {as("X", "", v), as("X", "", v), 0},
			"a value cut short":        {"tc1Vshort", "", 1},
			"nothing but the magic":    {"tc1", "", 1},
			"text":                     {"plain text, longer than the thirty-seven bytes of a head", "", 1},
			"another type":             {"list", "", 1},
		} {
			t.Run(name, func(t *testing.T) {
				put(t, c, "k", s.there, time.Minute)
				n, failed, err := r.Expire(bg, []string{"k"}, freshToken)
				require.NoError(t, err)
				assert.Empty(t, failed)
				assert.Equal(t, s.n, n)
				if s.after == "" {
					assert.Zero(t, c.Exists(bg, "k").Val())
					return
				}
				assert.Equal(t, s.after, c.Get(bg, "k").Val())
				assert.InDelta(t, time.Minute, c.PTTL(bg, "k").Val(), float64(20*time.Second))
			})
		}
	})
}

func TestEveryKeyThatExpiresHasATokenOfItsOwn(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *Remote, c *redis.Client) {
		n := 2*batch + 5
		var keys []string
		for i := range n {
			keys = append(keys, fmt.Sprint("p:", i))
			put(t, c, keys[i], value("old", "x"), 0)
		}
		tokens := map[string]bool{fmt.Sprintf("%-22s", "old"): true}
		look := func() {
			for _, k := range keys {
				raw := c.Get(bg, k).Val()
				require.Equal(t, byte('O'), raw[3])
				require.False(t, tokens[raw[15:37]], k)
				tokens[raw[15:37]] = true
			}
		}
		did, failed, err := r.Expire(bg, keys, envelope.NewToken)
		require.NoError(t, err)
		assert.Empty(t, failed)
		assert.EqualValues(t, n, did)
		look()
		did, err = r.DeleteMatching(bg, Sweep{Prefix: "p:", Pattern: "*", Expire: true})
		require.NoError(t, err)
		assert.EqualValues(t, n, did)
		look()
	})
}

func TestAServerThatForgetsTheScriptIsGivenItAgain(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	r := openTo(t, cluster.Client())
	c := cluster.Client()
	for _, d := range []deed{unlinking, expiring(envelope.NewToken)} {
		// Two keys of one master's pipeline; the first, which brings the script, is
		// not its own.
		tbl := r.routes.current(bg, 10*time.Second, nil)
		var own, strange []string
		m := tbl.masters[0]
		for i := 0; len(own) < 3 || len(strange) < 1; i++ {
			k := fmt.Sprint("k", i)
			put(t, c, k, value("a", "x"), 0)
			if tbl.master(k) == m {
				own = append(own, k)
			} else {
				strange = append(strange, k)
			}
		}
		require.NoError(t, m.life.Load().rdb.ScriptFlush(bg).Err())
		replies := d.at(bg, m, append(strange[:1:1], own...), false)
		assert.True(t, moved(replies[0].err), "%v", replies[0].err)
		for _, reply := range replies[1:] {
			require.NoError(t, reply.err)
			assert.EqualValues(t, 1, reply.n)
		}
	}
}

func TestProgressIsToldAfterEachBatchByTheCallersGoroutine(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	r, c := openTo(t, cluster.Client()), cluster.Client()
	for i := range 2_000 {
		put(t, c, fmt.Sprint("p:", i), "x", 0)
	}
	var told []int64
	n, err := r.DeleteMatching(bg, Sweep{Prefix: "p:", Pattern: "*", Progress: func(n int64) { told = append(told, n) }})
	require.NoError(t, err)
	assert.EqualValues(t, 2_000, n)
	assert.GreaterOrEqual(t, len(told), 2_000/batch)
	assert.True(t, slices.IsSorted(told))
	assert.Equal(t, n, told[len(told)-1])

	for i := range 2_000 {
		put(t, c, fmt.Sprint("p:", i), "x", 0)
	}
	assert.PanicsWithValue(t, "the caller's own", func() {
		_, _ = r.DeleteMatching(bg, Sweep{Prefix: "p:", Pattern: "*", Progress: func(int64) { panic("the caller's own") }})
	}, "and no goroutine is left, see TestMain")
}

func TestAScanThatItsContextEndsSaysSoAndCountsWhatItDid(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *Remote, c *redis.Client) {
		p := c.Pipeline()
		for i := range 5_000 {
			p.Set(bg, fmt.Sprint("p:", i), "x", 0)
		}
		_, err := p.Exec(bg)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(bg)
		n, err := r.DeleteMatching(ctx, Sweep{Prefix: "p:", Pattern: "*", Progress: func(n int64) {
			if n >= 1_000 {
				cancel()
			}
		}})
		require.ErrorIs(t, err, context.Canceled)
		assert.ErrorContains(t, err, `the scan for "*" ended early`)
		assert.GreaterOrEqual(t, n, int64(1_000))
		left := c.DBSize(bg).Val()
		assert.NotZero(t, left)
		assert.LessOrEqual(t, 5_000-n-left, int64(batch), "what was under way when it ended may not be counted")
		assert.True(t, r.Usable("k"), "it says nothing of the server")
	})
}

// opened is a cluster with a slot on its way, and three keys of the slot.
func opened(t *testing.T) (cluster *redistest.Cluster, from, to *redis.Client, open, finish func(), keys []string) {
	cluster = redistest.StartCluster(t, 3)
	const tag = "{moving}"
	slot := slotOf(tag)
	owner := slot * 3 / slots
	from, to = cluster.Nodes()[owner].Client(), cluster.Nodes()[(owner+1)%3].Client()
	id := func(c *redis.Client) string {
		text, err := c.Do(bg, "cluster", "myid").Text()
		require.NoError(t, err)
		return text
	}
	idFrom, idTo := id(from), id(to)
	set := func(c *redis.Client, args ...any) {
		require.NoError(t, c.Do(bg, append([]any{"cluster", "setslot", slot}, args...)...).Err())
	}
	open = func() {
		set(to, "importing", idFrom)
		set(from, "migrating", idTo)
	}
	finish = func() {
		require.NoError(t, to.Do(bg, "cluster", "bumpepoch").Err())
		set(to, "node", idTo)
		set(from, "node", idTo)
	}
	for i := range 3 {
		keys = append(keys, fmt.Sprint("p:", tag, i))
		require.NoError(t, from.Set(bg, keys[i], "x", 0).Err())
	}
	return cluster, from, to, open, finish, keys
}

func migrate(t *testing.T, from, to *redis.Client, key string) {
	t.Helper()
	host, port, _ := strings.Cut(to.Options().Addr, ":")
	require.NoError(t, from.Migrate(bg, host, port, key, 0, 5*time.Second).Err())
}

func nothingLeft(t *testing.T, at ...*redis.Client) {
	t.Helper()
	for _, c := range at {
		assert.Zero(t, c.DBSize(bg).Val(), c.Options().Addr)
	}
}

func TestKeysOfASlotOnItsWayAreReachedWhereverTheyAre(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(r *Remote, keys []string) (int64, error){
		"by key": func(r *Remote, keys []string) (int64, error) {
			n, failed, err := r.Unlink(bg, keys)
			return n + int64(len(failed)), err
		},
		"by pattern": func(r *Remote, _ []string) (int64, error) {
			return r.DeleteMatching(bg, Sweep{Prefix: "p:", Pattern: "*"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster, from, to, open, _, keys := opened(t)
			r := openTo(t, cluster.Client())
			open()
			migrate(t, from, to, keys[1])
			n, err := do(r, keys)
			require.NoError(t, err)
			assert.EqualValues(t, 3, n)
			nothingLeft(t, from, to)
		})
	}
}

// scan of B | A gives k to B | scan of A
func TestAKeyThatIsCarriedBehindTheScanIsReached(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]struct{ openFirst, finish bool }{
		"the slot is open before and after": {true, false},
		"it opens meanwhile":                {false, false},
		"it arrives meanwhile":              {true, true},
		"it opens and arrives meanwhile":    {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster, from, to, open, finish, keys := opened(t)
			if s.openFirst {
				open()
			}
			// A's first scan waits until B's is over.
			var once sync.Once
			scanOfB := make(chan struct{})
			carry := func() {
				<-scanOfB
				if !s.openFirst {
					open()
				}
				for _, k := range keys {
					migrate(t, from, to, k)
				}
				if s.finish {
					finish()
				}
			}
			r := openTo(t, cluster.Client())
			for _, m := range r.routes.current(bg, 10*time.Second, nil).masters {
				switch m.addr {
				case from.Options().Addr:
					m.life.Load().rdb.AddHook(onScan{before: func() { once.Do(carry) }})
				case to.Options().Addr:
					var first sync.Once
					m.life.Load().rdb.AddHook(onScan{after: func() { first.Do(func() { close(scanOfB) }) }})
				}
			}
			n, err := r.DeleteMatching(bg, Sweep{Prefix: "p:", Pattern: "*"})
			require.NoError(t, err)
			assert.EqualValues(t, len(keys), n)
			nothingLeft(t, from, to)
		})
	}
}

// onScan calls before or after each SCAN of a client.
type onScan struct{ before, after func() }

func (h onScan) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h onScan) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (h onScan) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "scan" {
			return next(ctx, cmd)
		}
		if h.before != nil {
			h.before()
		}
		err := next(ctx, cmd)
		if h.after != nil {
			h.after()
		}
		return err
	}
}

func TestWhatAMasterHoldsIsReadFromItsOwnLine(t *testing.T) {
	t.Parallel()
	const a, b = "aaaa", "bbbb"
	line := func(id, flags, slots string) string {
		return id + " 127.0.0.1:1@2,host " + flags + " - 0 0 1 connected " + slots + "\n"
	}
	for name, s := range map[string]struct {
		texts      []string
		open, away bool
	}{
		"not a cluster":                    {[]string{""}, false, false},
		"none on its way":                  {[]string{line(a, "myself,master", "0-5 7") + line(b, "master", "8-9"), line(b, "myself,master", "8-9")}, false, false},
		"one goes":                         {[]string{line(a, "myself,master", "0-5 [5->-bbbb]"), line(b, "myself,master", "8-9")}, true, false},
		"one comes":                        {[]string{line(a, "myself,master", "0-5"), line(b, "myself,master", "8-9 [5-<-aaaa]")}, true, false},
		"to one that has none":             {[]string{line(a, "myself,master", "0-5 [5->-cccc]")}, true, true},
		"another's line says nothing":      {[]string{line(b, "master", "8-9 [8->-aaaa]") + line(a, "myself,master", "0-5")}, false, false},
		"a master that has become a slave": {[]string{line(a, "myself,slave", "")}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := heldBy(s.texts)
			assert.Equal(t, s.open, h.open, "open")
			assert.Equal(t, s.away, h.away, "away")
		})
	}
	assert.NotEqual(t, heldBy([]string{line(a, "myself,master", "0-5")}).what, heldBy([]string{line(a, "myself,master", "0-4")}).what)
	assert.NotEqual(t, heldBy([]string{line(a, "myself,master", "0-5")}).what, heldBy([]string{strings.Replace(line(a, "myself,master", "0-5"), " 1 connected", " 2 connected", 1)}).what,
		"a slot may have gone and come back")
	assert.Equal(t, heldBy([]string{line(a, "myself,master", "0-5 [5->-bbbb]")}).what, heldBy([]string{line(a, "myself,master", "0-5")}).what,
		"an open slot still has its owner")
}

func TestASlotOnItsWayToAnEmptyMasterIsNotSaidToBeSwept(t *testing.T) {
	t.Parallel()
	cluster, from, to, open, _, keys := opened(t)
	r := openTo(t, cluster.Client())
	tbl := *r.routes.current(bg, 10*time.Second, nil)
	open()
	migrate(t, from, to, keys[0])
	tbl.masters = slices.DeleteFunc(slices.Clone(tbl.masters), func(m *master) bool { return m.addr == to.Options().Addr })
	h, err := r.hold(bg, tbl.masters)
	require.NoError(t, err)
	assert.True(t, h.away)
}

// TestAMillionKeys prints what a pattern costs a server of TIERCACHE_MILLION
// keys, and what it costs those who read from it meanwhile:
//
//	TIERCACHE_MILLION=1000000 go test -run TestAMillionKeys -v ./internal/remote
func TestAMillionKeys(t *testing.T) {
	all, _ := strconv.Atoi(os.Getenv("TIERCACHE_MILLION"))
	if all == 0 {
		t.Skip("takes a minute and a quiet machine: TIERCACHE_MILLION=1000000")
	}
	c := redistest.Start(t, "--enable-debug-command", "local").Client()
	require.NoError(t, c.ConfigSet(bg, "save", "").Err())
	require.NoError(t, c.Do(bg, "debug", "populate", all-all/100, "p:other", 100).Err())
	fill := func() {
		p := c.Pipeline()
		for i := range all / 100 {
			p.Set(bg, fmt.Sprint("p:in:", i), value("a", strings.Repeat("x", 100)), 0)
			if p.Len() == 1_000 {
				_, err := p.Exec(bg)
				require.NoError(t, err)
			}
		}
		_, err := p.Exec(bg)
		require.NoError(t, err)
	}
	r := openTo(t, c)
	reading := func(during func()) (n int, p50, p99, worst time.Duration) {
		var over atomic.Bool
		var took []time.Duration
		var wg sync.WaitGroup
		wg.Go(func() {
			for !over.Load() {
				began := time.Now()
				_, err := r.Get(bg, "p:other:1")
				assert.NoError(t, err)
				took = append(took, time.Since(began))
			}
		})
		during()
		over.Store(true)
		wg.Wait()
		slices.Sort(took)
		return len(took), took[len(took)/2], took[len(took)*99/100], took[len(took)-1]
	}
	n, p50, p99, worst := reading(func() { time.Sleep(time.Second) })
	t.Logf("idle: %d GETs, p50 %v, p99 %v, worst %v", n, p50, p99, worst)
	for round := range 6 {
		expire := round%2 == 1
		fill()
		var matched int64
		var err error
		began := time.Now()
		n, p50, p99, worst := reading(func() { matched, err = r.DeleteMatching(bg, Sweep{Prefix: "p:", Pattern: "in:*", Expire: expire}) })
		require.NoError(t, err)
		assert.EqualValues(t, all/100, matched)
		t.Logf("%d of %d keys, expire %v: %v; meanwhile %d GETs, p50 %v, p99 %v, worst %v",
			matched, all, expire, time.Since(began), n, p50, p99, worst)
	}
}

// BenchmarkUnlink compares ways to remove 1,000 keys in one pipeline.
func BenchmarkUnlink(b *testing.B) {
	c := redistest.Start(b).Client()
	r, err := Open(complete(Config{Client: c, Read: time.Minute, Write: time.Minute, Logger: slog.New(slog.DiscardHandler), Restored: func() {}}))
	require.NoError(b, err)
	defer func() { _ = r.Close() }()
	keys := make([]string, 1_000)
	for i := range keys {
		keys[i] = fmt.Sprint("some:key:", i)
	}
	for name, remove := range map[string]func(){
		"ours": func() { _, _, _ = r.Unlink(bg, keys) },
		"eval": func() {
			p := c.Pipeline()
			for i := range keys {
				unlinkScript.Eval(bg, p, keys[i:i+1])
			}
			_, _ = p.Exec(bg)
		},
		"evalsha": func() {
			p := c.Pipeline()
			unlinkScript.Eval(bg, p, keys[:1])
			for i := range keys[1:] {
				unlinkScript.EvalSha(bg, p, keys[i+1:i+2])
			}
			_, _ = p.Exec(bg)
		},
		"unlink": func() {
			p := c.Pipeline()
			for _, k := range keys {
				p.Unlink(bg, k)
			}
			_, _ = p.Exec(bg)
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				p := c.Pipeline()
				for _, k := range keys {
					p.Set(bg, k, "x", 0)
				}
				_, err := p.Exec(bg)
				require.NoError(b, err)
				b.StartTimer()
				remove()
			}
			require.Zero(b, c.DBSize(bg).Val())
		})
	}
}
