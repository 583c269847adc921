package keys_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/keys"
)

func TestFiltersInAnyOrderGiveOneKey(t *testing.T) {
	t.Parallel()
	pairs := []string{"status=open", "page=2", "assignee=ann", "q=late%20delivery", "sort=-date", "sort=name"}
	want := "assignee=ann,page=2,q=late~20delivery,sort=-date,sort=name,status=open"
	for turn := range pairs {
		turned := slices.Concat(pairs[turn:], pairs[:turn])
		if slices.Index(turned, "sort=-date") > slices.Index(turned, "sort=name") {
			continue // the order within one filter means something
		}
		query, err := url.ParseQuery(strings.Join(turned, "&"))
		require.NoError(t, err)
		assert.Equal(t, want, keys.Filters(query).String())
		assert.Equal(t, "inquiries:AGENT:42:"+want, keys.Inquiries("AGENT", "42", keys.Filters(query)))
	}
}

func TestFiltersThatDifferGiveDifferentKeys(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for i, f := range []keys.Filters{
		nil,
		{"all": {""}},
		{"": {""}},
		{"": {"", ""}},
		{"a": {""}},
		{"a": {"b,c"}},
		{"a": {"b"}, "c": {""}},
		{"a": {"b", "c"}},
		{"a": {"c", "b"}},
		{"a": {"b,c="}},
		{"a": {"b,a=c"}},
		{"a": {"b=c"}},
		{"a=b": {"c"}},
		{"a": {"b~2Cc"}},
		{"a": {"b%2Cc"}},
		{"a": {"B,c"}},
		{"a": {"b", "", "c"}},
		{"a": {strings.Repeat("b", 200)}},
		{"a": {strings.Repeat("b", 201)}},
	} {
		key := keys.Inquiries("AGENT", "42", f)
		other, taken := seen[key]
		assert.False(t, taken, "sets %d and %d give %q", other, i, key)
		seen[key] = i
	}
}

func TestNoFiltersIsAFixedWord(t *testing.T) {
	t.Parallel()
	for _, f := range []keys.Filters{nil, {}, {"a": nil}, {"a": {}, "b": nil}} {
		assert.Equal(t, "all", f.String())
	}
	assert.Equal(t, "b=1", keys.Filters{"a": nil, "b": {"1"}}.String(), "a name without any value is not there")
}

func TestLongFiltersAreHashedAndStillFound(t *testing.T) {
	t.Parallel()
	f := keys.Filters{"q": {strings.Repeat("long ", 50)}}
	key := keys.Inquiries("AGENT", "42", f)
	assert.Len(t, key, len("inquiries:AGENT:42:")+44)
	assert.True(t, globMatch(keys.InquiriesOf("AGENT", "42"), key))
}

func TestMoreFiltersThanFitOnTheStackAreSortedToo(t *testing.T) {
	t.Parallel()
	f, want := keys.Filters{}, []string{}
	for c := 'a'; c <= 'z'; c++ {
		f[string(c)] = []string{"1"}
		want = append(want, string(c)+"=1")
	}
	assert.Equal(t, strings.Join(want, ","), f.String())
}

// The text read back gives the set: so two sets never share one.
func FuzzFiltersGiveTheirSetBack(f *testing.F) {
	f.Add("a", "b,c", "b", "")
	f.Add("", "", "=", ",")
	f.Add("~", "~2C", "a=b", "%2C")
	for _, h := range hostile {
		f.Add(h.value, "1", "a", h.value)
	}
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		set := keys.Filters{name1: {value1}}
		set[name2] = append(set[name2], value2, value1)

		text := set.String()
		back := keys.Filters{}
		for pair := range strings.SplitSeq(text, ",") {
			name, value, found := strings.Cut(pair, "=")
			require.True(t, found, text)
			name, value = readBack(t, name), readBack(t, value)
			back[name] = append(back[name], value)
		}
		require.Equal(t, set, back, text)

		key := keys.Inquiries("r", "u", set)
		if written := strings.TrimPrefix(key, "inquiries:r:u:"); len(text) <= 128 {
			require.Equal(t, text, written)
		} else {
			require.True(t, standsFor(written, text))
		}
	})
}

func readBack(t *testing.T, escaped string) string {
	t.Helper()
	require.NotContains(t, escaped, "%")
	s, err := url.PathUnescape(strings.ReplaceAll(escaped, "~", "%"))
	require.NoError(t, err)
	return s
}
