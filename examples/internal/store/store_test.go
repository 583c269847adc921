package store

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func account(t *testing.T, role Role, i int) Viewer {
	t.Helper()
	id, _, ok := small.Account(role, i)
	require.True(t, ok)
	return Viewer{ID: id, Role: role}
}

func TestEachRoleSeesItsOwnInquiriesAndNoOthers(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, small), context.Background()
	for _, c := range []struct {
		viewer Viewer
		mine   func(Inquiry, int64) bool
	}{
		{account(t, RoleUser, 1), func(q Inquiry, id int64) bool { return q.UserID == id }},
		{account(t, RoleAgent, 1), func(q Inquiry, id int64) bool { return q.AgentID == id }},
		{account(t, RoleAdmin, 1), func(Inquiry, int64) bool { return true }},
		{account(t, RoleSuperuser, 1), func(Inquiry, int64) bool { return true }},
	} {
		page, err := s.Inquiries(ctx, c.viewer, Filter{Page: 1, Limit: 100})
		require.NoError(t, err)
		require.NotEmpty(t, page.Items, c.viewer.Role)
		for _, q := range page.Items {
			require.True(t, c.mine(q, c.viewer.ID), "%s %d sees %+v", c.viewer.Role, c.viewer.ID, q)
		}
	}
	all, err := s.Inquiries(ctx, account(t, RoleAdmin, 1), Filter{Page: 1, Limit: 1})
	require.NoError(t, err)
	assert.EqualValues(t, small.Inquiries, all.Total)
	none, err := s.Inquiries(ctx, Viewer{ID: account(t, RoleUser, 1).ID, Role: "no role at all"}, Filter{Page: 1, Limit: 100})
	require.NoError(t, err)
	assert.Less(t, none.Total, all.Total, "an unknown role sees no more than a user")
}

func TestFiltersNarrowAndPagesDoNotOverlap(t *testing.T) {
	t.Parallel()
	s, ctx, agent := open(t, small), context.Background(), account(t, RoleAgent, 1)
	seen, total := map[int64]bool{}, int64(-1)
	last := time.Now().Add(time.Hour)
	for n := 1; ; n++ {
		page, err := s.Inquiries(ctx, agent, Filter{Status: "closed", Priority: "high", Category: "refund", Text: "ORDER", Page: n, Limit: 7})
		require.NoError(t, err)
		for _, q := range page.Items {
			require.Equal(t, []string{"closed", "high", "refund"}, []string{q.Status, q.Priority, q.Category})
			require.Contains(t, q.Subject, "order")
			require.False(t, seen[q.ID], "twice")
			require.False(t, q.CreatedAt.After(last), "newest first")
			seen[q.ID], last, total = true, q.CreatedAt, page.Total
		}
		if len(page.Items) == 0 {
			break
		}
	}
	assert.EqualValues(t, total, len(seen))
	assert.Positive(t, total)
}

func TestTheTabsOfAListTellTheTotalsOfItsStatuses(t *testing.T) {
	t.Parallel()
	s, ctx, agent := open(t, small), context.Background(), account(t, RoleAgent, 1)
	whole, err := s.Inquiries(ctx, agent, Filter{Category: "refund", Page: 1, Limit: 1})
	require.NoError(t, err)
	var sum int64
	for _, status := range Statuses {
		one, err := s.Inquiries(ctx, agent, Filter{Category: "refund", Status: status, Page: 1, Limit: 1})
		require.NoError(t, err)
		assert.Equal(t, whole.ByStatus, one.ByStatus)
		assert.Equal(t, whole.ByStatus[status], one.Total)
		sum += one.Total
	}
	assert.Equal(t, whole.Total, sum)
	assert.Positive(t, sum)
}

func TestATextFilterIsNoPattern(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, small), context.Background()
	for _, text := range []string{"%", "_nvoice", `\`, "'; DROP TABLE inquiries; --"} {
		page, err := s.Inquiries(ctx, account(t, RoleAdmin, 1), Filter{Text: text, Page: 1, Limit: 1})
		require.NoError(t, err)
		assert.Zero(t, page.Total, text)
	}
}

func TestAProfileAddsUpWhatTheListShows(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, small), context.Background()
	user, agent := account(t, RoleUser, 1), account(t, RoleAgent, 1)
	p, err := s.Profile(ctx, user.ID)
	require.NoError(t, err)
	list, err := s.Inquiries(ctx, user, Filter{Page: 1, Limit: 1})
	require.NoError(t, err)
	assert.Equal(t, list.Total, p.Asked.Total)
	assert.Nil(t, p.Assigned)
	require.NotNil(t, p.Asked.LastAt)
	assert.Equal(t, list.Items[0].CreatedAt, *p.Asked.LastAt)

	p, err = s.Profile(ctx, agent.ID)
	require.NoError(t, err)
	list, err = s.Inquiries(ctx, agent, Filter{Page: 1, Limit: 1})
	require.NoError(t, err)
	assert.Equal(t, list.Total, p.Assigned.Total)

	_, err = s.Profile(ctx, 1_000_000)
	require.ErrorIs(t, err, ErrNotFound)
}

func TestManyProfilesAreThoseOfOneByOne(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, small), context.Background()
	ids := []int64{1_000_000, account(t, RoleSuperuser, 1).ID, account(t, RoleAgent, 1).ID, account(t, RoleAgent, 2).ID, account(t, RoleUser, 1).ID, account(t, RoleUser, 7).ID}
	all, err := s.Profiles(ctx, ids)
	require.NoError(t, err)
	require.Len(t, all, len(ids)-1, "nobody has the first id")
	for _, id := range ids[1:] {
		one, err := s.Profile(ctx, id)
		require.NoError(t, err)
		assert.Equal(t, one, all[id])
	}
	none, err := s.Profiles(ctx, nil)
	require.NoError(t, err)
	assert.Empty(t, none)
}

func TestTheActiveAreThoseOfTheLastInquiries(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, small), context.Background()
	user := account(t, RoleUser, 9)
	began := time.Now().Add(-time.Second)
	q, err := s.CreateInquiry(ctx, user.ID, s.NextAgent(), "billing", "low", "x")
	require.NoError(t, err)
	ids, err := s.Active(ctx, began, 10)
	require.NoError(t, err)
	assert.ElementsMatch(t, []int64{user.ID, q.AgentID}, ids)
	ids, err = s.Active(ctx, time.Unix(0, 0), 3)
	require.NoError(t, err)
	assert.Len(t, ids, 3)
	assert.ElementsMatch(t, []int64{user.ID, q.AgentID}, ids[:2], "the last come first")
}

func TestAWorkloadsPartsAddUpToItsTotals(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, small), context.Background()
	var shorter int64
	for _, name := range []string{"7d", "30d", "90d", "365d"} {
		w, err := s.Workload(ctx, name)
		require.NoError(t, err)
		require.Greater(t, w.Totals.Total, shorter, name)
		shorter = w.Totals.Total
		require.Len(t, w.Days, Ranges[name])
		var days, sections int64
		for _, d := range w.Days {
			days += d.Received
		}
		for _, c := range w.Sections {
			sections += c.Total
		}
		assert.Equal(t, w.Totals.Total, days, name)
		assert.Equal(t, w.Totals.Total, sections, name)
		var byHand int64
		require.NoError(t, s.reads.QueryRow(`SELECT count(*) FROM inquiries WHERE created_at >= ?`, w.From.Unix()).Scan(&byHand))
		assert.Equal(t, byHand, w.Totals.Total, name)
		require.NotEmpty(t, w.Agents)
		assert.LessOrEqual(t, len(w.Agents), busiest)
	}
	_, err := s.Workload(ctx, "1d")
	require.Error(t, err)
}

func TestAnUpdateReturnsBeforeAndAfterAndKeepsEmailsUnique(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, small), context.Background()
	me, other := account(t, RoleUser, 1), account(t, RoleUser, 2)
	name, email := "New Name", "New@Example.com"
	before, after, err := s.UpdateUser(ctx, me.ID, &name, &email)
	require.NoError(t, err)
	assert.Equal(t, "user1@example.com", before.Email)
	assert.Equal(t, "new@example.com", after.Email)
	assert.Equal(t, name, after.Name)
	p, err := s.Profile(ctx, me.ID)
	require.NoError(t, err)
	assert.Equal(t, after, p.User)

	_, _, err = s.UpdateUser(ctx, other.ID, nil, &email)
	require.ErrorIs(t, err, ErrEmailTaken)
	_, _, err = s.UpdateUser(ctx, 1_000_000, &name, nil)
	require.ErrorIs(t, err, ErrNotFound)
}

func TestANewInquiryIsOpenAndAssignedInTurn(t *testing.T) {
	t.Parallel()
	s, ctx, user := open(t, small), context.Background(), account(t, RoleUser, 5)
	agents := map[int64]bool{}
	for range 5 { // as many as there are agents
		q, err := s.CreateInquiry(ctx, user.ID, s.NextAgent(), "billing", "urgent", "Hello")
		require.NoError(t, err)
		agents[q.AgentID] = true
		page, err := s.Inquiries(ctx, user, Filter{Page: 1, Limit: 1})
		require.NoError(t, err)
		assert.Equal(t, q, page.Items[0])
	}
	assert.Len(t, agents, 5)
}

func TestEveryStatementIsCountedOnceAtTheDriver(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, small), context.Background()
	base := s.Counters()
	count := func(what string, queries, execs int64, do func()) {
		t.Helper()
		do()
		now := s.Counters()
		assert.Equal(t, Counters{queries, execs}, Counters{now.Queries - base.Queries, now.Execs - base.Execs}, what)
		base = now
	}
	user := account(t, RoleUser, 1)
	count("a profile", 2, 0, func() { _, _ = s.Profile(ctx, user.ID) })
	count("an agent's profile", 3, 0, func() { _, _ = s.Profile(ctx, account(t, RoleAgent, 1).ID) })
	count("profiles of users", 2, 0, func() { _, _ = s.Profiles(ctx, []int64{user.ID, user.ID + 1, user.ID + 2}) })
	count("profiles of nobody", 1, 0, func() { _, _ = s.Profiles(ctx, []int64{1_000_000}) })
	count("who is active", 1, 0, func() { _, _ = s.Active(ctx, time.Unix(0, 0), 10) })
	count("a list", 2, 0, func() { _, _ = s.Inquiries(ctx, user, Filter{Page: 1, Limit: 10}) })
	count("a workload", 2, 0, func() { _, _ = s.Workload(ctx, "7d") })
	count("an insert", 1, 1, func() { _, _ = s.CreateInquiry(ctx, user.ID, s.NextAgent(), "other", "low", "x") })
	count("a prepared statement", 2, 0, func() {
		stmt, err := s.reads.Prepare(`SELECT name FROM users WHERE id = ?`)
		require.NoError(t, err)
		defer stmt.Close()
		var name string
		require.NoError(t, stmt.QueryRow(1).Scan(&name))
		require.NoError(t, stmt.QueryRow(2).Scan(&name))
	})
}

func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	_, err := open(t, small).reads.Exec(`DELETE FROM users`)
	require.ErrorContains(t, err, "readonly")
}
