package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/examples/internal/store"
	"github.com/tiercache/tiercache/keys"
)

// run warms in the background until the test ends, as the server does: after Warm, which
// waits for Redis. What is loaded before that is for memory alone.
func (i *instance) run() {
	i.t.Helper()
	if i.tiers != nil {
		require.NoError(i.t, i.tiers.Warm(context.Background()))
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- i.app.Run(ctx) }()
	i.t.Cleanup(func() {
		cancel()
		require.ErrorIs(i.t, <-ended, context.Canceled)
	})
}

func TestWhatWillBeAskedForIsThereBeforeItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(true)
	active, err := w.db.Active(t.Context(), time.Now().Add(-activeFor), activeMost)
	require.NoError(t, err)
	require.Greater(t, len(active), 20)
	i.run()
	// On a machine that is busy with other tests a lease may run out before its value is
	// stored; the next run has it.
	require.Eventually(t, func() bool {
		for _, job := range []string{"profiles", "analytics"} {
			require.NoError(t, i.app.warmer.Trigger(t.Context(), job))
		}
		for _, id := range active {
			if !i.profile(profileKey(id)) {
				return false
			}
		}
		return true
	}, time.Minute, time.Millisecond)
	for _, s := range i.app.warmer.Status() {
		assert.Equal(t, s.Total, s.Done, s.Name)
		assert.Positive(t, s.Total, s.Name)
	}
	admin := w.who(store.RoleAdmin, 1)
	assert.Zero(t, w.queries(func() {
		for name := range store.Ranges {
			get[store.Workload](i, "/api/analytics/workload?range="+name, admin)
		}
	}))
	// A warmed profile is one that a request would have loaded.
	id, email, ok := seed.Account(store.RoleAgent, 1)
	require.True(t, ok)
	require.Contains(t, active, id)
	want, err := w.db.Profile(t.Context(), id)
	require.NoError(t, err)
	token, _ := w.signer.Sign(store.User{ID: id, Email: email, Role: store.RoleAgent})
	assert.Zero(t, w.queries(func() { assert.Equal(t, want, get[store.Profile](i, "/api/users/me", who{token: token})) }))
	assert.False(t, i.profile(keys.UserByEmail(email)), "nobody asks by e-mail")
}

func TestWhatIsWarmedIsVoidedByAChangeAsWell(t *testing.T) {
	t.Parallel()
	i := service(t)
	i.run()
	require.NoError(t, i.app.warmer.Trigger(t.Context(), "profiles"))
	agent := i.who(store.RoleAgent, 1)
	get[store.Profile](i, "/api/users/me", agent)
	want[session](i, 200, "PATCH", "/api/users/me", agent.token, map[string]string{"name": "Changed"})
	assert.Equal(t, "Changed", get[store.Profile](i, "/api/users/me", agent).Name)
}

func TestWarmingCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.instance(true, func(c *Config) { c.Warm.Off = true })
	i.run()
	assert.Empty(t, i.app.warmer.Status())
	none := w.instance(false)
	none.run() // waits for its end, and does nothing
	_, err := w.instance(true).app.source.(*cached).profilesOf(t.Context(), []string{"user:email:a@example.com"})
	require.ErrorContains(t, err, "user:email:a@example.com")
}

// As with a change of a user: what is read while an inquiry is written is not kept.
func TestWhatIsReadWhileAnInquiryIsWrittenIsNotKept(t *testing.T) {
	t.Parallel()
	i := service(t)
	user, agent, admin := i.who(store.RoleUser, 1), i.who(store.RoleAgent, 1), i.who(store.RoleAdmin, 1)
	read := map[string]func(){
		"who asked":       func() { get[store.InquiryPage](i, "/api/inquiries", user) },
		"who has to":      func() { get[store.Profile](i, "/api/users/me", agent) },
		"who sees it all": func() { get[store.InquiryPage](i, "/api/inquiries", admin) },
		"the analytics":   func() { get[store.Workload](i, "/api/analytics/workload?range=7d", admin) },
	}
	failed := errors.New("failed")
	require.ErrorIs(t, i.app.source.AddInquiry(t.Context(), user.ID, agent.ID, func(context.Context) error {
		for name, read := range read {
			for range 2 {
				assert.NotZero(t, i.queries(read), name)
			}
		}
		return failed
	}), failed)
	for name, read := range read {
		assert.NotZero(t, i.queries(read), "%s: what a failed change did is not known", name)
	}
}
