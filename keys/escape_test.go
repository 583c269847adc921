package keys_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/keys"
)

func TestOrdinaryValuesStayReadable(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "user:"+plain, keys.User(plain))
	assert.Equal(t, "user:M%C3%BCller%3A1", keys.User("Müller:1"))
}

func TestEveryByteStandsAsItselfOrAsItsHex(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		v := string([]byte{byte(c)})
		key := keys.User(v)
		written := strings.TrimPrefix(key, "user:")
		require.True(t, standsFor(written, v), "%q for %q", written, v)
		require.True(t, onlyPlain(key), key)
	}
}

func TestNoHostileValueForgesAKeyOrWidensAPattern(t *testing.T) {
	t.Parallel()
	const text = "inquiries:{role}:{userId}:{filters}"
	template := keys.MustNew(text)
	type tuple [3]string
	built := map[string]tuple{}
	for _, a := range hostile {
		written := split(t, "user:{id}", keys.User(a.value))[0]
		require.True(t, standsFor(written, a.value), "%s: %q", a.name, written)
		for _, b := range hostile {
			values := tuple{a.value, b.value, "f"}
			key := template.Key(values[:]...)
			other, taken := built[key]
			require.False(t, taken, "%q and %q give %q", other, values, key)
			built[key] = values
			require.True(t, onlyPlain(key), "%s, %s: %q", a.name, b.name, key)
			require.Equal(t, 3, strings.Count(key, ":"))
			require.LessOrEqual(t, len(key), len("inquiries:::")+3*128)
		}
	}
	for _, a := range hostile {
		byRole, byUser := template.Pattern(a.value), template.PatternWhere(map[string]string{"userId": a.value})
		for key, values := range built {
			require.Equal(t, values[0] == a.value, globMatch(byRole, key), "%s: %q on %q", a.name, byRole, key)
			require.Equal(t, values[1] == a.value, globMatch(byUser, key), "%s: %q on %q", a.name, byUser, key)
		}
	}
}

func TestALongValueIsHashedByItself(t *testing.T) {
	t.Parallel()
	orders := keys.MustNew("orders:{shop}:{id}")
	long := strings.Repeat("a", 129)
	const hashed = "#wSywJKLlVRzKDgj86PHF4xRVXMP-9jKe6ZSj23UhZq4"
	assert.Equal(t, "orders:"+hashed+":42", orders.Key(long, "42"))
	assert.Equal(t, "orders:"+hashed+":*", orders.Pattern(long))
	assert.Equal(t, "orders:"+long[:128]+":42", orders.Key(long[:128], "42"), "128 bytes are not hashed")
	assert.Equal(t, "orders:"+strings.Repeat("%2A", 42)+":1", orders.Key(strings.Repeat("*", 42), "1"), "126 bytes after escaping")
	assert.Len(t, orders.Key(strings.Repeat("*", 43), ""), len("orders::")+44, "129 bytes after escaping")
}

func TestBuildingAKeyAllocatesTheKeyOnly(t *testing.T) {
	shop, id, longest := "berlin", "a:b*", strings.Repeat("x", 128)
	orders := keys.MustNew("orders:{shop}:{id}")
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { sink = orders.Key(shop, id) }), 1.0)
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { sink = orders.Key(longest, id) }), 1.0)
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { sink = keys.UsersAll() }), 0.0)
	filters := keys.Filters{"status": {"open"}, "page": {"2"}}
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { sink = keys.Inquiries(shop, id, filters) }), 2.0)
}

var sink string

func FuzzAKeyGivesItsValuesBack(f *testing.F) {
	for i, h := range hostile {
		f.Add(h.value, hostile[(i+1)%len(hostile)].value, "x")
	}
	const text = "a:{x}:{y}-:-{z}.end"
	template := keys.MustNew(text)
	f.Fuzz(func(t *testing.T, x, y, z string) {
		values := []string{x, y, z}
		key := template.Key(values...)
		require.True(t, onlyPlain(key), key)
		for i, written := range split(t, text, key) {
			require.True(t, standsFor(written, values[i]), "%q for %q", written, values[i])
		}
	})
}

func FuzzTwoTuplesNeverShareAKey(f *testing.F) {
	for i, h := range hostile {
		f.Add(h.value, "1", hostile[(i+1)%len(hostile)].value, "1")
	}
	f.Add("a:b", "c", "a", "b:c")
	f.Add("", ":", ":", "")
	f.Add("a%3Ab", "c", "a:b", "c")
	template := keys.MustNew("orders:{shop}:{id}")
	f.Fuzz(func(t *testing.T, a1, a2, b1, b2 string) {
		same := a1 == b1 && a2 == b2
		require.Equal(t, same, template.Key(a1, a2) == template.Key(b1, b2))
	})
}

func BenchmarkKey(b *testing.B) {
	orders := keys.MustNew("orders:{shop}:{id}")
	filters := keys.Filters{"status": {"open"}, "page": {"2"}}
	long := strings.Repeat("x", 10_000)
	mail := "Müller, Ann <ann@example.com>"
	for _, c := range []struct {
		name  string
		build func() string
	}{
		{"plain", func() string { return keys.User("42") }},
		{"two", func() string { return orders.Key("berlin", "42") }},
		{"escaped", func() string { return keys.UserByEmail(mail) }},
		{"filters", func() string { return keys.Inquiries("AGENT", "42", filters) }},
		{"hashed10kB", func() string { return keys.User(long) }},
		{"pattern", func() string { return keys.InquiriesOfRole("AGENT") }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = c.build()
			}
		})
	}
}
