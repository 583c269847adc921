package main

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
	"github.com/tiercache/tiercache/internal/redistest"
)

// lag is the longest that a change made through one server may take to show in the
// other: the library's default bound.
const lag = time.Second

// pair is two servers, each with its own database handle and memory, on one Redis.
type pair struct {
	t       *testing.T
	a, b    serving
	hearing string
	signer  *auth.Signer
}

// person is a seeded account, with a token that both servers accept.
func (p pair) person(role store.Role, n int) (store.User, string) {
	p.t.Helper()
	id, email, ok := store.Seed{Users: 200, Inquiries: 2000, Number: 1}.Account(role, n)
	require.True(p.t, ok)
	u := store.User{ID: id, Email: email, Role: role}
	token, _ := p.signer.Sign(u)
	return u, token
}

// view is one answer of b, reduced to what a change changes in it.
type view struct {
	path, token string
	show        func(p pair, path, token string) string
}

func (v view) now(p pair) string { return v.show(p, p.b.url+v.path, v.token) }

func answer[T any](of func(T) string) func(pair, string, string) string {
	return func(p pair, url, token string) string {
		p.t.Helper()
		var body T
		call(p.t, "GET", url, token, "", &body)
		return of(body)
	}
}

var (
	profile = answer(func(v store.Profile) string {
		if v.Assigned == nil {
			return fmt.Sprintf("%s asked %d", v.Name, v.Asked.Total)
		}
		return fmt.Sprintf("%s asked %d, has to answer %d", v.Name, v.Asked.Total, v.Assigned.Total)
	})
	inquiries = answer(func(v store.InquiryPage) string { return fmt.Sprintf("%d, newest %d", v.Total, v.Items[0].ID) })
	users     = answer(func(v store.UserList) string { return v.Items[0].Name })
	workload  = answer(func(v store.Workload) string { return fmt.Sprint(v.Totals.Total, v.Agents) })
)

type counters struct {
	Database struct{ Queries int64 }
	Cache    struct{ MemoryHits int64 }
	Hearing  string
}

func (p pair) counted() (c counters) {
	call(p.t, "GET", p.b.url+"/debug/counters", "", "", &c)
	return c
}

// warm reads until b answers all of it from its own memory.
func (p pair) warm(views []view) (shown []string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		before := p.counted()
		shown = shown[:0]
		for _, v := range views {
			shown = append(shown, v.now(p))
		}
		after := p.counted()
		return after.Cache.MemoryHits-before.Cache.MemoryHits == int64(len(views)) && after.Database.Queries == before.Database.Queries
	}, 20*time.Second, time.Millisecond)
	return shown
}

// seen waits until b shows in every view something else than before.
func (p pair) seen(what string, views []view, before []string) {
	p.t.Helper()
	done, old := time.Now(), 0
	for i, v := range views {
		for ; v.now(p) == before[i]; old++ {
			require.Less(p.t, time.Since(done), lag, "%s: %s still shows %s", what, v.path, before[i])
		}
	}
	p.t.Logf("%s: a change of %s showed in all of %d views after %v, reads included; %d reads were old", p.hearing, what, len(views), time.Since(done).Round(10*time.Microsecond), old)
}

func TestAnUpdateThroughOneServerShowsInTheOtherAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		hearing string
		redis   func(t *testing.T) string // REDIS_URL
	}{
		"redis-server":       {"tracking", func(t *testing.T) string { return "redis://" + redistest.Start(t).Addr() }},
		"the embedded Redis": {"pubsub", func(*testing.T) string { return "" }},
	} {
		t.Run(name, func(t *testing.T) {
			defer http.DefaultClient.CloseIdleConnections()
			redis, data := c.redis(t), t.TempDir()
			environment(t, redis)
			p := pair{t: t, hearing: c.hearing, a: start(t, data, "-debug")}
			defer func() { require.NoError(t, p.a.stop()) }()
			if redis == "" {
				environment(t, p.a.redis)
			}
			p.b = start(t, data, "-debug")
			defer func() { require.NoError(t, p.b.stop()) }() // before a, who may have the Redis
			var err error
			p.signer, err = auth.NewSigner([]byte("a secret for the tests"), time.Hour)
			require.NoError(t, err)
			p.follow()
		})
	}
}

// follow makes each kind of change through a and looks for it in b.
func (p pair) follow() {
	_, admin := p.person(store.RoleAdmin, 1)
	_, asking := p.person(store.RoleUser, 1)
	newest, renamed := p.person(store.RoleUser, 191) // the list of users begins with the last of them
	var agents []store.User
	var tokens []string
	for n := range 5 {
		u, token := p.person(store.RoleAgent, n+1)
		agents, tokens = append(agents, u), append(tokens, token)
	}

	own := []view{{"/api/users/me", renamed, profile}, {"/api/users", admin, users}, {"/api/users?role=USER", admin, users}}
	before := p.warm(own)
	require.Equal(p.t, p.hearing, p.counted().Hearing)
	var changed struct{ User store.User }
	call(p.t, "PATCH", p.a.url+"/api/users/me", renamed, `{"name":"Seen At Once"}`, &changed)
	p.seen("a profile", own, before)
	require.Equal(p.t, newest.ID, changed.User.ID)
	require.Equal(p.t, "Seen At Once", own[1].now(p))

	for n := range 5 { // in turn, so that each agent has one more
		team := []view{
			{"/api/users/me", asking, profile}, {"/api/inquiries", asking, inquiries}, {"/api/inquiries?status=open", asking, inquiries},
			{"/api/inquiries?limit=3", admin, inquiries}, {"/api/analytics/workload?range=7d", admin, workload}, {"/api/analytics/workload?range=365d", admin, workload},
		}
		for i := range agents {
			team = append(team, view{"/api/users/me", tokens[i], profile}, view{"/api/inquiries", tokens[i], inquiries})
		}
		before := p.warm(team)
		var made store.Inquiry
		post(p.t, p.a.url+"/api/inquiries", asking, `{"category":"login","subject":"Is this seen at once?"}`, &made)
		var others, concerned []view
		var theirs, old []string
		for i, v := range team {
			if agent := (i - 6) / 2; i >= 6 && agents[agent].ID != made.AgentID {
				others, theirs = append(others, v), append(theirs, before[i])
			} else {
				concerned, old = append(concerned, v), append(old, before[i])
			}
		}
		require.Len(p.t, concerned, 8, "six, and two of the agent who got it")
		p.seen(fmt.Sprintf("inquiries, the %d. assignment", n+1), concerned, old)
		for i, v := range others {
			require.Equal(p.t, theirs[i], v.now(p), "what does not concern him stays")
		}
	}
}
