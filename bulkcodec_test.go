package tiercache_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// moody is JSON, and panics with values that begin so.
type moody struct{ panics string }

func (moody) Append(dst []byte, v string) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(dst, b...), err
}

func (m moody) Decode(src []byte) (v string, err error) {
	err = json.Unmarshal(src, &v)
	if m.panics != "" && strings.HasPrefix(v, m.panics) {
		panic("moody")
	}
	return v, err
}

func TestValuesOfManyKeysThatTheCodecCannotTakeAreLoadedAndTheOthersAreNot(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = client.Close() })
	long := strings.Repeat("x", 4<<10) // so that several goroutines decode
	values := make(map[string]string)
	var keys []string
	for i := range 60 {
		key, mood := fmt.Sprintf("k%02d", i), "well "
		if i%20 == 7 {
			mood = "badly "
		}
		keys, values[key] = append(keys, key), mood+long
	}
	options := tiercache.Options[string]{Name: "moody", TTL: time.Hour, Codec: moody{}}
	writer, err := tiercache.New(open(t, patient(client)), options)
	require.NoError(t, err)
	require.NoError(t, writer.SetMany(bg, values))
	options.Codec = moody{panics: "badly"}
	reader, err := tiercache.New(open(t, patient(client)), options)
	require.NoError(t, err)
	var asked []string
	got, err := reader.GetOrLoadMany(bg, keys, func(_ context.Context, keys []string) (map[string]string, error) {
		asked = append(asked, keys...)
		out := make(map[string]string)
		for _, k := range keys {
			out[k] = "new"
		}
		return out, nil
	})
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"k07", "k27", "k47"}, asked)
	assert.Len(t, got, len(keys))
	assert.Equal(t, "new", got["k07"])
	assert.Equal(t, values["k08"], got["k08"])
}

// shortens returns something else than dst and what it has appended to it.
type shortens struct{ to func(dst, src []byte) []byte }

func (s shortens) Compress(dst, src []byte) []byte { return s.to(dst, src) }
func (shortens) Decompress(dst, src []byte, _ int) ([]byte, error) {
	return append(dst, src...), nil
}

func TestACompressorThatDoesNotAppendIsAnErrorAndNothingIsStored(t *testing.T) {
	t.Parallel()
	for name, to := range map[string]func(dst, src []byte) []byte{
		"nothing":         func(_, _ []byte) []byte { return nil },
		"its own bytes":   func(_, src []byte) []byte { return bytes.Clone(src) },
		"less than dst":   func(dst, _ []byte) []byte { return dst[:1] },
		"another's front": func(dst, _ []byte) []byte { dst[0] = 'x'; return append(dst, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEveryRedis(t, func(t *testing.T, addr string) {
				cache := newCache(t, open(t, patient(client(t, addr))), tiercache.Options[string]{Compressor: shortens{to}, CompressAbove: 1})
				long := strings.Repeat("long ", 100)
				require.ErrorContains(t, cache.Set(bg, "k", long), "Compressor.Compress")
				got, err := cache.GetOrLoad(bg, "k", value(long))
				require.NoError(t, err)
				require.Equal(t, long, got)
				require.Zero(t, client(t, addr).Exists(bg, "t:k").Val())
			})
		})
	}
}
