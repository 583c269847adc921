package keys

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

const (
	// maxValue is the longest a value may be after escaping; a longer one is
	// hashed.
	maxValue = 128

	// hashMark starts a hashed value. It is not plain, so escaping never emits
	// it and no value can pass itself off as the hash of another.
	hashMark = '#'
	hashSize = 1 + 43 // the mark, and 32 bytes in base64url without padding

	upperHex = "0123456789ABCDEF"
)

// A byteSet says which bytes stay as they are. Injectivity rests on two things:
// the escape character is never in the set it is used with, and ":" never is in
// valueBytes.
type byteSet [256]bool

var (
	valueBytes  = alnumAnd("._-@+" + "=,~") // escaped with %; the last three are the punctuation of Filters
	filterBytes = alnumAnd("._-@+")         // escaped with ~
)

func alnumAnd(more string) *byteSet {
	var set byteSet
	for c := range set {
		set[c] = isAlnum(byte(c)) || strings.IndexByte(more, byte(c)) >= 0
	}
	return &set
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// valueSize returns how many bytes writeValue will write.
func valueSize(v string) int {
	if n := escapedSize(v, valueBytes, maxValue); n <= maxValue {
		return n
	}
	return hashSize
}

// writeValue writes a value as it stands in a key: escaped, or hashed if that
// is too long.
func writeValue(b *strings.Builder, v string) {
	n := escapedSize(v, valueBytes, maxValue)
	switch {
	case n > maxValue:
		writeHash(b, v)
	case n == len(v):
		b.WriteString(v)
	default:
		writeEscaped(b, v, valueBytes, '%')
	}
}

// escapedSize returns the length of v after escaping, or some number above
// limit as soon as it is known to be more.
func escapedSize(v string, plain *byteSet, limit int) int {
	n := len(v)
	for i := 0; i < len(v) && n <= limit; i++ {
		if !plain[v[i]] {
			n += 2
		}
	}
	return n
}

func writeEscaped(b *strings.Builder, v string, plain *byteSet, mark byte) {
	for i := 0; i < len(v); i++ {
		c := v[i]
		if plain[c] {
			b.WriteByte(c)
			continue
		}
		b.WriteByte(mark)
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
}

func writeHash(b *strings.Builder, v string) {
	sum := sha256.Sum256([]byte(v))
	var text [hashSize - 1]byte
	base64.RawURLEncoding.Encode(text[:], sum[:])
	b.WriteByte(hashMark)
	b.Write(text[:])
}

// escape is writeValue as a string, for texts off the request's path.
func escape(v string) string {
	var b strings.Builder
	writeValue(&b, v)
	return b.String()
}
