package app

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
	"github.com/tiercache/tiercache/keys"
)

// What the keys of two of the caches begin with. Package keys makes them; warming has
// to take them apart, too.
const (
	profilePrefix  = "user:"
	workloadPrefix = "analytics:workload:"
)

// How long answers may be kept. Every change invalidates what it changed, so
// these bound only what changes by itself: ranges that end now, and counts of
// inquiries that another program writes.
const (
	profileTTL   = 5 * time.Minute
	usersTTL     = 5 * time.Minute
	inquiriesTTL = 2 * time.Minute
	workloadTTL  = 5 * time.Minute

	workloadTimeout = 30 * time.Second // a year is added up in seconds, on a busy machine in many
)

// cached answers from the cache and loads from the database.
type cached struct {
	db        direct
	tiers     *tiercache.Tiers
	profiles  *tiercache.Cache[store.Profile]
	users     *tiercache.Cache[store.UserList]
	inquiries *tiercache.Cache[store.InquiryPage]
	workloads *tiercache.Cache[store.Workload]
}

func newCached(db *store.Store, tiers *tiercache.Tiers) (*cached, error) {
	c := &cached{db: direct{db}, tiers: tiers}
	unknown := func(err error) bool { return errors.Is(err, store.ErrNotFound) }
	var errs [4]error
	c.profiles, errs[0] = tiercache.New(tiers, tiercache.Options[store.Profile]{
		Name: "profiles", KeyPrefix: profilePrefix, TTL: profileTTL, NotFound: unknown, Tags: profileTags})
	c.users, errs[1] = tiercache.New(tiers, tiercache.Options[store.UserList]{
		Name: "users", KeyPrefix: "users:", TTL: usersTTL})
	c.inquiries, errs[2] = tiercache.New(tiers, tiercache.Options[store.InquiryPage]{
		Name: "inquiries", KeyPrefix: "inquiries:", TTL: inquiriesTTL, LoadTimeout: workloadTimeout})
	c.workloads, errs[3] = tiercache.New(tiers, tiercache.Options[store.Workload]{
		Name: "workloads", KeyPrefix: workloadPrefix, TTL: workloadTTL, LoadTimeout: workloadTimeout,
		Tags: func(store.Workload) []string { return []string{everyInquiry} }})
	return c, errors.Join(errs[:]...)
}

// changed carries a profile that must not be stored, as an error, which never is.
type changed struct{ profile store.Profile }

func (changed) Error() string { return errOutdated.Error() }

// Profile caches under both of the user's keys. The e-mail comes from the
// token and may be outdated; stored under it, the profile would be found by the
// address's next owner. So a load that finds another e-mail stores nothing. Its
// callers, who may have joined it with a newer token, look at what it found.
func (c *cached) Profile(ctx context.Context, who auth.Claims) (store.Profile, error) {
	p, err := c.profiles.GetOrLoad(ctx, profileKey(who.ID), func(ctx context.Context) (store.Profile, error) {
		p, err := c.db.Store.Profile(ctx, who.ID)
		if err == nil && p.Email != who.Email {
			return store.Profile{}, changed{p}
		}
		return p, err
	}, tiercache.Also(keys.UserByEmail(who.Email)))
	var other changed
	if errors.As(err, &other) {
		p, err = other.profile, nil
	}
	if err != nil {
		return store.Profile{}, err
	}
	return current(p, who)
}

func (c *cached) Users(ctx context.Context, role store.Role) (store.UserList, error) {
	key := keys.UsersAll()
	if role != "" {
		key = keys.UsersByRole(string(role))
	}
	return c.users.GetOrLoad(ctx, key, func(ctx context.Context) (store.UserList, error) { return c.db.Users(ctx, role) })
}

// Inquiries has the viewer's role and id in the key: nobody's list is ever
// found by somebody else, nor by himself in another role. An empty page would
// not say whose it is, so the tag is given with the call and not made of the value.
func (c *cached) Inquiries(ctx context.Context, v store.Viewer, f store.Filter) (store.InquiryPage, error) {
	key := keys.Inquiries(string(v.Role), strconv.FormatInt(v.ID, 10), filters(f))
	return c.inquiries.GetOrLoad(ctx, key, func(ctx context.Context) (store.InquiryPage, error) { return c.db.Inquiries(ctx, v, f) },
		tiercache.WithTags(listTag(v)))
}

// filters leaves out what does not filter, so that ?page=1 and nothing are one entry.
func filters(f store.Filter) keys.Filters {
	set := keys.Filters{}
	add := func(name, value, none string) {
		if value != none {
			set[name] = []string{value}
		}
	}
	add("status", f.Status, "")
	add("priority", f.Priority, "")
	add("category", f.Category, "")
	add("q", f.Text, "")
	add("page", strconv.Itoa(f.Page), "1")
	add("limit", strconv.Itoa(f.Limit), strconv.Itoa(defaultLimit))
	return set
}

func (c *cached) Workload(ctx context.Context, name string) (store.Workload, error) {
	return c.workloads.GetOrLoad(ctx, keys.Workload(name), func(ctx context.Context) (store.Workload, error) { return c.db.Workload(ctx, name) })
}
