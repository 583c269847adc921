package keys_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/keys"
)

func TestAWrongTemplateIsAnErrorThatNamesItAndWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "empty"},
		{"reserved namespace", "~tags:{id}", "reserved"},
		{"placeholder first", "{id}:orders", "must start with a literal"},
		{"placeholder alone", "{id}", "must start with a literal"},
		{"never closed", "orders:{id", "never closed"},
		{"opened at the end", "orders:{", "never closed"},
		{"never opened", "orders:id}", "closes no placeholder"},
		{"closed twice", "orders:{id}}", "closes no placeholder"},
		{"nested", "orders:{a{b}}", `another "{" inside`},
		{"no name", "orders:{}", "no name"},
		{"name with a space", "orders:{user id}", "' '"},
		{"name with a colon", "orders:{a:b}", "':'"},
		{"name beyond ASCII", "orders:{größe}", "'ö'"},
		{"name used twice", "orders:{id}:{id}", "{id} is there twice"},
		{"placeholders that touch", "orders:{a}{b}", "{a} and the next"},
		{"ambiguous separator", "size:{w}x{h}", `not "x"`},
		{"separator a value may hold", "size:{w}.{h}", `not "."`},
		{"star", "orders:*:{id}", "'*'"},
		{"question mark", "orders?{id}", "'?'"},
		{"open bracket", "orders[{id}", "'['"},
		{"close bracket", "orders]{id}", "']'"},
		{"backslash", `orders\{id}`, `'\\'`},
		{"caret", "orders^{id}", "'^'"},
		{"glob character at the end", "orders:{id}:*", "'*'"},
		{"newline", "orders\n{id}", `'\n'`},
		{"NUL", "orders\x00{id}", `'\x00'`},
		{"DEL", "orders\x7f{id}", `'\x7f'`},
		{"space", "my orders:{id}", "' '"},
		{"invisible character", "orders\u200b:{id}", `'\u200b'`},
		{"invalid UTF-8", "orders\xff:{id}", "not valid UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			template, err := keys.New(c.text)
			require.Error(t, err)
			assert.Regexp(t, `^keys: template ".*": `, err.Error())
			assert.Contains(t, err.Error(), c.want)
			assert.Zero(t, template)
			assert.PanicsWithError(t, err.Error(), func() { keys.MustNew(c.text) })
		})
	}
}

func TestARightTemplateBuildsKeysAndPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text         string
		values       []string
		key, pattern string
	}{
		{"users:all", nil, "users:all", "users:all"},
		{"user:{id}", []string{"42"}, "user:42", "user:*"},
		{"u{id}", []string{"42"}, "u42", "u*"},
		{"user:{id}:profile", []string{"42"}, "user:42:profile", "user:*"},
		{"img:{w}x:x{h}.png", []string{"1x", "x2"}, "img:1xx:xx2.png", "img:*"},
		{"größe:{user_id}:{Id2}", []string{"a", ""}, "größe:a:", "größe:*"},
		{"a%#:{id}", []string{"%#"}, "a%#:%25%23", "a%#:*"},
	} {
		template, err := keys.New(c.text)
		require.NoError(t, err)
		assert.Equal(t, c.text, template.String())
		assert.Equal(t, c.key, template.Key(c.values...))
		assert.Equal(t, c.pattern, template.Pattern())
		assert.Equal(t, c.pattern, template.PatternWhere(nil))
	}
}

func TestAWrongNumberOfValuesGivesARefusedKeyThatSaysSo(t *testing.T) {
	t.Parallel()
	orders := keys.MustNew("orders:{shop}:{id}")
	const secret = "hunter2"
	for name, refused := range map[string]string{
		"no value":                orders.Key(),
		"too few":                 orders.Key(secret),
		"too many":                orders.Key(secret, "42", "43"),
		"too many for a pattern":  orders.Pattern(secret, "42", "43"),
		"unknown name":            orders.PatternWhere(map[string]string{"shop": secret, "*": secret}),
		"only unknown names":      orders.PatternWhere(map[string]string{"Shop": secret}),
		"value for a fixed key":   keys.MustNew("users:all").Key(secret),
		"zero Template":           keys.Template{}.Key(),
		"zero Template, values":   keys.Template{}.Key(secret),
		"zero Template's pattern": keys.Template{}.Pattern(),
		"zero Template by name":   keys.Template{}.PatternWhere(map[string]string{"shop": secret}),
		"zero Template, no names": keys.Template{}.PatternWhere(nil),
	} {
		assert.True(t, strings.HasPrefix(refused, "~keys: template "), "%s: %s", name, refused)
		assert.NotContains(t, refused, secret, name)
		assert.False(t, strings.ContainsAny(refused, `*?[]\^`), "%s: %s", name, refused)
	}
	assert.Contains(t, orders.Key("berlin"), "template orders:{shop}:{id}: 1 values for a key with 2 placeholders")
	assert.Contains(t, orders.PatternWhere(map[string]string{"Shop": ""}), "no placeholder Shop")
}

func TestTwoWrongCallsDoNotShareAKey(t *testing.T) {
	t.Parallel()
	orders := keys.MustNew("orders:{shop}:{id}")
	wrong := []string{
		orders.Key(), orders.Key(""), orders.Key("berlin"), orders.Key("paris"), orders.Key("a", "b", "c"),
		orders.Key("a", "b:c", ""), orders.Key("a", "b", "c", ""), orders.Key("ab", "c", ""),
		orders.Key("a", "bc", ""),
		orders.PatternWhere(map[string]string{"x": "1"}), orders.PatternWhere(map[string]string{"x": "2"}),
	}
	seen := map[string]bool{}
	for _, k := range wrong {
		assert.False(t, seen[k], k)
		seen[k] = true
	}
	many := map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"}
	for range 50 {
		require.Equal(t, keys.Template{}.PatternWhere(many), keys.Template{}.PatternWhere(many))
	}
}

func TestANewTemplateKeepsItsWords(t *testing.T) {
	t.Parallel()
	orders := keys.MustNew("orders:{shop}:{id}")
	key := orders.Key("berlin", "42")
	assert.Equal(t, key, orders.Key("berlin", "42"))
	assert.Equal(t, key, orders.Pattern("berlin", "42"), "nothing wild: the pattern is the key")
	assert.Equal(t, key, orders.PatternWhere(map[string]string{"id": "42", "shop": "berlin"}))
	assert.Equal(t, "orders:berlin:*", orders.PatternWhere(map[string]string{"shop": "berlin"}))
	assert.Equal(t, "orders:*:42", orders.PatternWhere(map[string]string{"id": "42"}))
	assert.Equal(t, "orders::*", orders.Pattern(""), "an empty value does not widen")
}

// Whatever text New takes, the keys it builds give their values back.
func FuzzANewTemplateIsRefusedOrInjective(f *testing.F) {
	for _, text := range []string{"users:all", "user:{id}", "orders:{shop}:{id}", "a:{x}-:-{y}.png", "a:{x}{y}", "~{a}", "a:{b", "a}:{b}", "a:{x}b:{y}c:{z}:d"} {
		f.Add(text, "1", "2:3")
	}
	f.Fuzz(func(t *testing.T, text, a, b string) {
		template, err := keys.New(text)
		if err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "keys: template "), err)
			return
		}
		values := make([]string, strings.Count(text, "{"))
		for i := range values {
			values[i] = []string{a, b, a + b}[i%3]
		}
		key := template.Key(values...)
		require.NotEqual(t, byte('~'), key[0])
		written := split(t, text, key)
		require.Len(t, written, len(values))
		for i := range values {
			require.True(t, standsFor(written[i], values[i]), "%q for %q", written[i], values[i])
		}
		require.True(t, globMatch(template.Pattern(), key))
		require.NotEqual(t, "*", template.Pattern())
	})
}
