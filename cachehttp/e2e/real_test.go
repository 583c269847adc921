package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/cachehttp"
	"github.com/tiercache/tiercache/internal/redistest"
)

// service is tiers on a real Redis with a dashboard, and readers.
type service struct {
	t      testing.TB
	redis  *redistest.Server
	tiers  *tiercache.Tiers
	cache  *tiercache.Cache[string] // "users": what the traffic reads
	config cachehttp.Config
	addr   string
	server *http.Server
	board  *cachehttp.Handler

	loads  atomic.Int64
	warmed atomic.Int64
	role   atomic.Value // string: "admin", "viewer", or "" for nobody
}

const job = "profiles"

// startService serves the dashboard at "/api/cache/stats". The traffic reads what keys
// gives.
func startService(t testing.TB, keys func() string) *service {
	s := &service{t: t, redis: redistest.Start(t), addr: "127.0.0.1:0"}
	s.role.Store("admin")
	var err error
	s.tiers, err = tiercache.Open(tiercache.Config{Redis: s.redis.Client(), Prefix: "e2e:", ReadTimeout: time.Second, WriteTimeout: time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.tiers.Close()) })
	s.cache = s.newCache("users")

	ids := func(context.Context) ([]string, error) { return []string{"user:1", "user:2", "user:3"}, nil }
	warmer, err := tiercache.NewWarmer(s.tiers,
		s.cache.WarmEach(tiercache.Job{Name: job, Every: -1}, ids, func(_ context.Context, key string) (string, error) {
			s.warmed.Add(1)
			return "warm " + key, nil
		}),
		s.cache.WarmEach(tiercache.Job{Name: "all users", Every: time.Hour, Rate: 4}, manyUsers, func(_ context.Context, key string) (string, error) {
			return "warm " + key, nil
		}))
	require.NoError(t, err)
	s.while(func(ctx context.Context) { _ = warmer.Run(ctx) })
	s.config = cachehttp.Config{Warmer: warmer, Authorizer: s.authorize, ShowKeys: true}
	s.serve()
	t.Cleanup(s.stop)

	s.while(func(ctx context.Context) {
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			s.read(ctx, s.cache, keys())
			select {
			case <-tick.C:
			case <-ctx.Done():
				tick.Stop()
				return
			}
		}
	})
	return s
}

func manyUsers(context.Context) (keys []string, err error) {
	for i := range 900 {
		keys = append(keys, fmt.Sprint("user:", 1000+i))
	}
	return keys, nil
}

// while runs f until the test ends.
func (s *service) while(f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f(ctx) })
	s.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

func (s *service) newCache(name string) *tiercache.Cache[string] {
	c, err := tiercache.New(s.tiers, tiercache.Options[string]{Name: name, TTL: time.Hour, Tags: func(string) []string { return []string{"team:7"} }})
	require.NoError(s.t, err)
	return c
}

func (s *service) read(ctx context.Context, c *tiercache.Cache[string], key string) {
	_, _ = c.GetOrLoad(ctx, key, func(context.Context) (string, error) {
		s.loads.Add(1)
		return "value of " + key, nil
	})
}

// cached tells whether a key has a value, and asks no loader. A Get that Redis does not
// answer in time finds nothing either, on a busy machine, so that it counts as an answer
// only while no operation of Redis has failed.
func (s *service) cached(key string) bool {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; pause(s.t.Context()) {
		failed := s.tiers.Stats().Total.Errors
		_, found, err := s.cache.Get(s.t.Context(), key)
		require.NoError(s.t, err)
		if found || s.tiers.Health().Connected && s.tiers.Stats().Total.Errors == failed {
			return found
		}
		require.True(s.t, time.Now().Before(deadline), "Redis does not answer")
	}
}

// put stores a value, and waits until it is: a Set that finds Redis busy is queued.
func (s *service) put(key string) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; pause(s.t.Context()) {
		require.NoError(s.t, s.cache.Set(s.t.Context(), key, "put"))
		if s.tiers.Health().Queued == 0 && s.cached(key) {
			return
		}
		require.True(s.t, time.Now().Before(deadline), "Redis stores nothing")
	}
}

func (s *service) authorize(_ *http.Request, action string) (string, error) {
	role := s.role.Load().(string)
	if role == "admin" || role == "viewer" && action == "read" {
		return role, nil
	}
	return role, errors.New("the role does not reach")
}

func (s *service) url() string { return "http://" + s.addr + "/api/cache/stats" }

// serve listens at the same address each time, with a new Handler.
func (s *service) serve() {
	listener, err := net.Listen("tcp", s.addr)
	require.NoError(s.t, err)
	s.addr = listener.Addr().String()
	s.board, err = cachehttp.New(s.tiers, s.config)
	require.NoError(s.t, err)
	mux := http.NewServeMux()
	at := http.StripPrefix("/api/cache/stats", s.board)
	mux.Handle("/api/cache/stats", at)
	mux.Handle("/api/cache/stats/", at)
	s.server = &http.Server{Handler: mux}
	s.server.RegisterOnShutdown(s.board.Close)
	go func(server *http.Server) { _ = server.Serve(listener) }(s.server)
}

func (s *service) stop() {
	s.board.Close()
	_ = s.server.Close()
}

func fewKeys() string { return fmt.Sprint("user:", 100+rand.IntN(50)) }

func TestTheDashboardShowsWhatTheTiersDo(t *testing.T) {
	t.Parallel()
	s := startService(t, fewKeys)
	for _, end := range []string{"", "/", "/?from=bookmark"} {
		p := openTab(t, s.url()+end, desk)
		p.live()
		p.await(`document.getElementById("status-word").textContent === "Good"`)
		assert.Contains(t, p.text("why"), "Redis is connected.")
		assert.Contains(t, p.text("mode"), "one Redis")
		assert.Contains(t, p.text("redis"), s.redis.Addr())
		assert.Contains(t, p.text("jobs"), job)
		assert.Regexp(t, `users [\d,]+ \d+\.\d %`, p.text("caches"))
		p.await(`parseFloat(document.getElementById("at-memory").textContent) > 0`)
		p.await(`document.getElementById("hot").textContent.includes("user:1")`)

		const reads = `Number(document.querySelector("#caches tbody td").textContent.replace(/,/g, ""))`
		before := get[int](p, reads)
		p.await(fmt.Sprintf(`%s > %d`, reads, before))
		p.close()
	}
}

func TestClearInThePageClearsTheTiers(t *testing.T) {
	t.Parallel()
	s := startService(t, fewKeys)
	s.put("user:42")
	p := openTab(t, s.url(), desk)
	p.live()

	p.click("#clear")
	p.click("#confirm-cancel")
	assert.True(t, s.cached("user:42"), "it was not confirmed")

	p.click("#clear")
	p.click("#confirm-yes")
	p.await(`document.getElementById("result").dataset.state === "done"`)
	assert.Contains(t, p.text("result"), "Clear: done")
	assert.False(t, s.cached("user:42"))
	p.await(`document.getElementById("recent").textContent.includes("clear")`)
}

func TestInvalidationsAndJobsInThePageReachTheTiers(t *testing.T) {
	t.Parallel()
	s := startService(t, fewKeys)
	p := openTab(t, s.url(), phone)
	p.live()
	for _, c := range []struct{ kind, target, other string }{
		{"key", "user:42", "user:43"}, {"pattern", "user:4?", "user:7"}, {"tag", "team:7", ""},
	} {
		s.put("user:42")
		if c.other != "" {
			s.put(c.other)
		}
		p.choose("kind", c.kind)
		p.enter("target", c.target)
		p.press(enter)
		p.click("#confirm-yes")
		p.await(`document.getElementById("result").dataset.state === "done" && document.getElementById("result").textContent.includes("` + c.target + `")`)
		assert.False(t, s.cached("user:42"), c.kind)
		assert.True(t, c.other == "" || s.cached(c.other), c.kind)
		p.await(`document.getElementById("recent").textContent.includes("` + c.target + `")`)
	}

	p.click("#jobs button")
	p.click("#confirm-yes")
	p.await(`document.getElementById("jobs").textContent.includes("3 of 3")`)
	assert.EqualValues(t, 3, s.warmed.Load())
	assert.True(t, s.cached("user:1"))
}

func TestWithoutTheRoleThePageOffersNothingAndTheServerRefuses(t *testing.T) {
	t.Parallel()
	s := startService(t, fewKeys)
	s.put("user:42")
	p := openTab(t, s.url(), desk)
	p.live()

	// The role goes while the page still offers what it allowed.
	p.click("#clear")
	s.role.Store("viewer")
	p.click("#confirm-yes")
	p.await(`document.getElementById("result").dataset.state === "failed"`)
	assert.Equal(t, "Clear was refused: not allowed.", p.text("result"))
	assert.True(t, s.cached("user:42"))
	assert.Len(t, p.expected(), 1, "the refusal, in the console")

	viewer := openTab(t, s.url()+"/", desk)
	viewer.live()
	assert.False(t, get[bool](viewer, `document.getElementById("clear").checkVisibility() || document.getElementById("target").checkVisibility()`))
	for path, body := range map[string]string{"clear": `{}`, "invalidate": `{"kind":"key","target":"user:42"}`, "warm": `{"job":"profiles"}`} {
		assert.Equal(t, http.StatusForbidden, awaited[int](viewer, fmt.Sprintf(`fetch(%q, {method: "POST", headers: {"Content-Type": "application/json"}, body: %q}).then(a => a.status)`, path, body)), path)
	}
	assert.Len(t, viewer.expected(), 3)
	assert.True(t, s.cached("user:42"))
	assert.Zero(t, s.warmed.Load())

	s.role.Store("")
	s.board.Close() // the streams end, and are asked for again
	viewer.await(`document.getElementById("link").dataset.state === "refused"`)
	assert.Contains(t, viewer.text("link"), "you may not read this any more")
	viewer.expected()
	p.expected()
	p.close()
	viewer.close()
}

func TestKeysThatAreMarkupRunNothing(t *testing.T) {
	t.Parallel()
	s := startService(t, func() string { return markup })
	_, err := s.tiers.Invalidate(t.Context(), tiercache.Tag(markup), tiercache.Pattern(markup+"*"))
	require.NoError(t, err)
	p := openTab(t, s.url(), desk)
	p.live()
	p.await(`document.getElementById("hot").textContent.includes("<img src=x") && document.getElementById("recent").textContent.includes("<img src=x")`)
	p.enter("target", markup)
	p.press(enter)
	p.click("#confirm-yes")
	p.await(`document.getElementById("result").dataset.state === "done"`)
	assert.Zero(t, get[int](p, `document.querySelectorAll("img").length`))
}

func TestAnOutageOfRedisIsSeenAndItsEnd(t *testing.T) {
	t.Parallel()
	s := startService(t, fewKeys)
	p := openTab(t, s.url(), desk)
	p.live()
	p.await(`document.getElementById("health").dataset.level === "good"`)
	s.redis.Kill()
	p.await(`document.getElementById("health").dataset.level === "down"`)
	assert.Contains(t, p.text("redis"), "open, out of use")
	s.redis.Restart()
	p.await(`document.getElementById("health").dataset.level === "good"`)
}

func TestThePageOutlivesARestartOfTheServer(t *testing.T) {
	t.Parallel()
	s := startService(t, fewKeys)
	p := openTab(t, s.url(), desk)
	p.live()
	s.stop()
	p.await(`document.body.classList.contains("stale")`)
	s.serve()
	p.live()
	p.nextFigures()
	for _, trouble := range p.expected() {
		assert.Contains(t, trouble, "network: ")
	}
}
