package app

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
)

func TestEveryRouteAnswersTheSameWithTheCacheAndWithout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	on, off := w.instance(true), w.instance(false)
	for _, c := range []struct {
		target string
		who    who
	}{
		{"/api/users/me", w.who(store.RoleUser, 1)},
		{"/api/users/me", w.who(store.RoleAgent, 1)},
		{"/api/users", w.who(store.RoleAdmin, 1)},
		{"/api/users?role=AGENT", w.who(store.RoleSuperuser, 1)},
		{"/api/inquiries", w.who(store.RoleUser, 1)},
		{"/api/inquiries?status=closed&priority=high&page=2&limit=5", w.who(store.RoleAgent, 1)},
		{"/api/inquiries?category=refund&q=order", w.who(store.RoleAdmin, 1)},
	} {
		_, plain := off.do("GET", c.target, c.who.token, nil)
		for _, state := range []string{"cold", "warm"} {
			code, body := on.do("GET", c.target, c.who.token, nil)
			require.Equal(t, http.StatusOK, code, c.target)
			require.JSONEq(t, string(plain), string(body), "%s %s", state, c.target)
		}
		assert.Zero(t, w.queries(func() { on.do("GET", c.target, c.who.token, nil) }), "%s is cached", c.target)
		assert.NotZero(t, w.queries(func() { off.do("GET", c.target, c.who.token, nil) }), "%s is not", c.target)
	}
}

func TestEveryRangeOfTheWorkloadIsAnsweredAndCached(t *testing.T) {
	t.Parallel()
	i := service(t)
	for name := range store.Ranges {
		target := "/api/analytics/workload?range=" + name
		for _, role := range []store.Role{store.RoleAgent, store.RoleAdmin, store.RoleSuperuser} {
			load := get[store.Workload](i, target, i.who(role, 1))
			assert.Equal(t, name, load.Range)
			assert.Positive(t, load.Totals.Total)
		}
		assert.Zero(t, i.queries(func() { i.do("GET", target, i.who(store.RoleAgent, 1).token, nil) }))
	}
}

func TestEqualFiltersInAnyOrderAreOneEntry(t *testing.T) {
	t.Parallel()
	i := service(t)
	user := i.who(store.RoleUser, 1)
	get[store.InquiryPage](i, "/api/inquiries?status=closed&category=refund", user)
	for _, same := range []string{"?category=refund&status=closed", "?status=closed&page=1&category=refund&limit=20"} {
		assert.Zero(t, i.queries(func() { get[store.InquiryPage](i, "/api/inquiries"+same, user) }), same)
	}
	for _, other := range []string{"?status=closed", "?category=refund&status=open", "?category=refund&status=closed&page=2", "?category=refund&status=closed&limit=19"} {
		assert.NotZero(t, i.queries(func() { get[store.InquiryPage](i, "/api/inquiries"+other, user) }), other)
	}
}

func TestBadInputIsRefusedWithAJSONError(t *testing.T) {
	t.Parallel()
	i := service(t)
	agent, admin := i.who(store.RoleAgent, 1).token, i.who(store.RoleAdmin, 1).token
	for name, c := range map[string]struct {
		method, target, token string
		body                  any
		status                int
		text                  string
	}{
		"unknown range":           {"GET", "/api/analytics/workload?range=8d", agent, nil, 400, "range"},
		"no range":                {"GET", "/api/analytics/workload", agent, nil, 400, "range"},
		"two ranges":              {"GET", "/api/analytics/workload?range=7d&range=30d", agent, nil, 400, "2 times"},
		"page zero":               {"GET", "/api/inquiries?page=0", agent, nil, 400, "page"},
		"negative page":           {"GET", "/api/inquiries?page=-1", agent, nil, 400, "page"},
		"page that is no number":  {"GET", "/api/inquiries?page=one", agent, nil, 400, "page"},
		"page beyond":             {"GET", "/api/inquiries?page=1001", agent, nil, 400, "page"},
		"page beyond int":         {"GET", "/api/inquiries?page=99999999999999999999", agent, nil, 400, "page"},
		"page in another form":    {"GET", "/api/inquiries?page=01", agent, nil, 400, "page"},
		"empty page":              {"GET", "/api/inquiries?page=", agent, nil, 400, "page is empty"},
		"limit beyond":            {"GET", "/api/inquiries?limit=101", agent, nil, 400, "limit"},
		"unknown status":          {"GET", "/api/inquiries?status=lost", agent, nil, 400, "status"},
		"status in capitals":      {"GET", "/api/inquiries?status=OPEN", agent, nil, 400, "status"},
		"unknown filter":          {"GET", "/api/inquiries?colour=red", agent, nil, 400, "colour"},
		"duplicate filter":        {"GET", "/api/inquiries?status=open&status=open", agent, nil, 400, "2 times"},
		"huge text":               {"GET", "/api/inquiries?q=" + strings.Repeat("x", 65), agent, nil, 400, "q is longer"},
		"huge query":              {"GET", "/api/inquiries?q=" + strings.Repeat("x", 10_000), agent, nil, 400, "longer"},
		"text with a newline":     {"GET", "/api/inquiries?q=a%0Ab", agent, nil, 400, "plain text"},
		"text that is not UTF-8":  {"GET", "/api/inquiries?q=%ff", agent, nil, 400, "plain text"},
		"malformed query":         {"GET", "/api/inquiries?status=%zz", agent, nil, 400, "malformed"},
		"semicolons":              {"GET", "/api/inquiries?status=open;page=1", agent, nil, 400, "malformed"},
		"parameter of no use":     {"GET", "/api/users/me?x=1", agent, nil, 400, "x"},
		"unknown role":            {"GET", "/api/users?role=KING", admin, nil, 400, "role"},
		"patch of nothing":        {"PATCH", "/api/users/me", agent, "{}", 400, "name or email"},
		"patch of an unknown":     {"PATCH", "/api/users/me", agent, `{"role":"SUPERUSER"}`, 400, "role"},
		"patch without a body":    {"PATCH", "/api/users/me", agent, nil, 400, "body"},
		"patch with half a body":  {"PATCH", "/api/users/me", agent, `{"name":`, 400, "body"},
		"patch with two bodies":   {"PATCH", "/api/users/me", agent, `{"name":"A"}{"name":"B"}`, 400, "goes on"},
		"patch with garbage":      {"PATCH", "/api/users/me", agent, `{"name":"A"}x`, 400, "JSON"},
		"huge body":               {"PATCH", "/api/users/me", agent, `{"name":"` + strings.Repeat("x", maxBody) + `"}`, 413, "larger"},
		"name too long":           {"PATCH", "/api/users/me", agent, `{"name":"` + strings.Repeat("x", 101) + `"}`, 400, "name"},
		"empty name":              {"PATCH", "/api/users/me", agent, `{"name":" "}`, 400, "name"},
		"no e-mail":               {"PATCH", "/api/users/me", agent, `{"email":"nobody"}`, 400, "email"},
		"e-mail with a name":      {"PATCH", "/api/users/me", agent, `{"email":"Ann <ann@example.com>"}`, 400, "email"},
		"e-mail of somebody else": {"PATCH", "/api/users/me", agent, `{"email":"user1@example.com"}`, 409, "taken"},
		"unknown category":        {"POST", "/api/inquiries", agent, `{"category":"x","subject":"s"}`, 400, "category"},
		"unknown priority":        {"POST", "/api/inquiries", agent, `{"category":"other","priority":"x","subject":"s"}`, 400, "priority"},
		"no subject":              {"POST", "/api/inquiries", agent, `{"category":"other"}`, 400, "subject"},
		"login without password":  {"POST", "/api/login", "", `{"email":"a@example.com"}`, 400, "password"},
		"unknown route":           {"GET", "/api/nothing", agent, nil, 404, "route"},
		"another method":          {"DELETE", "/api/inquiries", agent, nil, 405, "DELETE"},
	} {
		t.Run(name, func(t *testing.T) {
			code, raw := i.do(c.method, c.target, c.token, c.body)
			require.Equal(t, c.status, code, "%s", raw)
			var body map[string]string
			require.NoError(t, json.Unmarshal(raw, &body))
			require.Len(t, body, 1)
			require.Contains(t, body["error"], c.text)
		})
	}
}

func TestOnlyAGoodTokenOfTheRightRoleGetsIn(t *testing.T) {
	t.Parallel()
	i := service(t)
	outdated := store.User{ID: i.who(store.RoleUser, 1).ID, Email: "was@example.com", Role: store.RoleUser}
	oldToken, _ := i.signer.Sign(outdated)
	gone, _ := i.signer.Sign(store.User{ID: 1_000_000, Email: "gone@example.com", Role: store.RoleUser})
	promoted, _ := i.signer.Sign(store.User{ID: i.who(store.RoleUser, 1).ID, Email: "user1@example.com", Role: store.RoleAgent})
	token := func(role store.Role) string { return i.who(role, 1).token }
	for name, c := range map[string]struct {
		method, target, token string
		status                int
	}{
		"no token":                     {"GET", "/api/users/me", "", 401},
		"garbage":                      {"GET", "/api/users/me", "garbage", 401},
		"forged":                       {"GET", "/api/users/me", token(store.RoleUser) + "x", 401},
		"e-mail has changed":           {"GET", "/api/users/me", oldToken, 401},
		"account is gone":              {"GET", "/api/users/me", gone, 401},
		"role has changed":             {"GET", "/api/users/me", promoted, 401},
		"lists without a token":        {"GET", "/api/inquiries", "", 401},
		"users without a token":        {"GET", "/api/users", "", 401},
		"users as a user":              {"GET", "/api/users", token(store.RoleUser), 403},
		"users as an agent":            {"GET", "/api/users?role=USER", token(store.RoleAgent), 403},
		"users as an admin":            {"GET", "/api/users", token(store.RoleAdmin), 200},
		"analytics as a user":          {"GET", "/api/analytics/workload?range=7d", token(store.RoleUser), 403},
		"analytics as an agent":        {"GET", "/api/analytics/workload?range=7d", token(store.RoleAgent), 200},
		"stats without a token":        {"GET", "/api/cache/stats", "", 200},
		"clearing without a token":     {"DELETE", "/api/cache/stats", "", 401},
		"clearing with a forged token": {"DELETE", "/api/cache/stats", token(store.RoleSuperuser) + "x", 401},
		"clearing as a user":           {"DELETE", "/api/cache/stats", token(store.RoleUser), 403},
		"clearing as an agent":         {"DELETE", "/api/cache/stats", token(store.RoleAgent), 403},
		"clearing as an admin":         {"DELETE", "/api/cache/stats", token(store.RoleAdmin), 403},
		"clearing as a superuser":      {"DELETE", "/api/cache/stats", token(store.RoleSuperuser), 200},
		"posting without a token":      {"POST", "/api/inquiries", "", 401},
		"changing oneself without one": {"PATCH", "/api/users/me", "", 401},
	} {
		t.Run(name, func(t *testing.T) {
			code, raw := i.do(c.method, c.target, c.token, nil)
			require.Equal(t, c.status, code, "%s", raw)
		})
	}
	// None of the refused had an effect on the rightful owner.
	get[store.Profile](i, "/api/users/me", i.who(store.RoleUser, 1))
}

func TestALoginGivesATokenThatWorks(t *testing.T) {
	t.Parallel()
	i := service(t)
	login := func(status int, email, password string) session {
		return want[session](i, status, "POST", "/api/login", "", map[string]string{"email": email, "password": password})
	}
	s := login(200, "Agent1@Example.com", auth.DemoPassword)
	assert.Equal(t, store.RoleAgent, s.User.Role)
	p := get[store.Profile](i, "/api/users/me", who{token: s.Token})
	assert.Equal(t, "agent1@example.com", p.Email)
	login(401, "agent1@example.com", "wrong")
	login(401, "nobody@example.com", auth.DemoPassword)
}

func TestAUserNeverSeesAnothersList(t *testing.T) {
	t.Parallel()
	i := service(t)
	var people []who
	for n := range 5 {
		people = append(people, i.who(store.RoleUser, n+1))
	}
	agent := i.who(store.RoleAgent, 1)
	for _, state := range []string{"cold", "warm"} {
		for _, filters := range []string{"", "?status=closed", "?q=order&limit=100"} {
			for _, p := range people {
				for _, q := range get[store.InquiryPage](i, "/api/inquiries"+filters, p).Items {
					require.Equal(t, p.ID, q.UserID, state)
				}
			}
			for _, q := range get[store.InquiryPage](i, "/api/inquiries"+filters, agent).Items {
				require.Equal(t, agent.ID, q.AgentID, state)
			}
		}
	}
	// The same person in another role is somebody else.
	all := get[store.InquiryPage](i, "/api/inquiries", i.who(store.RoleAdmin, 1))
	id, email, _ := seed.Account(store.RoleAdmin, 1)
	demoted, _ := i.signer.Sign(store.User{ID: id, Email: email, Role: store.RoleUser})
	own := get[store.InquiryPage](i, "/api/inquiries", who{token: demoted})
	assert.EqualValues(t, seed.Inquiries, all.Total)
	assert.Zero(t, own.Total)
}

// What a client cannot choose cannot select another's entry: the id in the key
// comes from the token alone.
func TestAFilterCannotReachIntoAnothersKeys(t *testing.T) {
	t.Parallel()
	i := service(t)
	victim, attacker := i.who(store.RoleUser, 1), i.who(store.RoleUser, 2)
	get[store.InquiryPage](i, "/api/inquiries", victim)
	for _, text := range []string{"*", ":", "all", "x:USER:263:all", "{USER}", "%", "?"} {
		page := get[store.InquiryPage](i, "/api/inquiries?q="+url.QueryEscape(text), attacker)
		for _, q := range page.Items {
			require.Equal(t, attacker.ID, q.UserID)
		}
	}
}
