package restconn

import (
	"slices"
	"unicode/utf8"

	"github.com/tiercache/tiercache/internal/glob"
)

// seen makes a SCAN find the keys that it would find if the server knew their
// bytes. Where the pattern names bytes, and not only characters, the server is
// asked for more, and keep, if it is not nil, says which keys were meant.
func seen(cmd command) (sent command, keep func(key []byte) bool) {
	if cmd.verb() != "SCAN" {
		return cmd, nil
	}
	for i := 2; i+1 < len(cmd); i += 2 {
		if cmd.arg(i) != "MATCH" {
			continue
		}
		pattern := string(cmd[i+1])
		wide, widened := widen(pattern)
		if !widened {
			continue
		}
		g := glob.Compile(pattern)
		cmd = slices.Clone(cmd)
		cmd[i+1] = []byte(wide)
		if old := keep; old != nil {
			keep = func(key []byte) bool { return old(key) && g.Match(string(key)) }
		} else {
			keep = func(key []byte) bool { return g.Match(string(key)) }
		}
	}
	return cmd, keep
}

// widen cuts a pattern at the first thing that stands for, or is, a single byte:
// a written form has other bytes there, or more of them.
func widen(pattern string) (wide string, widened bool) {
	for at := 0; at < len(pattern); {
		c := pattern[at]
		if c == '?' || c == '[' {
			return pattern[:at] + "*", true
		}
		n := 0
		if c == '\\' && at+1 < len(pattern) {
			n = 1
		}
		m := plain([]byte(pattern[at+n : min(len(pattern), at+n+utf8.UTFMax)]))
		if m == 0 || n == 1 && m > 1 { // a backslash before one byte of several
			return pattern[:at] + "*", true
		}
		at += n + m
	}
	return pattern, false
}
