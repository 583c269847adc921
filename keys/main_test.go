package keys_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// globMatch is Redis's glob as its documentation states it, byte by byte and as
// plainly as possible: the oracle for patterns.
func globMatch(pattern, s string) bool {
	if pattern == "" {
		return s == ""
	}
	switch pattern[0] {
	case '*':
		for i := 0; i <= len(s); i++ {
			if globMatch(pattern[1:], s[i:]) {
				return true
			}
		}
		return false
	case '?':
		return s != "" && globMatch(pattern[1:], s[1:])
	case '[', '\\':
		panic("a pattern of this package holds no " + pattern[:1])
	}
	return s != "" && s[0] == pattern[0] && globMatch(pattern[1:], s[1:])
}

// split reads the values, as they stand in the key, back out of it. It knows
// the template's text and the promise that no value holds a ":".
func split(t *testing.T, template, key string) []string {
	t.Helper()
	var values []string
	literal, rest, _ := strings.Cut(template, "{")
	if !strings.HasPrefix(key, literal) {
		t.Fatalf("key %q does not start with %q", key, literal)
	}
	key = key[len(literal):]
	for rest != "" {
		_, after, _ := strings.Cut(rest, "}")
		literal, rest, _ = strings.Cut(after, "{")
		at := len(key) - len(literal)
		if rest != "" {
			at = strings.Index(key, literal)
		}
		if at < 0 || key[at:min(at+len(literal), len(key))] != literal {
			t.Fatalf("rest %q of a key of %q lacks %q", key, template, literal)
		}
		values = append(values, key[:at])
		key = key[at+len(literal):]
	}
	return values
}

// plain are the bytes that stay as they are in a value.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@+=,~"

// standsFor says whether a text in a key is what the value must look like
// there, by other means than the package's own.
func standsFor(written, value string) bool {
	if strings.HasPrefix(written, "#") {
		sum := sha256.Sum256([]byte(value))
		escaped := 0
		for i := range len(value) {
			escaped++
			if strings.IndexByte(plain, value[i]) < 0 {
				escaped += 2
			}
		}
		return escaped > 128 && written == "#"+base64.RawURLEncoding.EncodeToString(sum[:])
	}
	back, err := url.PathUnescape(written)
	return err == nil && back == value && len(written) <= 128
}

// onlyPlain says whether a key holds nothing that redis-cli has to quote or
// escape, and no glob character or hash tag.
func onlyPlain(key string) bool {
	return strings.IndexFunc(key, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`*?[]\^{}"'`, r)
	}) < 0
}

// hostile are values that have broken somebody's cache keys.
var hostile = []struct{ name, value string }{
	{"empty", ""},
	{"colon", "a:b"},
	{"only colons", ":::"},
	{"star", "*"},
	{"question mark", "?"},
	{"class", "[a-z]"},
	{"negated class", "[^a]"},
	{"backslash", `\*`},
	{"hash tag", "{42}"},
	{"open brace", "{"},
	{"percent", "%"},
	{"escape of a colon", "%3A"},
	{"escape in lower case", "%3a"},
	{"filter escape", "~3A"},
	{"hash mark", "#"},
	{"looks hashed", "#" + strings.Repeat("A", 43)},
	{"newline", "a\nDEL b"},
	{"carriage return", "a\r\nFLUSHALL\r\n"},
	{"NUL", "a\x00b"},
	{"space", " a b "},
	{"tab", "\t"},
	{"quotes", `"'`},
	{"DEL", "\x7f"},
	{"umlaut", "Müller"},
	{"umlaut decomposed", "Mu\u0308ller"},
	{"invalid UTF-8", "\xff\xfe"},
	{"half a rune", "M\xc3"},
	{"replacement character", "\uFFFD"},
	{"right-to-left override", "\u202e"},
	{"128 bytes", strings.Repeat("a", 128)},
	{"129 bytes", strings.Repeat("a", 129)},
	{"129 other bytes", strings.Repeat("a", 128) + "b"},
	{"44 colons", strings.Repeat(":", 44)},
	{"43 colons", strings.Repeat(":", 43)},
	{"42 colons", strings.Repeat(":", 42)},
	{"10 kB", strings.Repeat("x", 10_000)},
	{"10 kB of colons", strings.Repeat(":", 10_000)},
}
