package tiercache_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"runtime"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// P10: bad bytes are a miss.

// gobCodec is another codec than the default.
type gobCodec struct{}

func (gobCodec) Append(dst []byte, v string) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(v)
	return append(dst, b.Bytes()...), err
}

func (gobCodec) Decode(src []byte) (v string, err error) {
	err = gob.NewDecoder(bytes.NewReader(src)).Decode(&v)
	return v, err
}

// badBytes put something under t:k that this cache must not believe. good is
// what a node wrote there, its value is "good".
var badBytes = map[string]func(t *testing.T, raw *redis.Client, good string){
	"foreign text":    func(t *testing.T, raw *redis.Client, _ string) { set(t, raw, `{"name":"Ann"}`) },
	"an empty string": func(t *testing.T, raw *redis.Client, _ string) { set(t, raw, "") },
	"a number":        func(t *testing.T, raw *redis.Client, _ string) { require.NoError(t, raw.Incr(bg, "t:k").Err()) },
	"a list":          func(t *testing.T, raw *redis.Client, _ string) { require.NoError(t, raw.RPush(bg, "t:k", "x").Err()) },
	"a hash": func(t *testing.T, raw *redis.Client, _ string) {
		require.NoError(t, raw.HSet(bg, "t:k", "f", "x").Err())
	},
	"a truncated head":              func(t *testing.T, raw *redis.Client, good string) { set(t, raw, good[:20]) },
	"a value cut to its head":       func(t *testing.T, raw *redis.Client, good string) { set(t, raw, good[:48]) },
	"a value without its last byte": func(t *testing.T, raw *redis.Client, good string) { set(t, raw, good[:len(good)-1]) },
	"a byte appended":               func(t *testing.T, raw *redis.Client, good string) { set(t, raw, good+"x") },
	"magic and nothing":             func(t *testing.T, raw *redis.Client, _ string) { set(t, raw, "tc1") },
	"a later version":               func(t *testing.T, raw *redis.Client, good string) { set(t, raw, "tc9"+good[3:]) },
	"an unknown kind":               func(t *testing.T, raw *redis.Client, good string) { set(t, raw, "tc1Z"+good[4:]) },
	"another key's value": func(t *testing.T, raw *redis.Client, good string) {
		load(t, raw, "k2", tiercache.Options[string]{})
		set(t, raw, raw.Get(bg, "t:k2").Val())
	},
	"another cache's value": func(t *testing.T, raw *redis.Client, _ string) {
		load(t, raw, "k", tiercache.Options[string]{Name: "others"})
	},
	"another codec's value": func(t *testing.T, raw *redis.Client, _ string) {
		load(t, raw, "k", tiercache.Options[string]{Codec: gobCodec{}})
	},
}

func set(t *testing.T, raw *redis.Client, v string) {
	t.Helper()
	require.NoError(t, raw.Set(bg, "t:k", v, 0).Err())
}

// load lets another node, with other options, store "good" under key.
func load(t *testing.T, raw *redis.Client, key string, opts tiercache.Options[string]) {
	t.Helper()
	other := newCache(t, open(t, patient(client(t, raw.Options().Addr))), opts)
	v, err := other.GetOrLoad(bg, key, value("good"))
	require.NoError(t, err)
	require.Equal(t, "good", v)
}

func TestBytesThatCannotBeBelievedAreAMissAndOverwritten(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		raw := client(t, addr)
		for name, spoil := range badBytes {
			require.NoError(t, raw.FlushAll(bg).Err())
			load(t, raw, "k", tiercache.Options[string]{})
			good := raw.Get(bg, "t:k").Val()
			require.NoError(t, raw.Del(bg, "t:k").Err())
			spoil(t, raw, good)

			cache := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[string]{})
			_, ok, err := cache.Get(bg, "k")
			require.NoError(t, err, name)
			require.False(t, ok, name)
			var each int64 = 1
			if name == "an empty string" {
				each = 0 // it is taken for nothing
			}
			require.Equal(t, each, cache.Stats().Rejected, name)

			v, err := cache.GetOrLoad(bg, "k", value("new"))
			require.NoError(t, err, name)
			require.Equal(t, "new", v, name)
			require.Equal(t, 2*each, cache.Stats().Rejected, name)
			require.EqualValues(t, 2, cache.Stats().Misses, name)
			require.Zero(t, cache.Stats().Errors, name)

			v, err = cache.GetOrLoad(bg, "k", unwanted[string](t), tiercache.Fresh())
			require.NoError(t, err, name)
			require.Equal(t, "new", v, "%s: not overwritten", name)
			require.Greater(t, raw.PTTL(bg, "t:k").Val(), time.Duration(0), "%s: no life of its own", name)
		}
	})
}

// Every bit of a value in Redis is covered: whichever flips, nobody gets
// anything but what a loader gave.
// But in the 22 bytes of the token, which scripts rewrite where they stand.
func TestAFlippedBitIsAMiss(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		raw := client(t, addr)
		load(t, raw, "k", tiercache.Options[string]{})
		good := []byte(raw.Get(bg, "t:k").Val())
		cache := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[string]{})
		for i := range good {
			if i >= 15 && i < 37 {
				continue
			}
			for _, bit := range []byte{1, 16, 128} {
				bad := bytes.Clone(good)
				bad[i] ^= bit
				set(t, raw, string(bad))
				_, ok, err := cache.Get(bg, "k")
				require.NoError(t, err)
				require.False(t, ok, "byte %d, bit %d", i, bit)
			}
		}
		v, err := cache.GetOrLoad(bg, "k", value("new"))
		require.NoError(t, err)
		assert.Equal(t, "new", v)
	})
}

func TestAValueCopiedByRedisToAnotherKeyIsAMiss(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, addr string) {
		raw := client(t, addr)
		cache := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[string]{})
		load(t, raw, "user:1", tiercache.Options[string]{})
		require.EqualValues(t, 1, raw.Copy(bg, "t:user:1", "t:user:2", 0, true).Val())
		require.NoError(t, raw.Rename(bg, "t:user:1", "t:user:3").Err())
		for _, key := range []string{"user:2", "user:3"} {
			v, err := cache.GetOrLoad(bg, key, value("its own"))
			require.NoError(t, err)
			assert.Equal(t, "its own", v)
		}
		assert.EqualValues(t, 2, cache.Stats().Rejected)
	})
}

// Two caches that use one key, by mistake or not, never see each other's value,
// in memory either.
func TestTwoCachesOfOneKeyKeepApart(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		numbers := newCache(t, tiers, tiercache.Options[int]{Name: "numbers"})
		words := newCache(t, tiers, tiercache.Options[string]{Name: "words"})
		for i := range 3 {
			n, err := numbers.GetOrLoad(bg, "k", value(i))
			require.NoError(t, err)
			require.Equal(t, i, n)
			_, ok, err := words.Get(bg, "k")
			require.NoError(t, err)
			require.False(t, ok)
			w, err := words.GetOrLoad(bg, "k", value("word"))
			require.NoError(t, err)
			require.Equal(t, "word", w)
		}
	})
}

// panicky panics at what it reads, as codecs do that trust their bytes.
type panicky struct{}

func (panicky) Append(dst []byte, v string) ([]byte, error) {
	if v == "panic" {
		panic("cannot encode")
	}
	return append(dst, v...), nil
}

func (panicky) Decode(src []byte) (string, error) {
	if string(src) == "poison" {
		panic("cannot decode")
	}
	return string(src), nil
}

func TestACodecThatPanicsIsAnErrorOfItsLoadAndAMissOfARead(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		tiers := open(t, config())
		cache := newCache(t, tiers, tiercache.Options[string]{Codec: panicky{}})
		var p *tiercache.PanicError
		_, err := cache.GetOrLoad(bg, "k", value("panic"))
		require.ErrorAs(t, err, &p)
		v, err := cache.GetOrLoad(bg, "k", value("fine"))
		require.NoError(t, err)
		require.Equal(t, "fine", v)
		if tiers.Health().Mode == "memory" {
			return
		}
		_, err = cache.GetOrLoad(bg, "p", value("poison"))
		require.NoError(t, err)
		other := newCache(t, open(t, config()), tiercache.Options[string]{Codec: panicky{}})
		v, err = other.GetOrLoad(bg, "p", value("new"))
		assert.EqualValues(t, 1, other.Stats().Rejected, "bytes that it cannot take are a miss")
		require.NoError(t, err)
		require.Equal(t, "new", v)
	})
}

func TestAValueThatCannotBeEncodedIsReturnedAndNotCached(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[func()]{})
		for range 2 {
			f, err := cache.GetOrLoad(bg, "k", func(context.Context) (func(), error) { return func() {}, nil })
			require.NoError(t, err)
			require.NotNil(t, f)
		}
		assert.EqualValues(t, 2, cache.Stats().Loads)
		assert.EqualValues(t, 2, cache.Stats().Errors)
		require.Error(t, cache.Set(bg, "k", func() {}))
	})
}

func TestACodecThatPanicsInASetIsAnError(t *testing.T) {
	t.Parallel()
	onEveryTier(t, func(t *testing.T, config func() tiercache.Config) {
		cache := newCache(t, open(t, config()), tiercache.Options[string]{Codec: panicky{}})
		var err error
		require.NotPanics(t, func() { err = cache.Set(bg, "k", "panic") })
		var p *tiercache.PanicError
		require.ErrorAs(t, err, &p)
	})
}

// Somebody puts half a gigabyte under our key: it is not read.
func TestWhatIsTooLongForAValueIsNotReadWhole(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	cfg := patient(client(t, s.Addr()))
	cfg.LargestValue = 1000
	cache := newCache(t, open(t, cfg), tiercache.Options[int]{})
	require.NoError(t, s.Client().SetRange(bg, "t:k", 256<<20, "x").Err())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	v, err := cache.GetOrLoad(bg, "k", value(7))
	require.NoError(t, err)
	assert.Equal(t, 7, v)
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
	assert.EqualValues(t, 1, cache.Stats().Rejected)
	soon(t, "it was overwritten", func() bool { return s.Client().StrLen(bg, "t:k").Val() < 1000 })
}
