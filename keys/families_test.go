package keys_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tiercache/tiercache/keys"
)

func TestTheFamiliesHaveExactlyTheirKeysAndPatterns(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"user:42":                         keys.User("42"),
		"user:*":                          keys.UserPattern(),
		"user:email:ann+x@ex-ample.co.uk": keys.UserByEmail("ann+x@ex-ample.co.uk"),
		"user:email:*":                    keys.UserByEmailPattern(),
		"users:role:ADMIN":                keys.UsersByRole("ADMIN"),
		"users:role:*":                    keys.UsersByRolePattern(),
		"users:all":                       keys.UsersAll(),
		"inquiries:AGENT:42:page=2,status=open": keys.Inquiries("AGENT", "42",
			keys.Filters{"status": {"open"}, "page": {"2"}}),
		"inquiries:AGENT:42:all":   keys.Inquiries("AGENT", "42", nil),
		"inquiries:*":              keys.InquiriesPattern(),
		"inquiries:AGENT:*":        keys.InquiriesOfRole("AGENT"),
		"inquiries:AGENT:42:*":     keys.InquiriesOf("AGENT", "42"),
		"inquiries:*:42:*":         keys.InquiriesOfUser("42"),
		"analytics:workload:30d":   keys.Workload("30d"),
		"analytics:workload:*":     keys.WorkloadPattern(),
		"analytics:workload:%2A":   keys.Workload("*"),
		"inquiries:AGENT%3A42:*":   keys.InquiriesOfRole("AGENT:42"),
		"user:email:Ann@Example.C": keys.UserByEmail("Ann@Example.C"),
	} {
		assert.Equal(t, want, got)
	}
}

func TestAnIdCannotForgeAnEmailKey(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "user:email%3Aann@example.com", keys.User("email:ann@example.com"))
	assert.NotEqual(t, keys.UserByEmail("ann@example.com"), keys.User("email:ann@example.com"))
}

func TestTheUserPatternCoversTheEmailKeysAndNotTheLists(t *testing.T) {
	t.Parallel()
	assert.True(t, globMatch(keys.UserPattern(), keys.User("42")))
	assert.True(t, globMatch(keys.UserPattern(), keys.UserByEmail("ann@example.com")))
	assert.False(t, globMatch(keys.UserPattern(), keys.UsersAll()))
	assert.False(t, globMatch(keys.UserPattern(), keys.UsersByRole("ADMIN")))
	assert.False(t, globMatch(keys.UserByEmailPattern(), keys.User("42")))
	assert.False(t, globMatch(keys.UsersByRolePattern(), keys.UsersAll()))
}

func TestTwoSpellingsOfAnAddressAreTwoAccounts(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, mail := range []string{"ann@example.com", "Ann@example.com", " ann@example.com", "ann@example.com ", "ANN@EXAMPLE.COM"} {
		key := keys.UserByEmail(mail)
		assert.False(t, seen[key], key)
		assert.True(t, strings.HasPrefix(key, "user:email:"))
		seen[key] = true
	}
}
