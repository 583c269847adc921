package tiercache_test

import (
	"bytes"
	"context"
	fixed "encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// What values look like in Redis, and who can read them.

type (
	account struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	}
	renamedAccount struct {
		Name string `json:"name"`
		ID   int64  `json:"id"`
	}
	longerAccount struct {
		ID    int64  `json:"id"`
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	retypedAccount struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
)

// passed stores was on one node and reads it as another type on another node.
func passed[A, B any](t *testing.T, addr string, was A, schema string) (_ B, ok bool) {
	writer := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[A]{Schema: schema})
	reader := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[B]{Schema: schema})
	require.NoError(t, writer.Set(bg, "k", was))
	got, ok, err := reader.Get(bg, "k")
	require.NoError(t, err)
	if ok {
		require.Zero(t, reader.Stats().Rejected)
		return got, true
	}
	require.EqualValues(t, 1, reader.Stats().Rejected)

	var loaded B
	_, err = reader.GetOrLoad(bg, "k", value(loaded))
	require.NoError(t, err)
	require.EqualValues(t, 1, reader.Stats().Loads)
	_, ok, err = newCache(t, open(t, patient(client(t, addr))), tiercache.Options[B]{Schema: schema}).Get(bg, "k")
	require.NoError(t, err)
	require.True(t, ok, "it was overwritten")
	return loaded, false
}

type definedPointer *account

func TestAPointerIsReadBackAsWhatItWas(t *testing.T) {
	t.Parallel()
	addr := miniredis.RunT(t).Addr()
	readBack := func(t *testing.T, want any, got any, ok bool) {
		t.Helper()
		assert.True(t, ok)
		assert.Equal(t, want, got)
	}
	one, null := &account{ID: 1, Name: "a"}, (*account)(nil)
	t.Run("to a struct", func(t *testing.T) {
		got, ok := passed[*account, *account](t, addr, one, "")
		readBack(t, one, got, ok)
	})
	t.Run("nil", func(t *testing.T) {
		got, ok := passed[*account, *account](t, addr, nil, "nil")
		readBack(t, null, got, ok)
	})
	t.Run("of a defined type", func(t *testing.T) {
		got, ok := passed[definedPointer, definedPointer](t, addr, definedPointer(one), "defined")
		readBack(t, definedPointer(one), got, ok)
	})
	t.Run("to a pointer", func(t *testing.T) {
		got, ok := passed[**account, **account](t, addr, &one, "twice")
		readBack(t, &one, got, ok)
	})
	t.Run("to a map that is nil", func(t *testing.T) {
		got, ok := passed[*map[string]int, *map[string]int](t, addr, new(map[string]int), "map")
		readBack(t, (*map[string]int)(nil), got, ok)
	})
	t.Run("to a struct, from an encoding that is not ours", func(t *testing.T) {
		got, ok := passed[string, *account](t, addr, " null\n", "raw")
		readBack(t, null, got, ok)
	})
	t.Run("to a type that decodes itself", func(t *testing.T) {
		at := time.Unix(5, 0).UTC()
		got, ok := passed[*time.Time, *time.Time](t, addr, &at, "time")
		readBack(t, &at, got, ok)
	})
}

func TestAValueOfATypeThatHasChangedIsAMissAndOverwritten(t *testing.T) {
	t.Parallel()
	ann := account{42, "Ann"}
	onEveryRedis(t, func(t *testing.T, addr string) {
		_, ok := passed[account, longerAccount](t, addr, ann, "")
		assert.False(t, ok, "a field more")
		_, ok = passed[account, retypedAccount](t, addr, ann, "")
		assert.False(t, ok, "a field retyped")
		_, ok = passed[account, *account](t, addr, ann, "")
		assert.False(t, ok, "a pointer")
		_, ok = passed[string, []byte](t, addr, "Ann", "")
		assert.False(t, ok, "text and bytes")
		got, ok := passed[account, renamedAccount](t, addr, ann, "")
		assert.True(t, ok, "only the type's name is another")
		assert.Equal(t, renamedAccount{"Ann", 42}, got)
	})
}

func TestTwoTypesOfOneSchemaShareTheirValues(t *testing.T) {
	t.Parallel()
	ann := account{42, "Ann"}
	onEveryRedis(t, func(t *testing.T, addr string) {
		got, ok := passed[account, longerAccount](t, addr, ann, "account 1")
		assert.True(t, ok)
		assert.Equal(t, longerAccount{ID: 42, Name: "Ann"}, got)
		_, ok = passed[account, retypedAccount](t, addr, ann, "account 1")
		assert.False(t, ok, "what cannot be decoded stays a miss")

		writer := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[account]{Schema: "account 1"})
		require.NoError(t, writer.Set(bg, "s", ann))
		for _, schema := range []string{"", "account 2"} {
			reader := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[account]{Schema: schema})
			_, ok, err := reader.Get(bg, "s")
			require.NoError(t, err)
			assert.False(t, ok, "another schema: %q", schema)
		}
	})
}

// The fields that gobCodec would write decide, whatever JSON would make of them.
func TestACodecOfOnesOwnIsToldApartByItsTypeAndThatOfTheValue(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		writer := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[string]{Codec: gobCodec{}})
		require.NoError(t, writer.Set(bg, "k", "v"))
		for name, c := range map[string]struct {
			codec tiercache.Codec[string]
			ok    bool
		}{"the same": {gobCodec{}, true}, "another": {panicky{}, false}, "the default": {nil, false}} {
			reader := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[string]{Codec: c.codec})
			_, ok, err := reader.Get(bg, "k")
			require.NoError(t, err, name)
			assert.Equal(t, c.ok, ok, name)
		}
	})
}

// stored is what stands in Redis behind the front of an envelope without tags.
func stored(t *testing.T, addr, key string) string {
	raw := client(t, addr).Get(bg, "t:"+key).Val()
	const front = 97 + 2*24
	require.Greater(t, len(raw), front)
	return raw[front:]
}

func TestJSONIsWhatMarshalGives(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		cache := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[any]{})
		for _, v := range []any{nil, 1, "", "<a href=\"?x=1&y=2\">\u2028\n", []string{}, map[string]any{"b": 1, "a": []any{nil, 2.5}},
			ann, json.RawMessage(`{"a": [1, 2]}`), strings.Repeat("long\n", 50_000)} {
			want, err := json.Marshal(v)
			require.NoError(t, err)
			require.NoError(t, cache.Set(bg, "k", v))
			require.True(t, string(want) == stored(t, addr, "k"), "%.50s", want)
		}
	})
}

// forgetful returns its own bytes and not dst with them, as a codec might that was
// only ever given an empty dst.
type forgetful struct{}

func (forgetful) Append(_ []byte, v string) ([]byte, error) { return []byte(v), nil }
func (forgetful) Decode(src []byte) (string, error)         { return string(src), nil }

func TestACodecThatDoesNotAppendIsAnErrorAndNothingIsStored(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		cache := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[string]{Codec: forgetful{}})
		long := strings.Repeat("long ", 100)
		for _, v := range []string{"", "short", long} {
			require.ErrorContains(t, cache.Set(bg, "k", v), "Codec.Append")
			got, err := cache.GetOrLoad(bg, "k", value(v))
			require.NoError(t, err)
			require.Equal(t, v, got)
			require.Zero(t, client(t, addr).Exists(bg, "t:k").Val())
		}
	})
}

// One load, several keys, one payload: each key has an envelope of its own.
func TestEveryKeyOfAValueHasItsOwnEnvelope(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		opts := tiercache.Options[string]{Tags: func(string) []string { return []string{"red", "blue", "red"} }}
		writer := newCache(t, open(t, patient(client(t, addr))), opts)
		reader := newCache(t, open(t, patient(client(t, addr))), opts)
		also := []tiercache.CallOption{tiercache.Also("b", "c"), tiercache.WithTags("blue", "green")}
		_, err := writer.GetOrLoad(bg, "a", value("loaded"), also...)
		require.NoError(t, err)
		require.NoError(t, writer.Set(bg, "d", "set", tiercache.Also("e")))
		for key, want := range map[string]string{"a": "loaded", "b": "loaded", "c": "loaded", "d": "set", "e": "set"} {
			got, ok, err := reader.Get(bg, key)
			require.NoError(t, err)
			require.True(t, ok, key)
			require.Equal(t, want, got, key)
		}
		require.Zero(t, reader.Stats().Rejected)
	})
}

// trims is a Compressor that leaves out zeros at the end, and puts their number, four
// bytes, at the beginning.
type trims struct{ lie bool } // lie: it makes room for whatever it is told to

func (trims) Compress(dst, src []byte) []byte {
	short := bytes.TrimRight(src, "0")
	return append(fixed.BigEndian.AppendUint32(dst, uint32(len(src)-len(short))), short...)
}

func (c trims) Decompress(dst, src []byte, most int) ([]byte, error) {
	zeros := int(fixed.BigEndian.Uint32(src)) // panics if there is less
	if src = src[4:]; len(src)+zeros > most && !c.lie {
		return dst, errors.New("too long")
	}
	return append(append(dst, src...), strings.Repeat("0", zeros)...), nil
}

func TestOnlyWhatIsLongAndGetsATenthShorterIsCompressed(t *testing.T) {
	t.Parallel()
	text := func(ones, zeros int) string { return strings.Repeat("1", ones) + strings.Repeat("0", zeros) }
	packed := func(ones int, zeros string) string { return "c\x00\x00" + zeros + strings.Repeat("1", ones) }
	cases := map[string]struct {
		v     string
		above int
		want  string // "": as it is
	}{
		"long":              {text(0, 2000), 0, packed(0, "\x07\xd0")},
		"not above 1 KiB":   {text(0, 1024), 0, ""},
		"above 1 KiB":       {text(0, 1025), 0, packed(0, "\x04\x01")},
		"above another":     {text(0, 50), 49, packed(0, "\x00\x32")},
		"not above another": {text(0, 50), 50, ""},
		"that gets longer":  {text(2000, 0), 0, ""},
		"nothing":           {"", 0, ""},
		"a tenth shorter":   {text(1796, 204), 0, packed(1796, "\x00\xcc")},
		"not quite a tenth": {text(1797, 203), 0, ""},
	}
	onEveryRedis(t, func(t *testing.T, addr string) {
		for name, c := range cases {
			opts := tiercache.Options[string]{Compressor: trims{}, CompressAbove: c.above}
			require.NoError(t, newCache(t, open(t, patient(client(t, addr))), opts).Set(bg, "k", c.v), name)
			if c.want == "" {
				c.want = "-" + c.v
			}
			assert.Equal(t, c.want, stored(t, addr, "k"), name)
			got, ok, err := newCache(t, open(t, patient(client(t, addr))), opts).Get(bg, "k")
			require.NoError(t, err, name)
			require.True(t, ok, name)
			require.Equal(t, c.v, got, name)
		}
	})
}

// With and without a Compressor, or with another, values do not mix, whatever their
// Schema: a string would get a mark before it, or lose its first byte.
func TestACompressorIsAPartOfTheSchema(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		with := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[string]{Compressor: trims{}, Schema: "s"})
		without := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[string]{Schema: "s"})
		require.NoError(t, with.Set(bg, "a", "-v"))
		require.NoError(t, without.Set(bg, "b", "-v"))
		_, ok, err := without.Get(bg, "a")
		require.NoError(t, err)
		assert.False(t, ok)
		_, ok, err = with.Get(bg, "b")
		require.NoError(t, err)
		assert.False(t, ok)
		assert.EqualValues(t, 1, with.Stats().Rejected)
		assert.EqualValues(t, 1, without.Stats().Rejected)
	})
}

// Who may write to Redis can make a checksum too: each of these opens.
func TestWhatDoesNotDecompressIsAMiss(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0", 100_000)
	small := func(addr string) tiercache.Config {
		cfg := patient(client(t, addr))
		cfg.LargestValue = 10_000
		return cfg
	}
	onEveryRedis(t, func(t *testing.T, addr string) {
		for name, by := range map[string]trims{"a bomb": {}, "a bomb, and a compressor that does not look": {lie: true}} {
			writer := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[string]{Compressor: by})
			require.NoError(t, writer.Set(bg, "k", long))
			cache := newCache(t, open(t, small(addr)), tiercache.Options[string]{Compressor: by})
			_, ok, err := cache.Get(bg, "k")
			require.NoError(t, err, name)
			assert.False(t, ok, name)
			assert.EqualValues(t, 1, cache.Stats().Rejected, name)
		}
		for name, payload := range map[string]string{"no mark": "", "another mark": "x", "bytes that make it panic": "c"} {
			// A schema by the name that trims gives another.
			writer := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[string]{Codec: asItIs{}, Schema: "s tiercache_test.trims"})
			require.NoError(t, writer.Set(bg, "k", payload))
			cache := newCache(t, open(t, small(addr)), tiercache.Options[string]{Compressor: trims{}, Schema: "s"})
			v, err := cache.GetOrLoad(bg, "k", value("new"))
			require.NoError(t, err, name)
			assert.Equal(t, "new", v, name)
			assert.EqualValues(t, 1, cache.Stats().Rejected, name)
		}
	})
}

type asItIs struct{ forgetful }

func (asItIs) Append(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil }

// What Redis would hold is short; what a reader had to make room for is not.
func TestLargestValueCountsWhatIsNotCompressed(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cfg := config()
		cfg.LargestValue = 10_000
		cache := newCache(t, open(t, cfg), tiercache.Options[string]{Compressor: trims{}})
		for n, stored := range map[int]bool{9_999: true, 10_001: false} {
			require.NoError(t, cache.Delete(bg, "k"))
			_, err := cache.GetOrLoad(bg, "k", value(strings.Repeat("0", n)))
			require.NoError(t, err)
			_, ok, err := cache.Get(bg, "k")
			require.NoError(t, err)
			assert.Equal(t, stored, ok, "%d bytes", n)
		}
		assert.EqualValues(t, 1, cache.Stats().TooLarge)
	})
}

// Decode reads from a buffer that the next one has, too.
func TestManyReadersOfCompressedValuesGetEachItsOwn(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		opts := tiercache.Options[string]{Compressor: trims{}, CompressAbove: 1}
		writer := newCache(t, open(t, patient(client(t, addr))), opts)
		reader := newCache(t, open(t, patient(client(t, addr))), opts)
		keys := strings.Split("abcdefgh", "")
		for _, k := range keys {
			require.NoError(t, writer.Set(bg, k, strings.Repeat(k, 100)+strings.Repeat("0", 100)))
		}
		ctx, cancel := context.WithTimeout(bg, time.Minute)
		defer cancel()
		done := make(chan error, len(keys))
		for _, k := range keys {
			go func() {
				for range 50 {
					got, err := reader.GetOrLoad(ctx, k, func(context.Context) (string, error) { return "", errors.New("not stored") }, tiercache.Fresh())
					if err == nil && got != strings.Repeat(k, 100)+strings.Repeat("0", 100) {
						err = errors.New(k + " has another's value")
					}
					if err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range keys {
			require.NoError(t, <-done)
		}
	})
}
