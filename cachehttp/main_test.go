package cachehttp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// byRole is an Authorizer of requests that say who they are.
func byRole(r *http.Request, action string) (string, error) {
	switch role := r.Header.Get("Role"); role {
	case "":
		return "", Unauthenticated(`Basic realm="cache"`)
	case "admin":
		return "ada", nil
	case "viewer":
		if action == "read" {
			return "vic", nil
		}
		return "vic", errors.New("a viewer may not " + action)
	default:
		return role, errors.New("who is that, with the password hunter2?")
	}
}

// newTiers are memory only.
func newTiers(t testing.TB) *tiercache.Tiers {
	tiers, err := tiercache.Open(tiercache.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = tiers.Close() })
	return tiers
}

func newHandler(t testing.TB, tiers *tiercache.Tiers, cfg Config) *Handler {
	h, err := New(tiers, cfg)
	require.NoError(t, err)
	t.Cleanup(h.Close)
	return h
}

func newCache(t testing.TB, tiers *tiercache.Tiers, name string) *tiercache.Cache[string] {
	c, err := tiercache.New(tiers, tiercache.Options[string]{Name: name, TTL: time.Hour})
	require.NoError(t, err)
	return c
}

func load(t testing.TB, c *tiercache.Cache[string], key string) (loaded bool) {
	_, err := c.GetOrLoad(t.Context(), key, func(context.Context) (string, error) {
		loaded = true
		return "value", nil
	})
	require.NoError(t, err)
	return loaded
}

// ask sends a request with pairs of header names and values.
func ask(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// post is ask by an admin, of JSON.
func post(h http.Handler, path, body string, header ...string) *httptest.ResponseRecorder {
	return ask(h, "POST", path, body, append([]string{"Role", "admin", "Content-Type", "application/json"}, header...)...)
}

func snapshotOf(t testing.TB, body []byte) (s Snapshot) {
	require.NoError(t, json.Unmarshal(body, &s), "%s", body)
	return s
}
