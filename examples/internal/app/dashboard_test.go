package app

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/examples/internal/store"
	"github.com/tiercache/tiercache/keys"
)

type statsAnswer struct {
	Cache struct {
		Hits, Misses, Operations int64
		HitRate, AvgTime         float64
	}
	Redis struct {
		Mode      string
		Connected bool
		PingMs    float64
	}
	Performance struct{ Status, Recommendation string }
	Jobs        []struct{ Name string }
	Allowed     []string
}

func (i *instance) stats(token string) statsAnswer {
	i.t.Helper()
	return want[statsAnswer](i, http.StatusOK, "GET", statsPath, token, nil)
}

func TestStatsHaveTheAgreedFieldsWithTheCacheAndWithout(t *testing.T) {
	t.Parallel()
	var all [2][]string
	for n, on := range []bool{true, false} {
		i := newWorld(t).instance(on)
		_, raw := i.do("GET", statsPath, "", nil)
		var body map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(raw, &body))
		fields := func(part string) []string {
			var in map[string]any
			require.NoError(t, json.Unmarshal(body[part], &in))
			return slices.Sorted(maps.Keys(in))
		}
		assert.Equal(t, []string{"avgTime", "hitRate", "hits", "misses", "operations"}, fields("cache"))
		assert.Equal(t, []string{"connected", "mode", "pingMs"}, fields("redis"))
		assert.Equal(t, []string{"recommendation", "status"}, fields("performance"))
		assert.Regexp(t, regexp.MustCompile(`"hitRate":\d+\.\d\d[,}]`), string(raw))
		assert.NotContains(t, string(raw), "null")
		all[n] = slices.Sorted(maps.Keys(body))
	}
	assert.Equal(t, all[0], all[1])
}

func TestStatsCountHitsAndMissesAndAddUp(t *testing.T) {
	t.Parallel()
	i := service(t)
	user := i.who(store.RoleUser, 1)
	for range 3 {
		get[store.Profile](i, "/api/users/me", user)
	}
	s := i.stats("")
	assert.EqualValues(t, 2, s.Cache.Hits)
	assert.EqualValues(t, 1, s.Cache.Misses)
	assert.Equal(t, s.Cache.Hits+s.Cache.Misses, s.Cache.Operations)
	assert.Equal(t, 66.67, s.Cache.HitRate)
	assert.Equal(t, "single", s.Redis.Mode)
	assert.Len(t, s.Jobs, 2)
	off := newWorld(t).instance(false).stats("")
	assert.Equal(t, "off", off.Redis.Mode)
	assert.Contains(t, off.Performance.Recommendation, "off")
}

func TestClearingDropsTheValuesAndCountsFromZero(t *testing.T) {
	t.Parallel()
	i := service(t)
	user, super := i.who(store.RoleUser, 1), i.who(store.RoleSuperuser, 1)
	read := func() {
		get[store.Profile](i, "/api/users/me", user)
		get[store.InquiryPage](i, "/api/inquiries", user)
		get[store.UserList](i, "/api/users", super)
		get[store.Workload](i, "/api/analytics/workload?range=7d", super)
	}
	read()
	require.Zero(t, i.queries(read))
	want[map[string]any](i, http.StatusOK, "DELETE", statsPath, super.token, nil)
	s := i.stats("")
	assert.Zero(t, s.Cache.Operations)
	assert.Zero(t, s.Cache.HitRate)
	assert.NotZero(t, i.queries(read), "nothing is left of the values")
	s = i.stats("")
	assert.EqualValues(t, 4, s.Cache.Misses)
	assert.Zero(t, s.Cache.Hits)
}

func TestAPatternDropsTheKeysThatMatchAndNoOthers(t *testing.T) {
	t.Parallel()
	i := service(t)
	super := i.who(store.RoleSuperuser, 1)
	users := []who{i.who(store.RoleUser, 1), i.who(store.RoleUser, 2)}
	lists := func(p who) func() {
		return func() {
			get[store.InquiryPage](i, "/api/inquiries", p)
			get[store.InquiryPage](i, "/api/inquiries?status=open", p)
		}
	}
	lists(users[0])()
	lists(users[1])()
	target := map[string]string{"kind": "pattern", "target": keys.InquiriesOfUser(strconv.FormatInt(users[0].ID, 10))}
	code, raw := i.browseJSON("POST", statsPath+"/invalidate", super.token, target)
	require.Equal(t, http.StatusOK, code, "%s", raw)
	assert.Contains(t, raw, `"keys":2`)
	assert.Zero(t, i.queries(lists(users[1])))
	assert.NotZero(t, i.queries(lists(users[0])))
}

// browseJSON sends JSON as the dashboard's page does, with the cookie.
func (i *instance) browseJSON(method, target, token string, content any) (int, string) {
	i.t.Helper()
	raw, err := json.Marshal(content)
	require.NoError(i.t, err)
	h := ownPage.Clone()
	h.Set("Content-Type", "application/json")
	h.Set("Cookie", cookieName+"="+token)
	resp := i.browseBody(method, target, bytes.NewReader(raw), h)
	return resp.StatusCode, body(i.t, resp)
}

func TestOnlyASuperuserMayActAndEachActionIsLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	i := newWorld(t).instance(true, func(c *Config) { c.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
	acts := map[string]any{"/clear": struct{}{}, "/invalidate": map[string]string{"kind": "key", "target": "user:1"}, "/warm": map[string]string{"job": "analytics"}}
	i.run()
	for role, status := range map[store.Role]int{store.RoleUser: 403, store.RoleAgent: 403, store.RoleAdmin: 403, store.RoleSuperuser: 0} {
		who := i.who(role, 1)
		for path, content := range acts {
			code, text := i.browseJSON("POST", statsPath+path, who.token, content)
			if status > 0 {
				assert.Equal(t, status, code, "%s as %s: %s", path, role, text)
			} else {
				assert.Less(t, code, 300, "%s as %s: %s", path, role, text)
			}
		}
		if status > 0 {
			assert.Empty(t, i.stats(who.token).Allowed, role)
		} else {
			assert.ElementsMatch(t, []string{"clear", "invalidate", "warm"}, i.stats(who.token).Allowed)
		}
	}
	code, _ := i.browseJSON("POST", statsPath+"/clear", "", struct{}{})
	assert.Equal(t, 401, code)
	i.app.Close() // and with it whatever still writes to the log
	assert.Contains(t, log.String(), `"who":"superuser1@example.com"`)
	assert.Contains(t, log.String(), `"who":"admin1@example.com"`)
}

func TestABrowserGetsTheDashboardAsAPage(t *testing.T) {
	t.Parallel()
	i := service(t)
	html := http.Header{"Accept": {"text/html,application/xhtml+xml,*/*;q=0.8"}}
	there := i.browse("GET", statsPath, nil, html)
	require.Equal(t, http.StatusTemporaryRedirect, there.StatusCode)
	at := resolve(t, statsPath, there.Header.Get("Location"))
	resp := i.browse("GET", at, nil, html)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Contains(t, resp.Header.Get("Content-Type"), "text/html")
	text := body(t, resp)
	for _, file := range regexp.MustCompile(`(?:src|href)="(page/[^"]+)"`).FindAllStringSubmatch(text, -1) {
		asset := i.browse("GET", resolve(t, at, file[1]), nil, nil)
		assert.Equal(t, http.StatusOK, asset.StatusCode, file[1])
	}
}

// resolve is where a browser at page finds ref.
func resolve(t *testing.T, page, ref string) string {
	t.Helper()
	base, err := url.Parse(page)
	require.NoError(t, err)
	u, err := base.Parse(ref)
	require.NoError(t, err)
	return u.Path
}
