package restconn

import (
	"bytes"
	"unicode/utf8"
)

// A byte that belongs to no UTF-8 character is written as a character of the
// private use area, U+EF80 for 0x80 to U+EFFF for 0xFF. Those characters
// themselves, should anybody use them, are written byte by byte the same way, so
// that every string of bytes has one written form and comes back from it.
//
// The written form of a concatenation is that of its parts as long as no
// character is cut in two. That keeps prefixes and patterns right, which an
// encoding of the whole, base64 say, would not: `user:*:1` finds "user:\xff:1".
// The price is three bytes for one.
const (
	firstEscape = 0xEF80 // stands for the byte 0x80
	lastEscape  = 0xEFFF
)

func escaping(r rune) bool { return firstEscape <= r && r <= lastEscape }

// escape returns s itself if there is nothing to write in another way.
func escape(s []byte) []byte {
	at := 0
	for at < len(s) {
		n := plain(s[at:])
		if n == 0 {
			break
		}
		at += n
	}
	if at == len(s) {
		return s
	}
	out := append(make([]byte, 0, len(s)+len(s)/2), s[:at]...)
	for at < len(s) {
		if n := plain(s[at:]); n > 0 {
			out = append(out, s[at:at+n]...)
			at += n
			continue
		}
		out = utf8.AppendRune(out, firstEscape+rune(s[at]-0x80))
		at++
	}
	return out
}

// plain is the length of the character that s begins with, 0 if its first byte
// has to be escaped.
func plain(s []byte) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	r, n := utf8.DecodeRune(s)
	if r == utf8.RuneError && n == 1 || escaping(r) {
		return 0
	}
	return n
}

// unescape returns s itself if nothing in it is escaped.
func unescape(s []byte) []byte {
	at := bytes.IndexByte(s, 0xEE) // the first byte of all of them
	if at < 0 {
		return s
	}
	out := append(make([]byte, 0, len(s)), s[:at]...)
	for at < len(s) {
		r, n := utf8.DecodeRune(s[at:])
		if escaping(r) {
			out = append(out, byte(r-firstEscape+0x80))
		} else {
			out = append(out, s[at:at+n]...)
		}
		at += n
	}
	return out
}

// appendJSON appends s, which is UTF-8, as a JSON string.
func appendJSON(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, b := range s {
		switch {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		default:
			dst = append(dst, b)
		}
	}
	return append(dst, '"')
}
