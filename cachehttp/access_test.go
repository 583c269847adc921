package cachehttp

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWithoutAnAuthorizerOnlyTheMachineItselfReads(t *testing.T) {
	t.Parallel()
	h := newHandler(t, newTiers(t), Config{})
	for _, c := range []struct {
		name, from, host string
		header           []string
		reads            bool
	}{
		{"IPv4", "127.0.0.1:5000", "127.0.0.1:8080", nil, true},
		{"another of 127/8", "127.9.9.9:5000", "127.0.0.1", nil, true},
		{"IPv6", "[::1]:5000", "[::1]:8080", nil, true},
		{"IPv6 without a port", "[::1]:5000", "[::1]", nil, true},
		{"IPv4 in IPv6", "[::ffff:127.0.0.1]:5000", "localhost:8080", nil, true},
		{"the next machine", "192.0.2.7:5000", "127.0.0.1:8080", nil, false},
		{"a private network", "10.0.0.7:5000", "localhost:8080", nil, false},
		{"no address", "@", "localhost", nil, false},
		{"a name in the place of the address", "localhost:5000", "localhost", nil, false},
		{"X-Forwarded-For is not believed", "192.0.2.7:5000", "localhost", []string{"X-Forwarded-For", "127.0.0.1"}, false},
		{"X-Real-Ip is not believed", "192.0.2.7:5000", "localhost", []string{"X-Real-Ip", "127.0.0.1"}, false},
		{"Forwarded is not believed", "192.0.2.7:5000", "localhost", []string{"Forwarded", "for=127.0.0.1"}, false},
		{"a proxy on this machine", "127.0.0.1:5000", "localhost", []string{"X-Forwarded-For", "192.0.2.7"}, false},
		{"a proxy that tells of itself alone", "127.0.0.1:5000", "localhost", []string{"Via", "1.1 proxy"}, false},
		{"another site's name for this machine", "127.0.0.1:5000", "attacker.example:8080", nil, false},
		{"a name that begins like it", "127.0.0.1:5000", "localhost.attacker.example", nil, false},
		{"no host", "127.0.0.1:5000", "", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, path := range []string{"/", "/page/page.js", "/stream"} {
				r := httptest.NewRequest("GET", path, nil)
				r.RemoteAddr, r.Host = c.from, c.host
				for i := 0; i < len(c.header); i += 2 {
					r.Header.Set(c.header[i], c.header[i+1])
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				switch {
				case !c.reads:
					assert.Equal(t, 403, w.Code, path)
					assert.NotContains(t, w.Body.String(), "hits")
				case path == "/stream": // a recorder has no deadlines
					assert.Equal(t, 500, w.Code, path)
				default:
					assert.Equal(t, 200, w.Code, path)
				}
			}
		})
	}
}

func TestWithoutAnAuthorizerNobodyWrites(t *testing.T) {
	t.Parallel()
	tiers := newTiers(t)
	h, cache := newHandler(t, tiers, Config{}), newCache(t, tiers, "users")
	require.True(t, load(t, cache, "user:42"))
	for _, c := range [][3]string{
		{"POST", "/clear", "{}"}, {"DELETE", "/", ""}, {"POST", "/invalidate", `{"kind":"key","target":"user:42"}`}, {"POST", "/warm", `{"job":"x"}`},
	} {
		r := httptest.NewRequest(c[0], c[1], nil)
		r.RemoteAddr, r.Host = "127.0.0.1:5000", "127.0.0.1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		assert.Equal(t, 403, w.Code, c)
	}
	assert.False(t, load(t, cache, "user:42"), "it is in memory still")
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr, r.Host = "127.0.0.1:5000", "127.0.0.1"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	assert.Contains(t, w.Body.String(), `"allowed":[]`)
}

func TestWhoMayNotIsToldSoAndNotWhy(t *testing.T) {
	t.Parallel()
	tiers := newTiers(t)
	h, cache := newHandler(t, tiers, Config{Authorizer: byRole}), newCache(t, tiers, "users")
	load(t, cache, "user:42")
	for _, c := range []struct {
		method, path, role string
		status             int
	}{
		{"GET", "/", "", 401}, {"GET", "/", "stranger", 403}, {"GET", "/", "viewer", 200}, {"GET", "/", "admin", 200},
		{"HEAD", "/", "", 401}, {"HEAD", "/", "viewer", 200},
		{"GET", "/stream", "", 401}, {"GET", "/stream", "stranger", 403},
		{"GET", "/page/page.js", "", 401}, {"GET", "/page/page.js", "viewer", 200},
		{"POST", "/clear", "", 401}, {"POST", "/clear", "stranger", 403}, {"POST", "/clear", "viewer", 403},
		{"DELETE", "/", "", 401}, {"DELETE", "/", "viewer", 403},
		{"POST", "/invalidate", "", 401}, {"POST", "/invalidate", "viewer", 403},
		{"POST", "/warm", "", 401}, {"POST", "/warm", "viewer", 403},
	} {
		body := ""
		if c.path == "/invalidate" {
			body = `{"kind":"key","target":"user:42"}`
		}
		w := ask(h, c.method, c.path, body, "Role", c.role, "Content-Type", "application/json")
		assert.Equal(t, c.status, w.Code, c)
		assert.Equal(t, c.status == 401, w.Header().Get("WWW-Authenticate") == `Basic realm="cache"`, c)
		assert.NotContains(t, w.Body.String(), "hunter2")
	}
	assert.False(t, load(t, cache, "user:42"), "it is in memory still")
}

func TestAReaderIsToldWhatElseItMayDo(t *testing.T) {
	t.Parallel()
	tiers := newTiers(t)
	h := newHandler(t, tiers, Config{Authorizer: byRole})
	assert.Empty(t, snapshotOf(t, ask(h, "GET", "/", "", "Role", "viewer").Body.Bytes()).Allowed)
	assert.Equal(t, []string{"clear", "invalidate"}, snapshotOf(t, ask(h, "GET", "/", "", "Role", "admin").Body.Bytes()).Allowed)

	warmer, _ := newWarmer(t, tiers)
	h = newHandler(t, tiers, Config{Authorizer: byRole, Warmer: warmer})
	assert.Equal(t, []string{"clear", "invalidate", "warm"}, snapshotOf(t, ask(h, "GET", "/", "", "Role", "admin").Body.Bytes()).Allowed)
	assert.Empty(t, snapshotOf(t, ask(h, "GET", "/", "", "Role", "viewer").Body.Bytes()).Allowed)
}
