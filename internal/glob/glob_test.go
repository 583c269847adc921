package glob

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var cases = []struct {
	pattern, s string
	want       bool
}{
	{"", "", true},
	{"", "a", false},
	{"*", "", true},
	{"**", "", false},
	{"**", "a", true},
	{"?", "", false},
	{"a*", "a", true},
	{"a**", "a", true},
	{"*a", "", false},
	{"*a", "aXa", true},
	{"inquiries:*", "inquiries:a/b/c", true},
	{"inquiries:*", "inquiries", false},
	{"a/?/c", "a///c", true},
	{"?", "é", false},
	{"??", "é", true},
	{"[a-c]", "b", true},
	{"[c-a]", "b", true},
	{"[^a-c]", "b", false},
	{"[^a-c]", "d", true},
	{"[!a]", "!", true},
	{"[]", "a", false},
	{"[^]", "a", true},
	{"[]a]", "a", false},
	{"[^]a]", "xa]", true},
	{"[a-]", "-", false}, // from a to ], and not closed
	{"[a-]", "^", true},
	{"[a-", "-", true},
	{"[a-]x", "x", true},
	{"[abc", "b", true},
	{"[abc", "[", false},
	{"[", "[", false},
	{"[^", "a", true},
	{`[\]]`, "]", true},
	{`[\`, `\`, true},
	{`[a\-c]`, "b", false},
	{`[a-\]]`, "]", false},
	{`\*`, "*", true},
	{`\*`, "a", false},
	{`\`, `\`, true},
	{`a\`, `a\`, true},
	{`a\`, `a`, false},
	{`*\`, `a\`, true},
	{"[a-\xff]", "A", true},
	{"[a-\xff]", "z", false},
	{"[\x80-\xff]", "\x90", true},
	{"[^\xc3]", "\xa9", true},
	{"a\x00*", "a\x00b", true},
	{"[\x00-b]", "a", true},
	{"*a*b*c", "xaybzcxc", true},
	{"*a*b*c", "xaybzcx", false},
}

func TestPatternsMeanWhatTheyMeanToRedis(t *testing.T) {
	t.Parallel()
	for _, c := range cases {
		t.Run(fmt.Sprintf("%q %q", c.pattern, c.s), func(t *testing.T) {
			assert.Equal(t, c.want, Match(c.pattern, c.s))
			assert.Equal(t, c.want, Compile(c.pattern).Match(c.s))
		})
	}
}

func TestTheLiteralIsWhatStandsBeforeTheFirstMetacharacter(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"": "", "*": "", "a:*": "a:", "a?": "a", "a[b]": "a", "a": "a",
		`a\*b*`: "a*b", `a\`: `a\`, `\a`: "a", "a]^-": "a]^-",
	} {
		assert.Equal(t, want, Compile(pattern).Literal(), "%q", pattern)
	}
}

func TestHostilePatternsTakeNoLongerThanTheProductOfTheLengths(t *testing.T) {
	t.Parallel()
	start := time.Now()
	assert.False(t, Match(strings.Repeat("a*", 500)+"b", strings.Repeat("a", 20_000)))
	assert.False(t, Match(strings.Repeat("*a", 900)+"b", strings.Repeat("a", 20_000)))
	assert.Less(t, time.Since(start), 10*time.Second)
}

func TestRedisAnswersTheSame(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Client()
	ask := asker(t, rdb)

	for _, c := range cases {
		ask(c.s, c.pattern)
	}
	for _, stars := range []int{999, 1000, 1001, 1002} {
		ask(strings.Repeat("a", 1100), strings.Repeat("a*", stars)+"a")
		ask(strings.Repeat("a", 1100), strings.Repeat("a*", stars))
		ask(strings.Repeat("a", 1100), strings.Repeat("*a", stars)+"*")
	}
	// Few bytes, those with a meaning and one of each half of char.
	const alphabet = `abc*?[]^-\` + "\x00\x7f\x80\xff"
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	text := func(max int) string {
		b := make([]byte, random.IntN(max+1))
		for i := range b {
			b[i] = alphabet[random.IntN(len(alphabet))]
		}
		return string(b)
	}
	for range 200 {
		key := text(6)
		patterns := make([]string, 100)
		for i := range patterns {
			patterns[i] = text(9)
			if i%4 == 0 { // a random pattern hardly ever matches
				patterns[i] = loosen(random, key)
			}
		}
		ask(key, patterns...)
	}
}

// loosen returns a pattern that is likely to match the key.
func loosen(random *rand.Rand, key string) string {
	var b strings.Builder
	for i := range len(key) {
		c := string(key[i])
		b.WriteString([]string{c, Escape(c), "?", "*", "**", "[" + c + "]", "[^" + c, "[a-" + c + "]", `[\` + c + "-z]"}[random.IntN(9)])
	}
	return b.String()
}

// asker returns a function that makes key the only one of the database and
// compares Redis's answers with ours.
func asker(t testing.TB, rdb *redis.Client) func(key string, patterns ...string) {
	return func(key string, patterns ...string) {
		t.Helper()
		ctx := t.Context()
		pipe := rdb.Pipeline()
		pipe.FlushDB(ctx)
		pipe.Set(ctx, key, "", 0)
		found := make([]*redis.ScanCmd, len(patterns))
		for i, p := range patterns {
			// Not rdb.Scan, which leaves MATCH out for the empty pattern.
			found[i] = redis.NewScanCmd(ctx, pipe.Process, "scan", "0", "match", p)
			_ = pipe.Process(ctx, found[i])
		}
		_, err := pipe.Exec(ctx)
		require.NoError(t, err)
		for i, p := range patterns {
			keys, _ := found[i].Val()
			require.Equal(t, len(keys) == 1, Match(p, key), "Match(%q, %q)", p, key)
			require.Equal(t, len(keys) == 1, Compile(p).Match(key), "Compile(%q).Match(%q)", p, key)
		}
	}
}

func FuzzMatch(f *testing.F) {
	for _, c := range cases {
		f.Add(c.pattern, c.s)
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		g := Compile(pattern)
		got := Match(pattern, s)
		if g.Match(s) != got {
			t.Errorf("Compile(%q).Match(%q) is %v", pattern, s, !got)
		}
		if got && !strings.HasPrefix(s, g.Literal()) {
			t.Errorf("%q matches %q, which does not begin with %q", pattern, s, g.Literal())
		}
		if strings.Count(pattern, "*") < 8 && len(s) < 12 && obvious(pattern, s) != got {
			t.Errorf("Match(%q, %q) is %v", pattern, s, got)
		}
		if Match(Escape(pattern), s) != (pattern == s) || !Match(Escape(s), s) {
			t.Errorf("Escape(%q) is %q", pattern, Escape(pattern))
		}
		if e := Compile(Escape(s)); e.Literal() != s || e.kind != exact {
			t.Errorf("Escape(%q) is not a literal", s)
		}
	})
}

// obvious tries everything.
func obvious(pattern, s string) bool {
	switch {
	case pattern == "*":
		return true
	case pattern == "" || s == "":
		return pattern == s
	case pattern[0] == '*':
		rest := strings.TrimLeft(pattern, "*")
		for i := range len(s) {
			if rest == "" || obvious(rest, s[i:]) {
				return true
			}
		}
		return false
	}
	next, ok := one(pattern, 0, s[0])
	if rest := pattern[next:]; ok && len(s) == 1 {
		return strings.Trim(rest, "*") == ""
	}
	return ok && obvious(pattern[next:], s[1:])
}

func BenchmarkMatch(b *testing.B) {
	for _, pattern := range []string{"inquiries:*", "inquiries:*:42:*"} {
		b.Run(pattern, func(b *testing.B) {
			g := Compile(pattern)
			for b.Loop() {
				g.Match("inquiries:admin:42:status=open")
			}
		})
	}
}
