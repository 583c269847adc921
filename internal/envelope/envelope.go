// Package envelope is the form in which tiercache keeps things under one Redis
// key: a lease, a value, or the knowledge that there is none.
//
// Every envelope begins with a head of HeadLen bytes that scripts compare as a
// whole:
//
//	offset  length  field
//	0       3       "tc1": magic and version
//	3       1       kind: L lease, V value, N the source has no such thing; O and
//	                G are V and N that have been expired; M marker, see Marker
//	4       11      stamp: incarnation of the Redis master that was written to
//	15      22      token: of a lease, kept by the value that filled it
//	37      11      cache: hash of the name of the cache
//
// A lease is a head and nothing else. Values and absences go on:
//
//	48      11      schema: hash of what the codec writes
//	59      8       created, milliseconds in the clock of Redis
//	67      8       fresh until, the same
//	75      8       time the load took, microseconds
//	83      3       length of the tags
//	86      11      checksum
//	97      …       tags: for each its generation (22), the length of its name (2), its name
//	…       …       payload
//
// The checksum covers everything, the full Redis key included, but for what
// scripts change in place: the token, and whether the kind is an expired one.
//
// All but names and payload is printable ASCII (numbers in URL-safe base64),
// because Redis over REST cannot carry arbitrary bytes. Kinds, flags and fields
// that a reader does not know make the bytes a miss, never an error: see Open.
package envelope

import (
	"crypto/rand"
	"errors"
	"time"

	"github.com/cespare/xxhash/v2"
)

const (
	magic = "tc1"

	// HeadLen is the length of the part that scripts compare.
	HeadLen   = 48
	stampAt   = 4
	tokenAt   = 15
	cacheAt   = 37
	schemaAt  = 48
	createdAt = 59
	freshAt   = 67
	loadAt    = 75
	tagLenAt  = 83
	sumAt     = 86
	tagsAt    = 97

	nonceLen   = 22
	nameLenLen = 2

	// TagOverhead is what a tag takes beside its name.
	TagOverhead = nonceLen + nameLenLen

	// LongestName is the longest name of a tag, in bytes.
	LongestName = 1<<(6*nameLenLen) - 1
	// MostFront is how much may stand before a payload.
	MostFront = tagsAt + mostTagBytes

	// mostTagBytes is how many bytes the tags of one value may take.
	mostTagBytes = 1<<(6*(sumAt-tagLenAt)) - 1
)

// Kind tells what the bytes under a key are.
type Kind byte

const (
	Lease  Kind = 'L'
	Value  Kind = 'V'
	Absent Kind = 'N' // the source was asked and has no such thing
	Marker Kind = 'M' // somebody is changing the source: see package remote, mark.lua

	expiredValue  Kind = 'O'
	expiredAbsent Kind = 'G'
)

// ID is 64 bits as 11 printable characters.
type ID [11]byte

// NewID hashes s (xxHash64).
func NewID(s string) ID {
	var id ID
	put(id[:], xxhash.Sum64String(s))
	return id
}

// Token names one lease. It is sent to Redis once: whoever tries again makes a
// new one, or a late copy of the first try could revive an old fill.
type Token [22]byte

// NewToken returns 128 random bits.
func NewToken() Token {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
	var t Token
	put(t[:11], word(raw[:8]))
	put(t[11:], word(raw[8:]))
	return t
}

// Head is what leases and values share.
type Head struct {
	Kind  Kind
	Stamp ID
	Token Token
	Cache ID
}

// Append appends the HeadLen bytes of h.
func (h Head) Append(dst []byte) []byte {
	dst = append(dst, magic...)
	dst = append(dst, byte(h.Kind))
	dst = append(dst, h.Stamp[:]...)
	dst = append(dst, h.Token[:]...)
	return append(dst, h.Cache[:]...)
}

// Body is what a value says of itself.
type Body struct {
	Schema     ID
	Created    time.Time // in the clock of Redis, to the millisecond
	FreshUntil time.Time
	LoadTime   time.Duration // to the microsecond
	Expired    bool          // by Expire, whatever FreshUntil says
	Tags       []Tag
	Payload    []byte // empty for Absent
}

// Tag is the generation of a tag that a value was stored under. The value counts
// while that is still the tag's generation.
type Tag struct {
	Name  string
	Nonce Token
}

// ErrTags is Seal's error: the names of the tags are too long.
var ErrTags = errors.New("envelope: too many tags, or too long names")

// Front is how long the part before the payload is of a value with tags of these
// names.
func Front(names ...string) int {
	n := tagsAt
	for _, name := range names {
		n += TagOverhead + len(name)
	}
	return n
}

// Seal returns the envelope of b under the full Redis key. If room is as long as
// that and ends with the payload, behind Front bytes, the envelope is written over
// it and nothing is copied: then nobody else may have a use for room, a command that
// was given up and is still on its way neither.
func Seal(key string, h Head, b Body, room []byte) ([]byte, error) {
	n := tagsAt
	for _, t := range b.Tags {
		if len(t.Name) > LongestName {
			return nil, ErrTags
		}
		n += TagOverhead + len(t.Name)
	}
	if n-tagsAt > mostTagBytes {
		return nil, ErrTags
	}
	if room == nil || len(room) != n+len(b.Payload) {
		room = make([]byte, n+len(b.Payload))
		copy(room[n:], b.Payload)
	}
	write(room, n, key, h, b)
	return room, nil
}

// write writes the front of n bytes.
func write(whole []byte, n int, key string, h Head, b Body) {
	if b.Expired {
		h.Kind = expired(h.Kind)
	}
	out := h.Append(whole[:0])
	out = append(out, b.Schema[:]...)
	out = out[:tagsAt]
	put(out[createdAt:freshAt], uint64(b.Created.UnixMilli()))
	put(out[freshAt:loadAt], uint64(b.FreshUntil.UnixMilli()))
	put(out[loadAt:tagLenAt], uint64(max(0, b.LoadTime.Microseconds())))
	put(out[tagLenAt:sumAt], uint64(n-tagsAt))
	for _, t := range b.Tags {
		out = append(out, t.Nonce[:]...)
		out = out[:len(out)+nameLenLen]
		put(out[len(out)-nameLenLen:], uint64(len(t.Name)))
		out = append(out, t.Name...)
	}
	put(whole[sumAt:tagsAt], sum(key, whole))
}

// Renew is the front of a value that stays as it is in raw but for its head and its
// times: up to where its tags begin. False if b has other tags than raw.
func Renew(key string, raw []byte, h Head, b Body) (front []byte, ok bool) {
	b.Payload = nil
	sealed, err := Seal(key, h, b, nil)
	if err != nil || len(raw) < len(sealed) || string(raw[tagLenAt:sumAt]) != string(sealed[tagLenAt:sumAt]) ||
		string(raw[tagsAt:len(sealed)]) != string(sealed[tagsAt:]) {
		return nil, false
	}
	whole := append(sealed, raw[len(sealed):]...)
	put(whole[sumAt:tagsAt], sum(key, whole))
	return whole[:tagsAt:tagsAt], true
}

// Why Open refuses. Each is a miss to its caller.
var (
	ErrForeign = errors.New("envelope: not written by this version of tiercache")
	ErrDamaged = errors.New("envelope: damaged, or written under another key")
)

// Open reads what is under the full Redis key. A lease comes with an empty
// Body, a marker is foreign: see IsMarker. The payload is a part of raw, not a copy.
// The tags are put into room, if they fit.
func Open(key string, raw []byte, room []Tag) (Head, Body, error) {
	h, ok := OpenHead(raw)
	if !ok {
		return h, Body{}, ErrForeign
	}
	var b Body
	switch h.Kind {
	case Lease:
		if len(raw) != HeadLen {
			return h, Body{}, ErrDamaged
		}
		return h, Body{}, nil
	case Value, Absent:
	case expiredValue, expiredAbsent:
		h.Kind, b.Expired = live(h.Kind), true
	default:
		return h, Body{}, ErrForeign
	}
	if len(raw) < tagsAt {
		return h, Body{}, ErrDamaged
	}
	created, ok1 := get(raw[createdAt:freshAt])
	fresh, ok2 := get(raw[freshAt:loadAt])
	load, ok3 := get(raw[loadAt:tagLenAt])
	tagLen, ok4 := get(raw[tagLenAt:sumAt])
	want, ok5 := get(raw[sumAt:tagsAt])
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || want != sum(key, raw) || tagLen > uint64(len(raw)-tagsAt) {
		return h, Body{}, ErrDamaged
	}
	if b.Tags, ok = openTags(raw[tagsAt:tagsAt+int(tagLen)], room[:0]); !ok {
		return h, Body{}, ErrDamaged
	}
	b.Created = time.UnixMilli(int64(created))
	b.FreshUntil = time.UnixMilli(int64(fresh))
	b.LoadTime = time.Duration(load) * time.Microsecond
	b.Payload = raw[tagsAt+int(tagLen):]
	copy(b.Schema[:], raw[schemaAt:])
	return h, b, nil
}

func openTags(raw []byte, tags []Tag) (_ []Tag, ok bool) {
	for len(raw) > 0 {
		var t Tag
		if len(raw) < nonceLen+nameLenLen {
			return nil, false
		}
		copy(t.Nonce[:], raw)
		n, ok := get(raw[nonceLen : nonceLen+nameLenLen])
		raw = raw[nonceLen+nameLenLen:]
		if !ok || n > uint64(len(raw)) {
			return nil, false
		}
		t.Name = string(raw[:n])
		raw = raw[n:]
		tags = append(tags, t)
	}
	return tags, true
}

// OpenHead reads the head of a lease, a value or an absence, expired or not, and
// of nothing else.
func OpenHead(raw []byte) (h Head, ok bool) {
	if len(raw) < HeadLen || string(raw[:len(magic)]) != magic {
		return h, false
	}
	h.Kind = Kind(raw[len(magic)])
	copy(h.Stamp[:], raw[stampAt:])
	copy(h.Token[:], raw[tokenAt:])
	copy(h.Cache[:], raw[cacheAt:])
	return h, true
}

// IsMarker tells whether raw is a marker.
func IsMarker(raw []byte) bool {
	return len(raw) > len(magic) && string(raw[:len(magic)]) == magic && Kind(raw[len(magic)]) == Marker
}

func expired(k Kind) Kind {
	if k == Absent {
		return expiredAbsent
	}
	return expiredValue
}

func live(k Kind) Kind {
	switch k {
	case expiredAbsent:
		return Absent
	case expiredValue:
		return Value
	}
	return k
}

// sum covers raw but for its own field and what scripts change in place. Key and
// the rest are kept apart by the key's length: they cannot trade bytes.
func sum(key string, raw []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	var n [9]byte
	n[0] = byte(live(Kind(raw[len(magic)])))
	put(n[1:], uint64(len(key)))
	_, _ = d.Write(n[:])
	_, _ = d.WriteString(key)
	_, _ = d.Write(raw[stampAt:tokenAt])
	_, _ = d.Write(raw[cacheAt:sumAt])
	_, _ = d.Write(raw[tagsAt:])
	return d.Sum64()
}
