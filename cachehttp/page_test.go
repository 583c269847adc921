package cachehttp

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"

func TestHTMLIsForWhoPrefersIt(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		browser:                            true,
		"text/html":                        true,
		"text/html, application/json;q=.9": true,
		"text/html;level=1":                true,
		"TEXT/HTML":                        true,
		"":                                 false,
		"*/*":                              false,
		"application/json":                 false,
		"text/html, application/json":      false,
		"text/html;q=0.5, */*":             false,
		"text/html;q=0":                    false,
		"text/html;q=NaN":                  false,
		"text/html;q=99":                   false,
		"text/event-stream":                false,
		";;;,,,=":                          false,
	} {
		assert.Equal(t, want, prefersHTML([]string{accept}), accept)
	}
	assert.True(t, prefersHTML([]string{"application/json;q=0.1", "text/html"}), "in two headers")
}

func TestThePageNamesFilesThatAreThere(t *testing.T) {
	t.Parallel()
	h := newHandler(t, newTiers(t), Config{Authorizer: byRole})
	w := ask(h, "GET", "/", "", "Role", "viewer", "Accept", browser)
	require.Equal(t, 200, w.Code)
	assert.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	assert.Equal(t, "Accept", w.Header().Get("Vary"))
	page := w.Body.String()
	names := regexp.MustCompile(`(?:src|href)="(page/[^"]+)"`).FindAllStringSubmatch(page, -1)
	require.NotEmpty(t, names)
	for _, n := range names {
		w := ask(h, "GET", "/"+n[1], "", "Role", "viewer")
		require.Equal(t, 200, w.Code, n[1])
		want := map[bool]string{true: "text/css; charset=utf-8", false: "text/javascript; charset=utf-8"}[strings.HasSuffix(n[1], ".css")]
		assert.Equal(t, want, w.Header().Get("Content-Type"))
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))

		tag := w.Header().Get("ETag")
		require.NotEmpty(t, tag)
		w = ask(h, "GET", "/"+n[1], "", "Role", "viewer", "If-None-Match", tag)
		assert.Equal(t, 304, w.Code)
		assert.Empty(t, w.Body.String())
	}
	assert.NotRegexp(t, `<script(?:\s[^>]*)?>[^<]`, page, "the policy forbids inline scripts")
	assert.NotRegexp(t, `\s(?:style|on[a-z]+)=`, page, "and styles, and handlers")
	assert.NotRegexp(t, `(?:src|href)="(?:https?:)?//`, page, "and other places")
}

func TestNothingButTheFilesIsServed(t *testing.T) {
	t.Parallel()
	h := newHandler(t, newTiers(t), Config{Authorizer: byRole})
	for _, path := range []string{"/page/", "/page", "/page/../handler.go", "/page/%2e%2e/handler.go", "/page/index.html", "/page/uplot", "/page/none.js", "/page//page.js", "/handler.go", "/stream/", "/clear/"} {
		w := ask(h, "GET", path, "", "Role", "admin")
		assert.Equal(t, 404, w.Code, path)
		assert.Contains(t, w.Body.String(), `{"error":`)
	}
}

func TestEveryAnswerHasItsGuards(t *testing.T) {
	t.Parallel()
	h := newHandler(t, newTiers(t), Config{Authorizer: byRole})
	for _, c := range [][4]string{
		{"GET", "/", "viewer", ""}, {"GET", "/", "viewer", browser}, {"GET", "/", "", ""}, {"HEAD", "/", "viewer", ""}, {"PUT", "/", "viewer", ""},
		{"GET", "/page/page.js", "viewer", ""}, {"GET", "/nowhere", "viewer", ""}, {"POST", "/clear", "admin", ""}, {"POST", "/clear", "viewer", ""}, {"GET", "/stream", "viewer", ""},
	} {
		w := ask(h, c[0], c[1], "", "Role", c[2], "Accept", c[3])
		policy := w.Header().Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
			assert.Contains(t, policy, part, c)
		}
		assert.NotContains(t, policy, "unsafe")
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"), c)
		assert.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"), c)
		assert.Equal(t, "same-origin", w.Header().Get("Cross-Origin-Resource-Policy"), c)
		assert.Contains(t, []string{"no-store", "no-cache"}, w.Header().Get("Cache-Control"), c)
		if strings.Contains(w.Header().Get("Content-Type"), "json") {
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"), c)
		}
		assert.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
	}
}

func TestItIsMountedAnywhereWithAndWithoutASlash(t *testing.T) {
	t.Parallel()
	tiers := newTiers(t)
	h := newHandler(t, tiers, Config{})
	for _, at := range []string{"", "/stats", "/api/cache/stats", "/a%20b/c&d"} {
		mux := http.NewServeMux()
		mux.Handle("/", http.StripPrefix(strings.ReplaceAll(at, "%20", " "), h))
		server := httptest.NewServer(mux)
		get := func(path, accept string) (*http.Response, string) {
			r, err := http.NewRequest("GET", server.URL+at+path, nil)
			require.NoError(t, err)
			r.Header.Set("Accept", accept)
			resp, err := server.Client().Do(r)
			require.NoError(t, err)
			b, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			return resp, string(b)
		}
		for _, path := range []string{"", "/"} {
			resp, body := get(path, "application/json")
			assert.Equal(t, 200, resp.StatusCode)
			snapshotOf(t, []byte(body))

			resp, body = get(path, browser)
			assert.Equal(t, 200, resp.StatusCode)
			assert.Contains(t, body, "<html")
			u, err := resp.Request.URL.Parse("page/page.js") // as the page does
			require.NoError(t, err)
			assert.Equal(t, at+"/page/page.js", u.EscapedPath())
		}
		resp, _ := get("/page/page.js", "*/*")
		assert.Equal(t, 200, resp.StatusCode)
		resp, _ = get("?tab=2", browser)
		assert.Equal(t, "tab=2", resp.Request.URL.RawQuery)
		server.Close()
	}
}

func TestTheWayToThePageStaysOnThisServer(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]string{
		"/stats":                   "./stats/",
		"/a/b/stats?x=1":           "./stats/?x=1",
		"//attacker.example":       "./attacker.example/",
		"/x//attacker.example":     "./attacker.example/",
		"/https:attacker.example":  "./https:attacker.example/",
		`/\attacker.example`:       "./%5Cattacker.example/",
		"/%0d%0aSet-Cookie:%20a=b": "./%0d%0aSet-Cookie:%20a=b/",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RequestURI = asked
		to, ok := withSlash(r)
		require.True(t, ok, asked)
		assert.Equal(t, want, to)
	}
}

func TestHEADIsGETWithoutItsBody(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newHandler(t, newTiers(t), Config{}))
	defer server.Close()
	resp, err := server.Client().Head(server.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, 200, resp.StatusCode)
	assert.Positive(t, resp.ContentLength)
}

func TestAStreamOverARealConnection(t *testing.T) {
	t.Parallel()
	h := newHandler(t, newTiers(t), Config{})
	server := httptest.NewUnstartedServer(h)
	server.Config.RegisterOnShutdown(h.Close)
	server.Start()
	resp, err := server.Client().Get(server.URL + "/stream")
	require.NoError(t, err)
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	require.NoError(t, err)
	var s Snapshot
	require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &s))
	assert.WithinDuration(t, time.Now(), s.At, time.Minute)
	require.NoError(t, server.Config.Shutdown(t.Context()), "open streams do not hold it up")
	require.NoError(t, resp.Body.Close())
	server.Close()
}

func TestNewWantsTiers(t *testing.T) {
	t.Parallel()
	_, err := New(nil, Config{})
	assert.ErrorContains(t, err, "Tiers")
}
