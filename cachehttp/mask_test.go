package cachehttp

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/tiercache/tiercache"
)

func TestOfAKeyOnlyItsKindIsShown(t *testing.T) {
	t.Parallel()
	m := newMasker(false)
	for key, want := range map[string]string{
		"user:42":                                 "user:…",
		"user:email:ann@example.com":              "user:email:…",
		"inquiries:AGENT:42:page=2,status=open":   "inquiries:AGENT:…:…",
		"analytics:workload:30d":                  "analytics:workload:…",
		"session:f00dcafe12:user":                 "session:…:…",
		"ann@example.com":                         "…",
		"secret":                                  "…",
		"a:ann@example.com:b:4111 1111 1111 1111": "a:…:…:…",
		"tenant:7:smith:orders":                   "tenant:…:…:…",
		":x":                                      ":…",
	} {
		got := m.key(key)
		mark := strings.TrimPrefix(got, want)
		assert.Regexp(t, "^[0-9a-f]{3}$", mark, "%s: %s", key, got)
		assert.Equal(t, got, m.key(key), "the same key has the same mark")
	}
	assert.NotEqual(t, m.key("user:1")+m.key("user:2"), m.key("user:3")+m.key("user:4"))
	for _, pattern := range []string{"user:*", "*", "user:email:*", "user:"} {
		assert.Equal(t, pattern, m.key(pattern), "there is nothing in it to hide")
	}
	assert.Equal(t, "sessions", m.target(tiercache.Invalidation{Kind: "clear", Target: "sessions"}))
	assert.NotContains(t, m.target(tiercache.Invalidation{Kind: "tag", Target: "ann"}), "ann")
	assert.NotContains(t, m.problem(errors.New("no user:ann")), "ann")
	assert.Empty(t, m.problem(nil))
}

func TestKeysThatMayBeShownAreShownUpToALength(t *testing.T) {
	t.Parallel()
	m := newMasker(true)
	assert.Equal(t, "user:email:ann@example.com", m.key("user:email:ann@example.com"))
	assert.Equal(t, "no user:ann", m.problem(errors.New("no user:ann")))
	for _, long := range []string{strings.Repeat("x", 1<<16), strings.Repeat("ü", 1<<15), strings.Repeat("\xff", 1<<10), strings.Repeat("ab:", 1<<12)} {
		for _, m := range []masker{m, newMasker(false)} {
			got := m.key(long)
			assert.LessOrEqual(t, len(got), longestShown+len("…"))
			assert.True(t, utf8.ValidString(got) || !utf8.ValidString(long), got)
		}
	}
}
