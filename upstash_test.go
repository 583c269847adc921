package tiercache_test

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/internal/restconn"
)

// The library over Upstash's REST API, on a server that answers as its
// documentation says, before a real Redis.

// database is one that can be reached over REST.
type database struct {
	*redistest.Server
	rest *redistest.REST
}

func newDatabase(t *testing.T) database {
	s := redistest.Start(t, "--requirepass", redistest.RESTToken)
	return database{s, redistest.StartREST(t, s)}
}

func (d database) client(t *testing.T, alter ...func(*restconn.Config)) *redis.Client {
	cfg := restconn.Config{URL: d.rest.URL(), Token: redistest.RESTToken, Transport: restconn.REST}
	for _, f := range alter {
		f(&cfg)
	}
	dialer, err := restconn.New(cfg)
	require.NoError(t, err)
	c := redis.NewClient(&redis.Options{
		Addr: dialer.Addr(), Dialer: dialer.DialContext, Username: restconn.User, Password: redistest.RESTToken, Protocol: 2, DialTimeout: 10 * time.Second,
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// overREST are nodes with a cache of bytes each, which hear.
func overREST(t *testing.T, d database, n int) (nodes []*tiercache.Tiers, caches []*tiercache.Cache[[]byte]) {
	t.Helper()
	for range n {
		node := open(t, patient(d.client(t)))
		nodes = append(nodes, node)
		caches = append(caches, newCache(t, node, tiercache.Options[[]byte]{Tags: func(v []byte) []string { return []string{"all", "ü"} }}))
	}
	hear(t, nodes...)
	for _, node := range nodes {
		require.Equal(t, "pubsub", node.Health().Masters[0].Hearing)
	}
	return nodes, caches
}

// binary is a value that JSON cannot carry.
func binary(text string) []byte { return []byte(text + "\xff\x00\xfe\r\n") }

func TestOverRESTWhateverInvalidatesReachesTheOtherNode(t *testing.T) {
	t.Parallel()
	for name, invalidate := range map[string]func(t *testing.T, node *tiercache.Tiers, c *tiercache.Cache[[]byte], key string) error{
		"Delete": func(_ *testing.T, _ *tiercache.Tiers, c *tiercache.Cache[[]byte], key string) error {
			return c.Delete(bg, key)
		},
		"a tag": func(_ *testing.T, node *tiercache.Tiers, _ *tiercache.Cache[[]byte], _ string) error {
			return sent(node.Invalidate(bg, tiercache.Tag("ü")))
		},
		"a pattern": func(_ *testing.T, node *tiercache.Tiers, _ *tiercache.Cache[[]byte], _ string) error {
			return sent(node.Invalidate(bg, tiercache.Pattern("k*:1")))
		},
		"a pattern of bytes": func(_ *testing.T, node *tiercache.Tiers, _ *tiercache.Cache[[]byte], key string) error {
			return sent(node.Invalidate(bg, tiercache.Pattern(key[:3]+"?1")))
		},
		"Clear": func(_ *testing.T, _ *tiercache.Tiers, c *tiercache.Cache[[]byte], _ string) error { return c.Clear(bg) },
		"Mutate": func(_ *testing.T, node *tiercache.Tiers, _ *tiercache.Cache[[]byte], key string) error {
			return sent(node.Mutate(bg, func(context.Context) error { return nil }, tiercache.Key(key)))
		},
		"Expire": func(_ *testing.T, node *tiercache.Tiers, _ *tiercache.Cache[[]byte], key string) error {
			return sent(node.Expire(bg, tiercache.Key(key)))
		},
		"Set": func(_ *testing.T, _ *tiercache.Tiers, c *tiercache.Cache[[]byte], key string) error {
			return c.Set(bg, key, binary("new"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, key := range []string{"kü:1", "k\xff\xfe:1", "k\n\r:1"} {
				d := newDatabase(t)
				nodes, caches := overREST(t, d, 2)
				for _, c := range caches {
					v, err := c.GetOrLoad(bg, key, value(binary("old")))
					require.NoError(t, err)
					require.Equal(t, binary("old"), v)
					require.Equal(t, binary("old"), inMemory(t, c, key))
				}
				require.EqualValues(t, 1, caches[0].Stats().Loads+caches[1].Stats().Loads, "one load: the value came over REST as it was")
				require.NoError(t, invalidate(t, nodes[0], caches[0], key))
				v, err := caches[0].GetOrLoad(bg, key, value(binary("new")))
				require.NoError(t, err)
				assert.Equal(t, binary("new"), v, "this node at once")
				soon(t, "the other node", func() bool {
					v, err := caches[1].GetOrLoad(bg, key, value(binary("new")))
					require.NoError(t, err)
					return bytes.Equal(v, binary("new"))
				})
			}
		})
	}
}

func sent(r tiercache.Report, err error) error {
	if err == nil && r.Queued {
		return context.DeadlineExceeded
	}
	return err
}

func TestOverRESTThereIsOneLoadForTheFleet(t *testing.T) {
	t.Parallel()
	_, caches := overREST(t, newDatabase(t), 3)
	var loads atomic.Int64
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			v, err := caches[i%3].GetOrLoad(bg, "k", func(context.Context) ([]byte, error) {
				loads.Add(1)
				return binary("one"), nil
			})
			assert.NoError(t, err)
			assert.Equal(t, binary("one"), v)
		})
	}
	all.Wait()
	assert.EqualValues(t, 1, loads.Load())
}

// The bytes under a key may be anybody's, and such that REST cannot name them.
func TestOverRESTForeignBytesAreAMiss(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	_, caches := overREST(t, d, 1)
	direct := d.Server.Client()
	for i, foreign := range []string{"foreign", "\xff\xfe", "日本日本日本日本日本日本日本日本日本日本", "tc1V", "\uEF80", "\uEFC3\uEFA9"} {
		key := strconv.Itoa(i)
		require.NoError(t, direct.Set(bg, "t:"+key, foreign, 0).Err())
		v, err := caches[0].GetOrLoad(bg, key, value(binary("mine")))
		require.NoError(t, err, "%q", foreign)
		assert.Equal(t, binary("mine"), v)
		v, err = caches[0].GetOrLoad(bg, key, unwanted[[]byte](t))
		require.NoError(t, err)
		assert.Equal(t, binary("mine"), v, "it was replaced")
	}
	require.NoError(t, direct.Set(bg, "t:~t:ü", "\xff", 0).Err())
	v, err := caches[0].GetOrLoad(bg, "tagged", value(binary("mine")))
	require.NoError(t, err, "the record of a tag may be foreign too")
	assert.Equal(t, binary("mine"), v)
	require.NoError(t, direct.LPush(bg, "t:list", "x").Err())
	v, err = caches[0].GetOrLoad(bg, "list", value(binary("mine")))
	require.NoError(t, err)
	assert.Equal(t, binary("mine"), v)
}

func TestAStreamThatIsCutMakesANodeDeafUntilItListensAgain(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	nodes, caches := overREST(t, d, 2)
	for _, c := range caches {
		_, err := c.GetOrLoad(bg, "k", value(binary("old")))
		require.NoError(t, err)
		inMemory(t, c, "k")
	}
	d.rest.CutStreams()
	require.NoError(t, caches[0].Delete(bg, "k"))
	soon(t, "the other node, whatever it missed", func() bool {
		v, err := caches[1].GetOrLoad(bg, "k", value(binary("new")))
		require.NoError(t, err)
		return bytes.Equal(v, binary("new"))
	})
	hear(t, nodes...)
	inMemory(t, caches[1], "k")
	require.NoError(t, caches[0].Delete(bg, "k"))
	soon(t, "it hears again", func() bool {
		v, err := caches[1].GetOrLoad(bg, "k", value(binary("newer")))
		require.NoError(t, err)
		return bytes.Equal(v, binary("newer"))
	})
}

// A stream that stays and carries nothing: the counter tells.
func TestAStreamThatGoesSilentHidesNothing(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	_, caches := overREST(t, d, 2)
	for _, c := range caches {
		_, err := c.GetOrLoad(bg, "k", value(binary("old")))
		require.NoError(t, err)
		inMemory(t, c, "k")
	}
	d.rest.Mute()
	require.NoError(t, caches[0].Delete(bg, "k"))
	soon(t, "the other node", func() bool {
		v, err := caches[1].GetOrLoad(bg, "k", value(binary("new")))
		require.NoError(t, err)
		return bytes.Equal(v, binary("new"))
	})
}

func TestAQuotaThatIsUsedUpIsHarmless(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusTooManyRequests, http.StatusBadRequest} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			d := newDatabase(t)
			nodes, caches := overREST(t, d, 2)
			_, err := caches[0].GetOrLoad(bg, "k", value(binary("old")))
			require.NoError(t, err)
			d.rest.Answer(status, "ERR max requests limit exceeded. Limit: 500000, Usage: 500000.")
			d.rest.CutStreams()
			for i := range 20 {
				v, err := caches[0].GetOrLoad(bg, strconv.Itoa(i), value(binary("new")))
				require.NoError(t, err, "the source answers")
				assert.Equal(t, binary("new"), v)
			}
			r, err := nodes[0].Invalidate(bg, tiercache.Key("k"))
			require.NoError(t, err)
			assert.True(t, r.Queued)
			v, err := caches[0].GetOrLoad(bg, "k", value(binary("new")))
			require.NoError(t, err)
			assert.Equal(t, binary("new"), v)

			d.rest.Pass()
			eventuallySent(t, nodes[0])
			hear(t, nodes...)
			v, err = caches[1].GetOrLoad(bg, "k", value(binary("new")))
			require.NoError(t, err)
			assert.Equal(t, binary("new"), v)
		})
	}
}

func TestOverRESTAnOutageIsHarmlessAndEnds(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(d database) (end func()){
		"the API is gone":     func(d database) func() { d.rest.Gone(); return d.rest.Pass },
		"the API hangs":       func(d database) func() { d.rest.Hang(); d.rest.CutStreams(); return d.rest.Pass },
		"the API answers 500": func(d database) func() { d.rest.Answer(500, "down"); d.rest.CutStreams(); return d.rest.Pass },
		"Redis restarts":      func(d database) func() { d.Server.Kill(); return d.Server.Restart },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDatabase(t)
			node := open(t, hasty(d.client(t)))
			cache := newCache(t, node, tiercache.Options[[]byte]{})
			eventuallyConnected(t, node)
			_, err := cache.GetOrLoad(bg, "k", value(binary("old")))
			require.NoError(t, err)
			end := begin(d)
			require.NoError(t, cache.Delete(bg, "k"))
			soon(t, "out of use", func() bool {
				v, err := cache.GetOrLoad(bg, "k", value(binary("new")))
				require.NoError(t, err)
				require.Equal(t, binary("new"), v)
				return !node.Health().Connected
			})
			end()
			eventuallyConnected(t, node)
			eventuallySent(t, node)
			hear(t, node)
			v, err := cache.GetOrLoad(bg, "k", value(binary("newer")))
			require.NoError(t, err)
			assert.NotEqual(t, binary("old"), v)
		})
	}
}

func TestAServerThatDoesNotSayWhoItIsHasNoStamp(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.rest.HideRunID()
	nodes, caches := overREST(t, d, 1)
	assert.Empty(t, nodes[0].Health().Masters[0].Stamp)
	_, err := caches[0].GetOrLoad(bg, "k", value(binary("v")))
	require.NoError(t, err)
	assert.Equal(t, binary("v"), inMemory(t, caches[0], "k"))
}

func TestAutoHearsByTrackingOverTLSAndByPubSubOverREST(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	wrap := redistest.StartWrap(t, d.Server.Addr())
	port := redistest.StartProxy(t, wrap.Addr())
	auto := func(c *restconn.Config) { c.Transport, c.TCPAddr, c.TLS = restconn.Auto, port.Addr(), wrap.Client() }
	byTLS := open(t, patient(d.client(t, auto)))
	hear(t, byTLS)
	assert.Equal(t, "tracking", byTLS.Health().Masters[0].Hearing)

	dark := redistest.StartProxy(t, wrap.Addr())
	dark.Drop()
	byREST := open(t, patient(d.client(t, auto, func(c *restconn.Config) { c.TCPAddr = dark.Addr() })))
	hear(t, byREST)
	assert.Equal(t, "pubsub", byREST.Health().Masters[0].Hearing)

	one, other := newCache(t, byTLS, tiercache.Options[int]{}), newCache(t, byREST, tiercache.Options[int]{})
	for range 3 {
		for _, c := range [][2]*tiercache.Cache[int]{{one, other}, {other, one}} {
			for _, c := range c {
				soon(t, "memory has it", func() bool { // a busy machine may cost the fill its budget
					before := c.Stats().MemoryHits
					_, err := c.GetOrLoad(bg, "k", value(1))
					require.NoError(t, err)
					return c.Stats().MemoryHits > before
				})
			}
			require.NoError(t, c[0].Delete(bg, "k"))
			soon(t, "the other way", func() bool {
				v, err := c[1].GetOrLoad(bg, "k", value(2))
				require.NoError(t, err)
				return v == 2
			})
			require.NoError(t, c[0].Delete(bg, "k"))
		}
	}
}

func TestAutoGoesOnOverRESTWhenTLSGoes(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	wrap := redistest.StartWrap(t, d.Server.Addr())
	port := redistest.StartProxy(t, wrap.Addr())
	node := open(t, hasty(d.client(t, func(c *restconn.Config) { c.Transport, c.TCPAddr, c.TLS = restconn.Auto, port.Addr(), wrap.Client() })))
	cache := newCache(t, node, tiercache.Options[int]{})
	hear(t, node)
	_, err := cache.GetOrLoad(bg, "k", value(1))
	require.NoError(t, err)
	port.Refuse()
	require.NoError(t, cache.Delete(bg, "k"))
	soon(t, "in use again, over REST", func() bool {
		h := node.Health()
		return h.Connected && h.Queued == 0 && h.Masters[0].Hearing == "pubsub" && h.Masters[0].Fresh
	})
	v, err := cache.GetOrLoad(bg, "k", value(2))
	require.NoError(t, err)
	assert.Equal(t, 2, v)
}
