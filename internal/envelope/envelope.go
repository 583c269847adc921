// Package envelope is the form in which tiercache keeps things under one Redis
// key: a lease, a value, or the knowledge that there is none.
//
// Every envelope begins with a head of HeadLen bytes that scripts compare as a
// whole:
//
//	offset  length  field
//	0       3       "tc1": magic and version
//	3       1       kind: L lease, V value, N the source has no such thing
//	4       11      stamp: incarnation of the Redis master that was written to
//	15      22      token: of a lease, kept by the value that filled it
//	37      11      cache: hash of the name of the cache
//
// A lease is a head and nothing else. The others go on:
//
//	48      11      schema: hash of what the codec writes
//	59      8       created, milliseconds in the clock of Redis
//	67      8       fresh until, the same
//	75      8       time the load took, microseconds
//	83      11      checksum over bytes 0–82, the full Redis key and the payload
//	94      …       payload
//
// All but the payload is printable ASCII (numbers in URL-safe base64), because
// Redis over REST cannot carry arbitrary bytes. Kinds, flags and fields that a
// reader does not know make the bytes a miss, never an error: see Open.
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
	HeadLen = 48
	// CacheAt is where the head names its cache, for CacheIDLen bytes.
	CacheAt    = 37
	CacheIDLen = 11

	stampAt   = 4
	tokenAt   = 15
	schemaAt  = 48
	createdAt = 59
	freshAt   = 67
	loadAt    = 75
	sumAt     = 83
	payloadAt = 94
)

// Kind tells what the bytes under a key are.
type Kind byte

const (
	Lease  Kind = 'L'
	Value  Kind = 'V'
	Absent Kind = 'N' // the source was asked and has no such thing
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
	Payload    []byte        // empty for Absent
}

// Seal returns the envelope of b under the full Redis key.
func Seal(key string, h Head, b Body) []byte {
	out := make([]byte, 0, payloadAt+len(b.Payload))
	out = h.Append(out)
	out = append(out, b.Schema[:]...)
	out = out[:payloadAt]
	put(out[createdAt:freshAt], uint64(b.Created.UnixMilli()))
	put(out[freshAt:loadAt], uint64(b.FreshUntil.UnixMilli()))
	put(out[loadAt:sumAt], uint64(max(0, b.LoadTime.Microseconds())))
	put(out[sumAt:payloadAt], sum(key, out[:sumAt], b.Payload))
	return append(out, b.Payload...)
}

// Why Open refuses. Each is a miss to its caller.
var (
	ErrForeign = errors.New("envelope: not written by this version of tiercache")
	ErrDamaged = errors.New("envelope: damaged, or written under another key")
)

// Open reads what is under the full Redis key. A lease comes with an empty
// Body. The payload is a part of raw, not a copy.
func Open(key string, raw []byte) (Head, Body, error) {
	var h Head
	if len(raw) < HeadLen || string(raw[:len(magic)]) != magic {
		return h, Body{}, ErrForeign
	}
	h.Kind = Kind(raw[len(magic)])
	copy(h.Stamp[:], raw[stampAt:])
	copy(h.Token[:], raw[tokenAt:])
	copy(h.Cache[:], raw[CacheAt:])
	switch h.Kind {
	case Lease:
		if len(raw) != HeadLen {
			return h, Body{}, ErrDamaged
		}
		return h, Body{}, nil
	case Value, Absent:
	default:
		return h, Body{}, ErrForeign
	}
	if len(raw) < payloadAt {
		return h, Body{}, ErrDamaged
	}
	created, ok1 := get(raw[createdAt:freshAt])
	fresh, ok2 := get(raw[freshAt:loadAt])
	load, ok3 := get(raw[loadAt:sumAt])
	want, ok4 := get(raw[sumAt:payloadAt])
	payload := raw[payloadAt:]
	if !ok1 || !ok2 || !ok3 || !ok4 || want != sum(key, raw[:sumAt], payload) {
		return h, Body{}, ErrDamaged
	}
	b := Body{
		Created:    time.UnixMilli(int64(created)),
		FreshUntil: time.UnixMilli(int64(fresh)),
		LoadTime:   time.Duration(load) * time.Microsecond,
		Payload:    payload,
	}
	copy(b.Schema[:], raw[schemaAt:])
	return h, b, nil
}

// sum keeps its three parts apart by their lengths: key and payload cannot
// trade bytes.
func sum(key string, head, payload []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write(head)
	var n [8]byte
	put(n[:], uint64(len(key)))
	_, _ = d.Write(n[:])
	_, _ = d.WriteString(key)
	_, _ = d.Write(payload)
	return d.Sum64()
}
