// Package glob matches keys the way Redis's SCAN MATCH does, byte for byte, so
// that memory and Redis invalidate the same keys for one pattern.
//
//   - any bytes, none included
//     ?        one byte
//     [abc]    one of these bytes; [^abc] one other than these
//     [a-z]    a range, also when written [z-a]
//     \x       the byte x, inside of brackets too
//
// Neither / nor UTF-8 has a meaning. No pattern is an error: what is malformed
// means something, see class. The rules are those of stringmatchlen in Redis 7
// (src/util.c) with two things of its surroundings: SCAN does not ask it about
// the pattern "*", which matches the empty key there, and it gives up on
// patterns that lead it through more than a thousand stars.
package glob

import "strings"

// Glob is a pattern prepared for many keys. The zero value is that of the empty
// pattern. It is immutable, so safe for concurrent use, and comparable.
type Glob struct {
	pattern string
	literal string
	kind    kind
}

type kind byte

const (
	exact  kind = iota // the literal and nothing else
	prefix             // the literal and whatever follows
	other
)

// Compile prepares a pattern. None is wrong.
func Compile(pattern string) Glob {
	literal, rest := cutLiteral(pattern)
	g := Glob{pattern: pattern, literal: literal, kind: other}
	switch {
	case rest == "":
		g.kind = exact
	case pattern == "*", literal != "" && strings.Trim(rest, "*") == "":
		// "**" does not match the empty key, so it is no prefix.
		g.kind = prefix
	}
	return g
}

// Literal returns what every key that matches begins with: the pattern up to
// its first *, ? or [, without escapes.
func (g Glob) Literal() string { return g.literal }

// Match says whether Redis would find the key s with the pattern.
func (g Glob) Match(s string) bool {
	switch g.kind {
	case exact:
		return s == g.literal
	case prefix:
		return strings.HasPrefix(s, g.literal)
	default:
		return strings.HasPrefix(s, g.literal) && match(g.pattern, s)
	}
}

// Match says whether Redis would find the key s with the pattern.
func Match(pattern, s string) bool { return pattern == "*" || match(pattern, s) }

// Escape returns the pattern that matches s and nothing else.
func Escape(s string) string {
	if !strings.ContainsAny(s, `*?[\`) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		switch s[i] {
		case '*', '?', '[', '\\':
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func cutLiteral(pattern string) (literal, rest string) {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '*', '?', '[':
			return b.String(), pattern[i:]
		case '\\':
			if i+1 < len(pattern) { // a last one stands for itself
				i++
			}
		}
		b.WriteByte(pattern[i])
	}
	return b.String(), ""
}
