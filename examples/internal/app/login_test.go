package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
)

// browse sends a request as a browser would, and does not follow where it is sent.
func (i *instance) browse(method, target string, form url.Values, header http.Header) *http.Response {
	i.t.Helper()
	if form == nil {
		return i.browseBody(method, target, nil, header)
	}
	header = header.Clone()
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	return i.browseBody(method, target, strings.NewReader(form.Encode()), header)
}

func (i *instance) browseBody(method, target string, content io.Reader, header http.Header) *http.Response {
	i.t.Helper()
	req := httptest.NewRequest(method, "http://help.example"+target, content)
	for name, values := range header {
		req.Header[name] = values
	}
	rec := httptest.NewRecorder()
	i.app.ServeHTTP(rec, req)
	return rec.Result()
}

var (
	ownPage  = http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"http://help.example"}}
	goodForm = url.Values{"email": {"Agent1@example.com"}, "password": {auth.DemoPassword}}
)

func (i *instance) cookie(form url.Values) *http.Cookie {
	i.t.Helper()
	resp := i.browse("POST", "/login", form, ownPage)
	require.Equal(i.t, http.StatusSeeOther, resp.StatusCode)
	require.Len(i.t, resp.Cookies(), 1)
	return resp.Cookies()[0]
}

func TestABrowsersLoginIsACookieThatScriptsAndOtherSitesCannotUse(t *testing.T) {
	t.Parallel()
	i := service(t)
	c := i.cookie(goodForm)
	assert.True(t, c.HttpOnly)
	assert.Equal(t, http.SameSiteStrictMode, c.SameSite)
	assert.Equal(t, "/", c.Path)
	assert.False(t, c.Expires.IsZero(), "it ends with the token")
	assert.Equal(t, http.StatusOK, i.browse("GET", "/api/users/me", nil, http.Header{"Cookie": {c.Name + "=" + c.Value}}).StatusCode)

	secure := cookie(httptest.NewRequest("POST", "https://help.example/login", nil), "x", c.Expires)
	assert.True(t, secure.Secure, "over TLS it is sent over TLS only")

	gone := i.browse("POST", "/logout", url.Values{}, ownPage).Cookies()[0]
	assert.Negative(t, gone.MaxAge)
	assert.Empty(t, gone.Value)
}

func TestACookieIsAsGoodAsAHeaderAndNoBetter(t *testing.T) {
	t.Parallel()
	i := service(t)
	user, agent := i.who(store.RoleUser, 1).token, i.who(store.RoleAgent, 1).token
	for name, c := range map[string]struct {
		cookie, header, target string
		status                 int
	}{
		"a good one":                       {user, "", "/api/users/me", 200},
		"forged":                           {user + "x", "", "/api/users/me", 401},
		"empty":                            {"", "", "/api/users/me", 401},
		"of another role":                  {user, "", "/api/analytics/workload?range=7d", 403},
		"beside a better header":           {user, "Bearer " + agent, "/api/analytics/workload?range=7d", 200},
		"no stand-in for a bad header":     {agent, "Bearer nonsense", "/api/analytics/workload?range=7d", 401},
		"no stand-in for an unknown kind":  {agent, "Basic abc", "/api/users/me", 401},
		"a name alone, without Bearer":     {agent, "Bearer", "/api/users/me", 401},
		"a superuser's page for superuser": {i.who(store.RoleSuperuser, 1).token, "", "/api/users", 200},
	} {
		header := http.Header{"Cookie": {cookieName + "=" + c.cookie}}
		if c.header != "" {
			header.Set("Authorization", c.header)
		}
		assert.Equal(t, c.status, i.browse("GET", c.target, nil, header).StatusCode, name)
	}
}

func TestAPageFromElsewhereCannotChangeAnything(t *testing.T) {
	t.Parallel()
	i := service(t)
	super := i.who(store.RoleSuperuser, 1)
	held := func(h http.Header) http.Header {
		h = h.Clone()
		h.Set("Cookie", cookieName+"="+super.token)
		return h
	}
	elsewhere := map[string]http.Header{
		"another site":         {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"http://evil.example"}},
		"another port":         {"Sec-Fetch-Site": {"same-site"}, "Origin": {"http://help.example:9999"}},
		"another subdomain":    {"Sec-Fetch-Site": {"same-site"}, "Origin": {"http://x.help.example"}},
		"an old browser":       {"Origin": {"http://evil.example"}},
		"a sandboxed document": {"Origin": {"null"}},
	}
	for name, h := range elsewhere {
		for target, method := range map[string]string{"/api/users/me": "PATCH", "/api/inquiries": "POST", "/login": "POST", "/logout": "POST", "/api/cache/stats": "DELETE"} {
			resp := i.browse(method, target, goodForm, held(h))
			assert.Equal(t, http.StatusForbidden, resp.StatusCode, "%s: %s", name, target)
			assert.Empty(t, resp.Cookies(), "%s: %s", name, target)
		}
	}
	assert.Equal(t, http.StatusOK, i.browse("GET", "/", nil, http.Header{"Sec-Fetch-Site": {"cross-site"}}).StatusCode, "a link to the page works")
	assert.Equal(t, http.StatusOK, i.browse("DELETE", "/api/cache/stats", nil, held(ownPage)).StatusCode, "its own page may")
}

func TestALoginThatFailsSaysSoOnThePage(t *testing.T) {
	t.Parallel()
	i := service(t)
	for name, c := range map[string]struct {
		form   url.Values
		status int
		text   string
	}{
		"wrong password": {url.Values{"email": {"agent1@example.com"}, "password": {"x"}}, 401, "wrong e-mail or password"},
		"nobody":         {url.Values{"email": {"<script>@example.com"}, "password": {"x"}}, 401, "wrong e-mail or password"},
		"nothing":        {url.Values{}, 400, "are needed"},
		"too much":       {url.Values{"email": {strings.Repeat("x", 2*maxBody)}}, 400, "are needed"},
	} {
		resp := i.browse("POST", "/login", c.form, ownPage)
		assert.Equal(t, c.status, resp.StatusCode, name)
		assert.Empty(t, resp.Cookies(), name)
		text := body(t, resp)
		assert.Contains(t, text, c.text, name)
		assert.NotContains(t, text, "<script>", name)
	}
}
