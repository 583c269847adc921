package cachehttp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// newWarmer has a job "users" that fails, once it is let, with an error that names a key.
func newWarmer(t testing.TB, tiers *tiercache.Tiers) (w *tiercache.Warmer, let chan struct{}) {
	let = make(chan struct{})
	cache := newCache(t, tiers, "warmed")
	w, err := tiercache.NewWarmer(tiers, cache.WarmEach(tiercache.Job{Name: "users", Every: -1, Retries: -1},
		func(ctx context.Context) ([]string, error) { return []string{"user:ann"}, nil },
		func(ctx context.Context, key string) (string, error) {
			select {
			case <-let:
			case <-ctx.Done():
			}
			return "", errors.New("no " + key)
		}))
	require.NoError(t, err)
	return w, let
}

// lines are what a Logger wrote. Safe for concurrent use.
type lines struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.buf.Reset()
	return l.buf.String()
}

func TestAClearEmptiesTheCachesAndCountsFromZero(t *testing.T) {
	t.Parallel()
	for _, how := range []struct{ name, method, path, body, kind string }{
		{"POST with an object", "POST", "/clear", "{}", "application/json"},
		{"POST of nothing", "POST", "/clear", "", ""},
		{"POST of nothing, called JSON", "POST", "/clear", "", "application/json; charset=UTF-8"},
		{"DELETE", "DELETE", "/", "", ""},
		{"DELETE where no slash is", "DELETE", "", "", ""},
	} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			tiers := newTiers(t)
			h, cache := newHandler(t, tiers, Config{Authorizer: byRole}), newCache(t, tiers, "users")
			load(t, cache, "user:42")
			require.False(t, load(t, cache, "user:42"))
			require.EqualValues(t, 2, snapshotOf(t, ask(h, "GET", "/", "", "Role", "admin").Body.Bytes()).Cache.Operations)

			header := []string{"Role", "admin"}
			if how.kind != "" {
				header = append(header, "Content-Type", how.kind)
			}
			path := how.path
			if path == "" {
				path = "http://localhost"
			}
			w := ask(h, how.method, path, how.body, header...)
			assert.Equal(t, 200, w.Code)
			assert.JSONEq(t, `{"ok":true,"keys":0,"queued":false}`, w.Body.String())

			s := snapshotOf(t, ask(h, "GET", "/", "", "Role", "admin").Body.Bytes())
			assert.Zero(t, s.Cache.Operations)
			assert.Zero(t, s.Total.Operations)
			for _, w := range s.Windows {
				assert.Zero(t, w.HitRate, w.Name)
			}
			assert.True(t, load(t, cache, "user:42"), "it is gone")
			assert.EqualValues(t, 1, snapshotOf(t, ask(h, "GET", "/", "", "Role", "admin").Body.Bytes()).Cache.Misses)
		})
	}
}

func TestAnInvalidationReachesItsTargetAndNoOther(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, body string }{
		{"key", `{"kind":"key","target":"user:42"}`},
		{"tag", `{"kind":"tag","target":"forty"}`},
		{"pattern", `{"kind":"pattern","target":"user:4?"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tiers := newTiers(t)
			cache, err := tiercache.New(tiers, tiercache.Options[string]{Name: "users", TTL: time.Hour, Tags: func(s string) []string { return []string{s} }})
			require.NoError(t, err)
			for key, tag := range map[string]string{"user:42": "forty", "user:7": "seven"} {
				_, err := cache.GetOrLoad(t.Context(), key, func(context.Context) (string, error) { return tag, nil })
				require.NoError(t, err)
			}
			h := newHandler(t, tiers, Config{Authorizer: byRole})
			w := post(h, "/invalidate", c.body)
			require.Equal(t, 200, w.Code, w.Body)
			_, found, err := cache.Get(t.Context(), "user:42")
			require.NoError(t, err)
			assert.False(t, found)
			_, found, err = cache.Get(t.Context(), "user:7")
			require.NoError(t, err)
			assert.True(t, found)
		})
	}
}

func TestARequestThatMakesNoSenseChangesNothing(t *testing.T) {
	t.Parallel()
	tiers := newTiers(t)
	h, cache := newHandler(t, tiers, Config{Authorizer: byRole}), newCache(t, tiers, "users")
	load(t, cache, "user:42")
	const key, asJSON = `{"kind":"key","target":"user:42"}`, "application/json"
	for _, c := range []struct {
		name, method, path, body, kind string
		status                         int
	}{
		{"no body", "POST", "/invalidate", "", asJSON, 400},
		{"no body and no type", "POST", "/invalidate", "", "", 400},
		{"not JSON", "POST", "/invalidate", "kind=key", asJSON, 400},
		{"half of it", "POST", "/invalidate", key[:20], asJSON, 400},
		{"null", "POST", "/invalidate", "null", asJSON, 400},
		{"a list", "POST", "/invalidate", "[" + key + "]", asJSON, 400},
		{"an unknown field", "POST", "/invalidate", `{"kind":"key","target":"user:42","all":true}`, asJSON, 400},
		{"an unknown kind", "POST", "/invalidate", `{"kind":"everything","target":"user:42"}`, asJSON, 400},
		{"a wrong type", "POST", "/invalidate", `{"kind":"key","target":42}`, asJSON, 400},
		{"no target", "POST", "/invalidate", `{"kind":"key"}`, asJSON, 400},
		{"a pattern that is broken", "POST", "/invalidate", `{"kind":"pattern","target":""}`, asJSON, 400},
		{"two objects", "POST", "/invalidate", key + key, asJSON, 400},
		{"bytes that are no text", "POST", "/invalidate", "{\"kind\":\"key\",\"target\":\"user:42\xff\"}", asJSON, 400},
		{"half of a character", "POST", "/invalidate", `{"kind":"key","target":"user:42\ud800"}`, asJSON, 400},
		{"the other half", "POST", "/invalidate", `{"kind":"key","target":"\\\udc00user:42"}`, asJSON, 400},
		{"a field twice", "POST", "/invalidate", `{"kind":"key","kind":"pattern","target":"user:42"}`, asJSON, 400},
		{"a field in capitals", "POST", "/invalidate", `{"KIND":"key","target":"user:42"}`, asJSON, 400},
		{"a clear of something", "POST", "/clear", key, asJSON, 400},
		{"a DELETE of something", "DELETE", "/", key, asJSON, 400},
		{"a huge body", "POST", "/invalidate", `{"kind":"key","target":"` + strings.Repeat("x", 1<<20) + `"}`, asJSON, 413},
		{"a huge body of blanks", "POST", "/clear", strings.Repeat(" ", 1<<20), asJSON, 413},
		{"what a form can send", "POST", "/invalidate", key, "text/plain", 415},
		{"a form", "POST", "/clear", "a=b", "application/x-www-form-urlencoded", 415},
		{"no type", "POST", "/invalidate", key, "", 415},
		{"JSON in UTF-16", "POST", "/invalidate", key, "application/json; charset=utf-16", 415},
		{"nearly JSON", "POST", "/invalidate", key, "application/json-patch+json", 415},
		{"no such job", "POST", "/warm", `{"job":"users"}`, asJSON, 404},
		{"no such address", "POST", "/flush", "{}", asJSON, 404},
		{"GET of an action", "GET", "/clear", "", "", 405},
		{"PUT of an action", "PUT", "/invalidate", key, asJSON, 405},
		{"POST of the page", "POST", "/", "{}", asJSON, 405},
		{"POST of the stream", "POST", "/stream", "{}", asJSON, 405},
		{"DELETE of a file", "DELETE", "/page/page.js", "", "", 405},
		{"OPTIONS", "OPTIONS", "/", "", "", 405},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := []string{"Role", "admin"}
			if c.kind != "" {
				header = append(header, "Content-Type", c.kind)
			}
			w := ask(h, c.method, c.path, c.body, header...)
			assert.Equal(t, c.status, w.Code, w.Body)
			assert.Equal(t, c.status == 405, w.Header().Get("Allow") != "")
			assert.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
			assert.Contains(t, w.Body.String(), `{"error":"`)
			assert.Less(t, w.Body.Len(), 1000)
			assert.False(t, load(t, cache, "user:42"), "it is in memory still")
		})
	}
}

func TestABodyThatDoesNotArriveIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := serveInBubble(t, newHandler(t, newTiers(t), Config{Authorizer: byRole}))
		ours, theirs := net.Pipe()
		defer ours.Close()
		p.conns <- theirs
		began := time.Now()
		_, err := io.WriteString(ours, "POST /clear HTTP/1.1\r\nHost: cache\r\nRole: admin\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{")
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(ours), nil)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, 400, resp.StatusCode)
		assert.Equal(t, bodyTimeout, time.Since(began))
	})
}

func TestAPageOfAnotherSiteCannotActForItsVisitor(t *testing.T) {
	t.Parallel()
	tiers := newTiers(t)
	log := &lines{}
	h, cache := newHandler(t, tiers, Config{Authorizer: byRole, Logger: slog.New(slog.NewTextHandler(log, nil))}), newCache(t, tiers, "users")
	load(t, cache, "user:42")
	type request struct{ method, path, body string }
	for _, r := range []request{{"POST", "/clear", ""}, {"POST", "/clear", "{}"}, {"DELETE", "/", ""}, {"POST", "/invalidate", `{"kind":"key","target":"user:42"}`}, {"POST", "/warm", `{"job":"users"}`}} {
		for _, header := range [][]string{
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site"},
			{"Sec-Fetch-Site", "cross-site", "Origin", "http://example.com"},
			{"Origin", "http://attacker.example"},
			{"Origin", "http://example.com:81"},
			{"Origin", "null"},
		} {
			w := ask(h, r.method, r.path, r.body, append([]string{"Role", "admin", "Content-Type", "application/json"}, header...)...)
			assert.Equal(t, 403, w.Code, "%v %v", r, header)
			assert.False(t, load(t, cache, "user:42"), "it is in memory still")
			assert.Contains(t, log.take(), "status=403", "it is in the log")
		}
	}
	for _, header := range [][]string{{"Sec-Fetch-Site", "same-origin"}, {"Origin", "http://example.com"}, {}} {
		load(t, cache, "user:42")
		assert.Equal(t, 200, post(h, "/clear", "{}", header...).Code, header)
		assert.True(t, load(t, cache, "user:42"))
	}
}

func TestEachActionLeavesALineInTheLog(t *testing.T) {
	t.Parallel()
	log := &lines{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	h := newHandler(t, newTiers(t), Config{Authorizer: byRole, Logger: logger})

	post(h, "/invalidate", `{"kind":"key","target":"user:email:ann@example.com"}`)
	done := log.take()
	for _, part := range []string{"level=INFO", "action=invalidate", "remote=192.0.2.1:1234", "who=ada", "kind=key", "target=user:email:", "status=200", "keys=", "queued=false"} {
		assert.Contains(t, done, part)
	}
	assert.NotContains(t, done, "ann", "keys are masked")
	assert.Equal(t, 1, strings.Count(done, "\n"))

	post(h, "/clear", "{}", "Role", "stranger")
	refused := log.take()
	for _, part := range []string{"level=WARN", "action=clear", "who=stranger", "status=403", "remote=192.0.2.1:1234"} {
		assert.Contains(t, refused, part)
	}
	post(h, "/invalidate", `{"kind":"key","target":"`+strings.Repeat("secret", 1<<10)+`"`)
	assert.NotContains(t, log.take(), "secret")
	for body, why := range map[string]string{
		`{"kind":"user","target":"user:ann"}`:                                 `refused="kind must be`,
		`{"kind":"key","target":"user:` + strings.Repeat("ann", 1<<14) + `"}`: `refused="the body is too long"`,
		`{"kind":"key","target":""}`:                                          `refused="the target makes no sense"`,
	} {
		w := post(h, "/invalidate", body)
		require.GreaterOrEqual(t, w.Code, 400, w.Body)
		refused := log.take()
		assert.Contains(t, refused, why, "the log is where one looks")
		assert.NotContains(t, refused, "ann")
	}
	ask(h, "GET", "/", "", "Role", "admin")
	assert.Empty(t, log.take(), "reads leave none")

	closed := newTiers(t)
	h = newHandler(t, closed, Config{Authorizer: byRole, Logger: logger})
	require.NoError(t, closed.Close())
	post(h, "/clear", "{}")
	assert.Contains(t, log.take(), "closed")

	h = newHandler(t, newTiers(t), Config{Authorizer: byRole, Logger: logger, ShowKeys: true})
	post(h, "/invalidate", `{"kind":"key","target":"user:ann\nwho=eve"}`)
	shown := log.take()
	assert.Contains(t, shown, `target="user:ann\nwho=eve"`)
	assert.Equal(t, 1, strings.Count(shown, "\n"), "a target cannot begin a line of its own")
}

func TestAJobIsRunAndNobodyWaitsForIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tiers := newTiers(t)
		warmer, let := newWarmer(t, tiers)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- warmer.Run(ctx) }()
		log := &lines{}
		h := newHandler(t, tiers, Config{Authorizer: byRole, Warmer: warmer, Logger: slog.New(slog.NewTextHandler(log, nil))})

		for range 100 { // an impatient operator
			w := post(h, "/warm", `{"job":"users"}`)
			require.Equal(t, 202, w.Code)
			require.JSONEq(t, `{"ok":true,"keys":0,"queued":true}`, w.Body.String())
		}
		assert.Equal(t, 404, post(h, "/warm", `{"job":"others"}`).Code)
		synctest.Wait()
		job := snapshotOf(t, ask(h, "GET", "/", "", "Role", "viewer").Body.Bytes()).Jobs[0]
		assert.Equal(t, "users", job.Name)
		assert.True(t, job.Running)

		log.take()
		close(let)
		time.Sleep(time.Second)
		synctest.Wait()
		body := ask(h, "GET", "/", "", "Role", "viewer").Body.String()
		job = snapshotOf(t, []byte(body)).Jobs[0]
		assert.False(t, job.Running)
		assert.EqualValues(t, 1, job.Runs, "a hundred requests, one run")
		assert.Equal(t, 1, job.Failed)
		assert.NotEmpty(t, job.Error)
		assert.NotContains(t, body, "ann", "an error may name keys")
		assert.Contains(t, log.take(), "warm ended")

		require.Equal(t, 202, post(h, "/warm", `{"job":"users"}`).Code)
		time.Sleep(time.Second)
		synctest.Wait()
		assert.EqualValues(t, 2, warmer.Status()[0].Runs, "after that run another")
		cancel()
		<-ended
	})
}

func TestAJobThatWaitsForItsWarmerEndsWithTheHandler(t *testing.T) {
	t.Parallel()
	tiers := newTiers(t)
	warmer, _ := newWarmer(t, tiers) // which nobody runs
	h := newHandler(t, tiers, Config{Authorizer: byRole, Warmer: warmer})
	require.Equal(t, 202, post(h, "/warm", `{"job":"users"}`).Code)
	h.Close()
	assert.Equal(t, 503, post(h, "/warm", `{"job":"users"}`).Code)
}

func TestAfterTheTiersNothingIsDone(t *testing.T) {
	t.Parallel()
	tiers := newTiers(t)
	h := newHandler(t, tiers, Config{Authorizer: byRole})
	require.NoError(t, tiers.Close())
	<-h.ctx.Done()
	assert.Equal(t, 503, post(h, "/clear", "{}").Code)
	assert.Equal(t, 503, post(h, "/invalidate", `{"kind":"key","target":"user:42"}`).Code)
	assert.Equal(t, 200, ask(h, "GET", "/", "", "Role", "viewer").Code)
	h.Close()
	h.Close()
}
