package app

import (
	"context"
	"strconv"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
	"github.com/tiercache/tiercache/keys"
)

// A change names what it voids in one of three ways:
//
//   - by key, if it can be named: the lists of users are five keys;
//   - by tag, if the value says what it depends on. Voiding a tag costs the same
//     for one value as for a million: a profile is found under two keys, a
//     person's inquiries under as many as he has tried filters;
//   - by pattern, if nothing but the shape of the keys is known. That scans all of
//     Redis, and is left to the operator, on the dashboard.
const everyInquiry = "inquiries" // what depends on all inquiries there are

// accountTag is of what depends on a user's account, inquiriesTag of what depends
// on the inquiries that he asked or has to answer. They are two, so that a new name
// leaves his lists alone.
func accountTag(id int64) string   { return "user:" + strconv.FormatInt(id, 10) }
func inquiriesTag(id int64) string { return everyInquiry + ":" + strconv.FormatInt(id, 10) }

func profileTags(p store.Profile) []string { return []string{accountTag(p.ID), inquiriesTag(p.ID)} }

// listTag is of a viewer's lists, whatever their filters.
func listTag(v store.Viewer) string {
	if v.Role == store.RoleAdmin || v.Role == store.RoleSuperuser {
		return everyInquiry
	}
	return inquiriesTag(v.ID)
}

// Both changes run inside a Mutate. Should this process die after the commit, no other
// would ever hear of it, and an e-mail address would still be its last owner's, a warmed
// profile of last half-hour's count: that is worth a round trip more. It is not worth
// refusing changes while Redis is down, so it is MutateAnyway.

// ChangeUser has to know its targets before write runs. The account's role is not
// known for sure by then (the token may be outdated), so the lists of all roles are
// named. The new address is named by its key: an absence that is cached there has
// no tags, because it has no value to make them of.
func (c *cached) ChangeUser(ctx context.Context, who auth.Claims, newEmail *string, write func(context.Context) error) error {
	targets := []tiercache.Target{tiercache.Tag(accountTag(who.ID)), tiercache.Key(keys.UsersAll())}
	for _, role := range store.Roles {
		targets = append(targets, tiercache.Key(keys.UsersByRole(string(role))))
	}
	if newEmail != nil {
		targets = append(targets, tiercache.Key(keys.UserByEmail(*newEmail)))
	}
	_, err := c.tiers.MutateAnyway(ctx, write, targets...)
	return err
}

// AddInquiry voids what counts or lists the new inquiry: the lists and the profiles of
// who asked and of who has to answer, the lists of those who see everything, and the
// analytics, whose every range ends now. Everybody else's entries stay.
func (c *cached) AddInquiry(ctx context.Context, userID, agentID int64, write func(context.Context) error) error {
	_, err := c.tiers.MutateAnyway(ctx, write,
		tiercache.Tag(inquiriesTag(userID)), tiercache.Tag(inquiriesTag(agentID)), tiercache.Tag(everyInquiry))
	return err
}
