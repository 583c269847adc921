package app

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/examples/internal/store"
)

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(raw)
}

func (i *instance) home(token string) string {
	i.t.Helper()
	resp := i.browse("GET", "/", nil, http.Header{"Cookie": {cookieName + "=" + token}})
	require.Equal(i.t, http.StatusOK, resp.StatusCode)
	return body(i.t, resp)
}

func TestThePageNeedsNothingFromElsewhereAndAllowsNothing(t *testing.T) {
	t.Parallel()
	i := service(t)
	text := i.home(i.who(store.RoleAgent, 1).token)
	assert.NotRegexp(t, regexp.MustCompile(`(?i)https?://|<style|\bstyle=|\son[a-z]+=|<script[^>]*>[^<]`), text, "all of it is in files of this server")
	files := regexp.MustCompile(`(?:src|href)="(/web/[^"]+)"`).FindAllStringSubmatch(text, -1)
	require.Len(t, files, 3)
	for _, target := range append(files, []string{"", "/"}) {
		resp := i.browse("GET", target[1], nil, nil)
		require.Equal(t, http.StatusOK, resp.StatusCode, target[1])
		assert.Equal(t, policy, resp.Header.Get("Content-Security-Policy"))
		assert.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
		assert.NotContains(t, strings.ReplaceAll(body(t, resp), "http://www.w3.org/2000/svg", ""), "http://")
	}
	assert.NotContains(t, policy, "unsafe")
}

func TestThePageShowsWhoIsLoggedInAndElseTheForm(t *testing.T) {
	t.Parallel()
	i := service(t)
	in := i.home(i.who(store.RoleAgent, 1).token)
	assert.Contains(t, in, "agent1@example.com, AGENT")
	assert.NotContains(t, in, "password")
	for _, token := range []string{"", "nonsense"} {
		out := i.home(token)
		assert.Contains(t, out, `action="/login"`)
		assert.NotContains(t, out, "page.js")
		for _, email := range accounts {
			assert.Contains(t, out, "<option>"+email)
			_, _, err := i.db.Credentials(t.Context(), email)
			require.NoError(t, err, "%s is seeded", email)
		}
	}
}

func TestThePageComparesWhereItMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	agent := w.who(store.RoleAgent, 1).token
	head := func(i *instance) (columns []string) {
		for _, m := range regexp.MustCompile(`<th scope="col">([^<]*)`).FindAllStringSubmatch(i.home(agent), -1) {
			columns = append(columns, m[1])
		}
		return columns
	}
	assert.Equal(t, []string{"Route", "Cache"}, head(w.instance(true)))
	assert.Equal(t, []string{"Route", "Database"}, head(w.instance(false)))
	both := w.instance(true, func(c *Config) { c.Bypass = true })
	assert.Equal(t, []string{"Route", "Database", "Cache", "Faster"}, head(both))
}

func TestARequestMayAskTheDatabaseItselfWhereThatIsAllowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(true, func(c *Config) { c.Bypass = true })
	agent, admin := w.who(store.RoleAgent, 1), w.who(store.RoleAdmin, 1)
	ask := func(i *instance, target, token, off string) int {
		return i.browse("GET", target, nil, http.Header{"Authorization": {"Bearer " + token}, "X-Cache": {off}}).StatusCode
	}
	for target, token := range map[string]string{"/api/users/me": agent.token, "/api/inquiries": agent.token,
		"/api/users": admin.token, "/api/analytics/workload?range=7d": admin.token} {
		get[any](i, target, who{token: token})
		assert.Zero(t, w.queries(func() { get[any](i, target, who{token: token}) }), target)
		assert.NotZero(t, w.queries(func() { require.Equal(t, 200, ask(i, target, token, "off")) }), target)
		assert.Equal(t, 403, ask(w.instance(true), target, token, "off"), target)
	}
	assert.Equal(t, 400, ask(i, "/api/users/me", agent.token, "on"))
	before := get[Counters](i, "/debug/counters", agent).Cache
	require.Equal(t, 200, ask(i, "/api/users/me", agent.token, "off"))
	assert.Equal(t, before, get[Counters](i, "/debug/counters", agent).Cache, "the cache is not asked")
}

func TestEachAnswerTellsHowLongItTook(t *testing.T) {
	t.Parallel()
	i := service(t)
	for _, target := range []string{"/api/users/me", "/api/inquiries?x=1"} {
		resp := i.browse("GET", target, nil, http.Header{"Authorization": {"Bearer " + i.who(store.RoleUser, 1).token}})
		m := regexp.MustCompile(`^app;dur=(\d+\.\d{3})$`).FindStringSubmatch(resp.Header.Get("Server-Timing"))
		require.Len(t, m, 2, target)
		ms, err := strconv.ParseFloat(m[1], 64)
		require.NoError(t, err)
		assert.Less(t, ms, 60_000.0)
	}
}
