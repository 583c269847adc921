package keys_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/keys"
)

func TestTheOracleFollowsRedis(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a:b/c", true},
		{"a*", "a", true}, {"a*", "ba", false}, {"a*c", "abcbc", true}, {"a*c", "abcb", false},
		{"a:*:c:*", "a:b:x:c:", true}, {"a?c", "abc", true}, {"a?c", "ac", false}, {"**a", "ba", true},
	} {
		assert.Equal(t, c.want, globMatch(c.pattern, c.s), "%q on %q", c.pattern, c.s)
	}
}

// Every pattern over every key of some awkward templates and a few values that
// are each other's parts.
func TestAPatternMatchesExactlyTheKeysWithItsValues(t *testing.T) {
	t.Parallel()
	alphabet := []string{"", "a", "a:a", "*"}
	for _, c := range []struct {
		text  string
		names []string
	}{
		{"k:{a}", []string{"a"}},
		{"k{a}a", []string{"a"}},
		{"k:{a}:{b}", []string{"a", "b"}},
		{"k:{a}a:a{b}a", []string{"a", "b"}},
		{"k:{a}:a:{b}:{c}", []string{"a", "b", "c"}},
		{"k:{a}:{b}:{c}:{d}", []string{"a", "b", "c", "d"}},
		{"a{a}::{b}:a:{c}a:{d}:a", []string{"a", "b", "c", "d"}},
	} {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			template := keys.MustNew(c.text)
			tuples := everyTuple(alphabet, len(c.names))
			for _, fixed := range everyTuple(append([]string{"wild"}, alphabet...), len(c.names)) {
				where, leading := map[string]string{}, []string{}
				for i, v := range fixed {
					if v != "wild" {
						where[c.names[i]] = v
						if len(leading) == i {
							leading = append(leading, v)
						}
					}
				}
				pattern := template.PatternWhere(where)
				if len(leading) == len(where) {
					require.Equal(t, pattern, template.Pattern(leading...))
					require.LessOrEqual(t, strings.Count(pattern, "*"), 1)
					require.False(t, strings.Contains(strings.TrimSuffix(pattern, "*"), "*"), "%q is no prefix", pattern)
				}
				for _, values := range tuples {
					want := true
					for i, v := range fixed {
						want = want && (v == "wild" || v == values[i])
					}
					if key := template.Key(values...); want != globMatch(pattern, key) {
						t.Fatalf("%q (fixed %q) on %q (values %q): want %v", pattern, fixed, key, values, want)
					}
				}
			}
		})
	}
}

func everyTuple(alphabet []string, n int) [][]string {
	tuples := [][]string{nil}
	for range n {
		var longer [][]string
		for _, head := range tuples {
			for _, v := range alphabet {
				longer = append(longer, append(head[:len(head):len(head)], v))
			}
		}
		tuples = longer
	}
	return tuples
}

// families are all families as templates and as the functions a service calls.
// The template's text is written here once more on purpose.
var families = []struct {
	text     string
	names    []string
	key      func(v []string) string
	patterns map[string]func(v []string) string // by the names that are fixed
}{
	{
		"user:{id}",
		[]string{"id"},
		func(v []string) string { return keys.User(v[0]) },
		map[string]func(v []string) string{"": func([]string) string { return keys.UserPattern() }},
	},
	{
		"user:email:{email}",
		[]string{"email"},
		func(v []string) string { return keys.UserByEmail(v[0]) },
		map[string]func(v []string) string{"": func([]string) string { return keys.UserByEmailPattern() }},
	},
	{
		"users:role:{role}",
		[]string{"role"},
		func(v []string) string { return keys.UsersByRole(v[0]) },
		map[string]func(v []string) string{"": func([]string) string { return keys.UsersByRolePattern() }},
	},
	{"users:all", nil, func([]string) string { return keys.UsersAll() }, nil},
	{
		"inquiries:{role}:{userId}:{filters}",
		[]string{"role", "userId", "filters"},
		func(v []string) string { return keys.Inquiries(v[0], v[1], keys.Filters{"q": {v[2]}}) },
		map[string]func(v []string) string{
			"":            func([]string) string { return keys.InquiriesPattern() },
			"role":        func(v []string) string { return keys.InquiriesOfRole(v[0]) },
			"role,userId": func(v []string) string { return keys.InquiriesOf(v[0], v[1]) },
			"userId":      func(v []string) string { return keys.InquiriesOfUser(v[1]) },
		},
	},
	{
		"analytics:workload:{timeRange}",
		[]string{"timeRange"},
		func(v []string) string { return keys.Workload(v[0]) },
		map[string]func(v []string) string{"": func([]string) string { return keys.WorkloadPattern() }},
	},
}

// For each family, each set of fixed placeholders and two tuples of values: the
// pattern of one tuple matches the key of the other iff the fixed values agree.
func FuzzAFamilysPatternMatchesExactlyItsKeys(f *testing.F) {
	for i, h := range hostile {
		next := hostile[(i+1)%len(hostile)].value
		f.Add(uint8(i), h.value, next, "x", next, h.value, "x")
		f.Add(uint8(i), h.value, next, "x", h.value, "42", "y")
	}
	f.Fuzz(func(t *testing.T, agree uint8, a1, a2, a3, b1, b2, b3 string) {
		have, want := []string{a1, a2, a3}, []string{b1, b2, b3}
		for i := range want {
			if agree>>i&1 == 1 {
				want[i] = have[i] // random values alone would hardly ever agree
			}
		}
		for _, fam := range families {
			template := keys.MustNew(fam.text)
			written := template.Key(have[:len(fam.names)]...)
			for mask := range 1 << len(fam.names) {
				where, fixed, same := map[string]string{}, []string{}, true
				for i, name := range fam.names {
					if mask>>i&1 == 1 {
						where[name], fixed = want[i], append(fixed, name)
						same = same && want[i] == have[i]
					}
				}
				pattern := template.PatternWhere(where)
				require.Equal(t, same, globMatch(pattern, written), "%q on %q", pattern, written)
				if typed := fam.patterns[strings.Join(fixed, ",")]; typed != nil {
					require.Equal(t, pattern, typed(want))
					require.Equal(t, same, globMatch(typed(want), fam.key(have)), "%q on %q", typed(want), fam.key(have))
				}
			}
		}
	})
}

func FuzzKeysOfDifferentFamiliesNeverCollide(f *testing.F) {
	f.Add("email:x", "x", "")
	f.Add("all", "role:ADMIN", "workload:30d")
	f.Add("", ":", "::")
	for _, h := range hostile {
		f.Add(h.value, h.value, h.value)
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		seen := map[string]string{}
		for _, fam := range families {
			for i, v := range [][]string{{a, b, c}, {b, c, a}, {c, a, b}} {
				who := fmt.Sprintf("%s %q", fam.text, v[:len(fam.names)])
				key := fam.key(v)
				if other, taken := seen[key]; taken && other != who {
					t.Fatalf("%s and %s (%d) give %q", other, who, i, key)
				}
				seen[key] = who
			}
		}
	})
}
