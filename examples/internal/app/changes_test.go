package app

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
	"github.com/tiercache/tiercache/keys"
)

func TestAProfileIsCachedUnderBothOfItsKeys(t *testing.T) {
	t.Parallel()
	i := service(t)
	user := i.who(store.RoleUser, 1)
	get[store.Profile](i, "/api/users/me", user)
	assert.True(t, i.redis.Exists("test:"+keys.User(strconv.FormatInt(user.ID, 10))), i.redis.Keys())
	assert.True(t, i.redis.Exists("test:"+keys.UserByEmail(user.Email)), i.redis.Keys())
}

// profile tells whether a profile, or the absence of one, is cached under the key. A
// voided one may still stand in Redis, so it is the library that is asked.
func (i *instance) profile(key string) bool {
	i.t.Helper()
	_, ok, err := i.app.source.(*cached).profiles.Get(context.Background(), key)
	require.NoError(i.t, err)
	return ok
}

func TestAChangedNameShowsAtOnceWhereverItIsShown(t *testing.T) {
	t.Parallel()
	i := service(t)
	agent, admin := i.who(store.RoleAgent, 1), i.who(store.RoleAdmin, 1)
	get[store.Profile](i, "/api/users/me", agent)
	get[store.UserList](i, "/api/users?role=AGENT", admin)
	get[store.UserList](i, "/api/users", admin)
	for _, name := range []string{"First", "Second"} {
		s := want[session](i, http.StatusOK, "PATCH", "/api/users/me", agent.token, map[string]string{"name": name})
		assert.Empty(t, s.Token, "the old token still holds")
		assert.Equal(t, name, get[store.Profile](i, "/api/users/me", agent).Name)
		found := false
		for _, u := range get[store.UserList](i, "/api/users?role=AGENT", admin).Items {
			if u.ID == agent.ID {
				found = true
				assert.Equal(t, name, u.Name)
			}
		}
		assert.True(t, found)
	}
	// The newest of all users are USERs: one of them shows in the list of all.
	id, email, ok := seed.Account(store.RoleUser, lastUser())
	require.True(t, ok)
	token, _ := i.signer.Sign(store.User{ID: id, Email: email, Role: store.RoleUser})
	want[session](i, http.StatusOK, "PATCH", "/api/users/me", token, map[string]string{"name": "Newest"})
	assert.Equal(t, "Newest", get[store.UserList](i, "/api/users", admin).Items[0].Name)
}

func lastUser() int {
	n := seed.Users
	for _, _, ok := seed.Account(store.RoleUser, n); !ok; _, _, ok = seed.Account(store.RoleUser, n) {
		n--
	}
	return n
}

func TestAChangedEmailClearsBothAddressesAndOutdatesTheToken(t *testing.T) {
	t.Parallel()
	i := service(t)
	user := i.who(store.RoleUser, 1)
	get[store.Profile](i, "/api/users/me", user)
	// What the new address's last owner may have left behind.
	require.NoError(t, i.redis.Set("test:"+keys.UserByEmail("moved@example.com"), "anything"))
	s := want[session](i, http.StatusOK, "PATCH", "/api/users/me", user.token, map[string]string{"email": "Moved@Example.com"})
	require.NotEmpty(t, s.Token)
	for _, key := range []string{keys.User(strconv.FormatInt(user.ID, 10)), keys.UserByEmail(user.Email), keys.UserByEmail("moved@example.com")} {
		assert.False(t, i.profile(key), key)
	}
	// In either order, so that whichever comes first cannot spoil it for the other.
	for range 2 {
		want[map[string]string](i, http.StatusUnauthorized, "GET", "/api/users/me", user.token, nil)
		assert.False(t, i.profile(keys.UserByEmail(user.Email)), "an outdated token caches nothing under the old address")
		assert.Equal(t, "moved@example.com", get[store.Profile](i, "/api/users/me", who{token: s.Token}).Email)
	}
	// The address is free, and its next owner is not shown the last one's profile.
	other := i.who(store.RoleUser, 2)
	s = want[session](i, http.StatusOK, "PATCH", "/api/users/me", other.token, map[string]string{"email": user.Email})
	p := get[store.Profile](i, "/api/users/me", who{token: s.Token})
	assert.Equal(t, other.ID, p.ID)
	assert.Equal(t, user.Email, p.Email)
}

func TestANewInquiryShowsAtOnceAndClearsNoOthersEntries(t *testing.T) {
	t.Parallel()
	i := service(t)
	user, other := i.who(store.RoleUser, 1), i.who(store.RoleUser, 2)
	admin, super := i.who(store.RoleAdmin, 1), i.who(store.RoleSuperuser, 1)
	var agents []who
	for n := range 5 {
		agents = append(agents, i.who(store.RoleAgent, n+1))
	}
	lists := []string{"/api/inquiries", "/api/inquiries?status=open", "/api/inquiries?page=2"}
	all := append([]who{user, other, admin, super}, agents...)
	warm := func() {
		for _, p := range all {
			get[store.Profile](i, "/api/users/me", p)
			for _, l := range lists {
				get[store.InquiryPage](i, l, p)
			}
		}
		for name := range store.Ranges {
			get[store.Workload](i, "/api/analytics/workload?range="+name, admin)
		}
		get[store.UserList](i, "/api/users", admin)
	}
	warm()
	total := func(p who) int64 { return get[store.InquiryPage](i, "/api/inquiries", p).Total }
	before := map[int64]int64{}
	for _, p := range all {
		before[p.ID] = total(p)
	}
	load := get[store.Workload](i, "/api/analytics/workload?range=30d", admin).Totals.Total
	asked := get[store.Profile](i, "/api/users/me", user).Asked.Total
	require.Zero(t, i.queries(warm), "everything is cached")

	made := want[store.Inquiry](i, http.StatusCreated, "POST", "/api/inquiries", user.token,
		map[string]string{"category": "billing", "subject": "Is this seen at once?"})

	for _, p := range all {
		changed := p.ID == user.ID || p.ID == made.AgentID
		assert.Equal(t, !changed, i.profile(keys.User(strconv.FormatInt(p.ID, 10))), "%s by id", p.Email)
		assert.Equal(t, !changed, i.profile(keys.UserByEmail(p.Email)), "%s by e-mail", p.Email)
	}

	// Untouched: another user, the other agents, the users' list.
	untouched := i.queries(func() {
		get[store.Profile](i, "/api/users/me", other)
		get[store.UserList](i, "/api/users", admin)
		for _, l := range lists {
			get[store.InquiryPage](i, l, other)
			for _, a := range agents {
				if a.ID != made.AgentID {
					get[store.InquiryPage](i, l, a)
					get[store.Profile](i, "/api/users/me", a)
				}
			}
		}
	})
	assert.Zero(t, untouched, "entries that did not change stay cached")

	// Changed: who asked, who has to answer, who sees all, and the analytics.
	for _, p := range all {
		sees := p.ID == user.ID || p.ID == admin.ID || p.ID == super.ID || p.ID == made.AgentID
		if !sees {
			assert.Equal(t, before[p.ID], total(p), p.Email)
			continue
		}
		assert.Equal(t, before[p.ID]+1, total(p), p.Email)
		for _, l := range lists[:2] {
			assert.Equal(t, made, get[store.InquiryPage](i, l, p).Items[0], "%s for %s", l, p.Email)
		}
	}
	assert.Equal(t, load+1, get[store.Workload](i, "/api/analytics/workload?range=30d", admin).Totals.Total)
	assert.Equal(t, asked+1, get[store.Profile](i, "/api/users/me", user).Asked.Total)
	for _, a := range agents {
		if a.ID == made.AgentID {
			assert.Equal(t, before[a.ID]+1, get[store.Profile](i, "/api/users/me", a).Assigned.Total)
		}
	}
}

func TestANewNameLeavesTheListsOfInquiriesAlone(t *testing.T) {
	t.Parallel()
	i := service(t)
	user := i.who(store.RoleUser, 1)
	read := func() {
		get[store.InquiryPage](i, "/api/inquiries", user)
		get[store.InquiryPage](i, "/api/inquiries?status=open", user)
		get[store.Workload](i, "/api/analytics/workload?range=7d", i.who(store.RoleAdmin, 1))
	}
	read()
	want[session](i, http.StatusOK, "PATCH", "/api/users/me", user.token, map[string]string{"name": "New"})
	assert.Zero(t, i.queries(read))
}

// An absence has no tags made of a value, so a new address is named by its key.
func TestAnAddressThatWasNobodysIsSomebodysAtOnce(t *testing.T) {
	t.Parallel()
	i := service(t)
	token, _ := i.signer.Sign(store.User{ID: 1_000_000, Email: "free@example.com", Role: store.RoleUser})
	want[map[string]string](i, http.StatusUnauthorized, "GET", "/api/users/me", token, nil)
	asked := errors.New("the source was asked")
	absence := func() error {
		_, err := i.app.source.(*cached).profiles.GetOrLoad(context.Background(), keys.UserByEmail("free@example.com"),
			func(context.Context) (store.Profile, error) { return store.Profile{}, asked })
		return err
	}
	require.ErrorIs(t, absence(), store.ErrNotFound, "it is cached that there is nobody")
	want[session](i, http.StatusOK, "PATCH", "/api/users/me", i.who(store.RoleUser, 1).token, map[string]string{"email": "free@example.com"})
	require.ErrorIs(t, absence(), asked)
}

// While the change is under way its marker stands, so that a process that dies
// then leaves nothing behind that an invalidation would have to void.
func TestWhatIsReadDuringAChangeOfAUserIsNotKept(t *testing.T) {
	t.Parallel()
	i := service(t)
	user := i.who(store.RoleUser, 1)
	claims := auth.Claims{ID: user.ID, Email: user.Email, Role: user.Role}
	email := "during@example.com"
	read := func() { get[store.Profile](i, "/api/users/me", user) }
	read()
	require.NoError(t, i.app.source.ChangeUser(context.Background(), claims, &email, func(context.Context) error {
		for range 2 {
			assert.NotZero(t, i.queries(read))
		}
		assert.False(t, i.profile(keys.User(strconv.FormatInt(user.ID, 10))))
		return nil
	}))
	assert.NotZero(t, i.queries(read))
	require.Eventually(t, func() bool { return i.queries(read) == 0 }, 10*time.Second, time.Millisecond, "it is kept again")
	failed := errors.New("failed")
	require.ErrorIs(t, i.app.source.ChangeUser(context.Background(), claims, nil, func(context.Context) error { return failed }), failed)
	assert.NotZero(t, i.queries(read), "what a failed change did is not known")
}

func TestAClientThatHangsUpDoesNotKeepAChangeFromShowing(t *testing.T) {
	t.Parallel()
	i := service(t)
	user := i.who(store.RoleUser, 1)
	get[store.Profile](i, "/api/users/me", user)
	total := get[store.InquiryPage](i, "/api/inquiries", user).Total
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	i.doContext(gone, "PATCH", "/api/users/me", user.token, `{"name":"Changed"}`)
	i.doContext(gone, "POST", "/api/inquiries", user.token, `{"category":"other","subject":"x"}`)
	assert.Equal(t, "Changed", get[store.Profile](i, "/api/users/me", user).Name)
	assert.Equal(t, total+1, get[store.InquiryPage](i, "/api/inquiries", user).Total)
}

func TestTwoInstancesShareOneRedis(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.instance(true), w.instance(true)
	user, admin := w.who(store.RoleUser, 1), w.who(store.RoleAdmin, 1)
	read := func(i *instance) {
		get[store.Profile](i, "/api/users/me", user)
		get[store.InquiryPage](i, "/api/inquiries?status=closed", user)
		get[store.Workload](i, "/api/analytics/workload?range=90d", admin)
		get[store.UserList](i, "/api/users?role=AGENT", admin)
	}
	assert.NotZero(t, w.queries(func() { read(one) }))
	assert.Zero(t, w.queries(func() { read(two) }), "the second finds what the first stored")
	c := get[Counters](two, "/debug/counters", user).Cache
	assert.EqualValues(t, 4, c.RedisHits)
	assert.Zero(t, c.Errors)
}

func TestRedisGoingAwayFailsNoRequest(t *testing.T) {
	t.Parallel()
	i := service(t)
	user := i.who(store.RoleUser, 1)
	get[store.Profile](i, "/api/users/me", user)
	i.redis.Close()
	get[store.Profile](i, "/api/users/me", user)
	get[store.InquiryPage](i, "/api/inquiries", user)
	want[session](i, http.StatusOK, "PATCH", "/api/users/me", user.token, map[string]string{"name": "Still here"})
	assert.Equal(t, "Still here", get[store.Profile](i, "/api/users/me", user).Name)
}
