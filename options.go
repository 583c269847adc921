package tiercache

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tiercache/tiercache/internal/engine"
)

// Options of one Cache. Name and TTL are required. The zero value of every
// other field is its default; a value that makes no sense is an error of New
// that names the field. A duration of more than 50 years is for ever.
type Options[T any] struct {
	// Name tells the caches of one Tiers apart, in statistics, in Clear, and in
	// every value in Redis. Required, unique in these Tiers. Services that share
	// values use the same name, and the same codec.
	Name string

	// KeyPrefix is what every key of this cache begins with, "user:" say; another
	// key is an error. No other cache's keys begin with it: the pattern "user:*"
	// then is a Clear of this cache, which takes no scan. Default: none.
	KeyPrefix string

	// TTL is how long a value may be served, counted from when its load ended.
	// Required.
	TTL time.Duration

	// MemoryTTL is how long memory may serve a value without asking Redis, if
	// that is shorter than TTL. Default: TTL.
	MemoryTTL time.Duration

	// MemoryOnly keeps values out of Redis, which carries their invalidations all
	// the same, from and to processes that have this cache too. Each process loads
	// for itself.
	MemoryOnly bool

	// NegativeTTL is how long "no such thing" may be served. Default: 30 s.
	// Negative: it is not cached.
	NegativeTTL time.Duration

	// LoadTimeout ends a load: its context is cancelled, and everybody who waits
	// gets a *LoadTimeoutError, even if the loader does not care. Default: 10 s.
	LoadTimeout time.Duration

	// StaleFor is how long after its TTL a value may be served if it cannot be
	// loaded: the loader fails, or takes longer than SoftTimeout. Then the next load is
	// tried a tenth of the TTL later, one in the fleet, but not before a second and not
	// after half a minute. What is invalidated is never served stale, what Tiers.Expire
	// makes old is. Default: never.
	StaleFor time.Duration

	// SoftTimeout, with StaleFor, is the longest that a call waits for a load while
	// there is something stale to serve. The load goes on. Default: until LoadTimeout.
	SoftTimeout time.Duration

	// ServeStale tells for which errors of a loader something stale is served instead.
	// It is not asked for what means not-found: that is an answer. Default: all.
	ServeStale func(error) bool

	// Jitter shortens each TTL by a random share of up to this much, so that what
	// was stored together does not expire together. Below 1. Default: 0.1.
	// Negative: none.
	Jitter float64

	// Tags gives the tags of a value: Tiers.Invalidate(ctx, Tag(t)) voids all values
	// that have t, however many, of any cache. A tag is not empty and valid UTF-8.
	// Optional.
	Tags func(T) []string

	// Codec encodes values for Redis. Default: encoding/json; []byte and string
	// are stored as they are.
	Codec Codec[T]

	// Compressor compresses encodings that are longer than CompressAbove, in bytes, if
	// that makes them a tenth shorter at least. Default: none, and 1 KiB.
	Compressor    Compressor
	CompressAbove int

	// Schema names the form that values have in Redis. What was stored under another
	// is a miss, counted in CacheStats.Rejected, and overwritten. Default: the type of the
	// Codec and the make-up of T, so that a value of a T that has changed since is not
	// decoded into today's: fields and their tags, and of a type that encodes itself,
	// with MarshalJSON say, its name; what such a method writes cannot be seen.
	//
	// While a service is rolled out in which T has changed, builds of before and after
	// thus overwrite each other's values. To share them, give both the same Schema, and
	// see to it that each decodes what the other writes.
	Schema string

	// TTLOf gives the TTL of a value, in place of TTL and WithTTL. Zero or less:
	// the value is returned and not stored. Optional.
	TTLOf func(T) time.Duration

	// NotFound recognises errors of a loader that mean the same as ErrNotFound,
	// sql.ErrNoRows say. It is also asked by errors.Is whether a cached absence
	// is the error it is compared with. Optional.
	NotFound func(error) bool

	// Clone copies a value. With it every caller has his own, and may change it; only a
	// loader gives away what it returns.
	// Without it values are shared: callers must not mutate them, nor what they
	// refer to.
	Clone func(T) T

	// Cost is what a value takes in memory, in bytes. Default: the size of its
	// encoding, which memory-only Tiers have to make for it.
	Cost func(T) int64
}

const (
	defaultNegativeTTL = 30 * time.Second
	defaultLoadTimeout = 10 * time.Second
	defaultJitter      = 0.1

	defaultCompressAbove = 1 << 10
)

// checked returns o with its defaults in place, or what is wrong with it.
func (o Options[T]) checked() (Options[T], error) {
	bad := func(field, format string, args ...any) (Options[T], error) {
		return o, fmt.Errorf("tiercache: Options.%s %s (cache %q)", field, fmt.Sprintf(format, args...), o.Name)
	}
	switch {
	case o.Name == "":
		return o, errors.New("tiercache: Options.Name is empty")
	case len(o.KeyPrefix) > 0 && o.KeyPrefix[0] == '~':
		return bad("KeyPrefix", "%q begins with \"~\", which is reserved", o.KeyPrefix)
	case o.TTL == 0:
		return bad("TTL", "is missing")
	case o.TTL < time.Millisecond:
		return bad("TTL", "is %v, want at least 1ms", o.TTL)
	case o.MemoryTTL < 0:
		return bad("MemoryTTL", "is negative: %v", o.MemoryTTL)
	case o.NegativeTTL > 0 && o.NegativeTTL < time.Millisecond:
		return bad("NegativeTTL", "is %v, want at least 1ms", o.NegativeTTL)
	case o.StaleFor < 0:
		return bad("StaleFor", "is negative: %v", o.StaleFor)
	case o.SoftTimeout < 0:
		return bad("SoftTimeout", "is negative: %v", o.SoftTimeout)
	case o.SoftTimeout > 0 && o.StaleFor == 0:
		return bad("SoftTimeout", "is %v without StaleFor: there is nothing to serve then", o.SoftTimeout)
	case o.ServeStale != nil && o.StaleFor == 0:
		return bad("ServeStale", "is given without StaleFor: there is nothing to serve then")
	case o.LoadTimeout < 0:
		return bad("LoadTimeout", "is negative: %v", o.LoadTimeout)
	case o.CompressAbove < 0:
		return bad("CompressAbove", "is negative: %d", o.CompressAbove)
	case o.CompressAbove > 0 && o.Compressor == nil:
		return bad("CompressAbove", "is %d without a Compressor", o.CompressAbove)
	case strings.ContainsFunc(o.Schema, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }):
		return bad("Schema", "%q has characters that do not print", o.Schema)
	case o.Jitter >= 1 || math.IsNaN(o.Jitter):
		return bad("Jitter", "is %v, want less than 1", o.Jitter)
	}
	if o.NegativeTTL == 0 {
		o.NegativeTTL = defaultNegativeTTL
	}
	if o.LoadTimeout == 0 {
		o.LoadTimeout = defaultLoadTimeout
	}
	if o.CompressAbove == 0 {
		o.CompressAbove = defaultCompressAbove
	}
	if o.Jitter == 0 {
		o.Jitter = defaultJitter
	}
	o.Jitter = max(0, o.Jitter)
	for _, d := range []*time.Duration{&o.TTL, &o.MemoryTTL, &o.NegativeTTL, &o.StaleFor, &o.SoftTimeout, &o.LoadTimeout} {
		*d = min(*d, engine.Forever)
	}
	return o, nil
}

// CallOption changes one call.
type CallOption struct {
	also  []string
	tags  []string
	ttl   time.Duration
	fresh bool
}

// Also names further keys under which the same value is found, a user's e-mail
// beside his id. One load fills them all. An invalidation of one says nothing
// about the others: name them all.
func Also(keys ...string) CallOption { return CallOption{also: keys} }

// WithTags gives the value that this call stores further tags, known before it is
// loaded. They count for the call that loads. What is absent has only these.
func WithTags(tags ...string) CallOption { return CallOption{tags: tags} }

// WithTTL takes the place of Options.TTL for the value this call stores. Zero or
// less changes nothing.
func WithTTL(d time.Duration) CallOption { return CallOption{ttl: d} }

// Fresh keeps this call from being answered by memory: Redis is asked.
func Fresh() CallOption { return CallOption{fresh: true} }
