package s2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/s2"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mostOf = 1 << 20

// noise is what cannot be made shorter.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestWhatIsCompressedComesBackBehindWhatWasThere(t *testing.T) {
	t.Parallel()
	for name, src := range map[string][]byte{
		"nothing": {}, "a byte": {7}, "text": []byte(strings.Repeat("all work and no play ", 500)),
		"zeros": make([]byte, 100_000), "noise": noise(100_000), "as long as it may be": make([]byte, mostOf),
	} {
		for _, room := range []int{0, 10, 300_000} {
			dst := append(make([]byte, 0, room+5), "front"...)
			packed := s2.Compressor{}.Compress(dst, src)
			require.Equal(t, "front", string(packed[:5]), name)
			dst = append(make([]byte, 0, room+5), "front"...)
			out, err := s2.Compressor{}.Decompress(dst, packed[5:], mostOf)
			require.NoError(t, err, name)
			require.Equal(t, "front", string(out[:5]), name)
			require.True(t, bytes.Equal(src, out[5:]), name)
		}
	}
}

// allocated is how many bytes do allocates.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// bomb becomes n times 16 MiB of zeros. What follows the length, of one S2 block, may
// be repeated: it refers to nothing before it.
func bomb(n int) []byte {
	const piece = 16 << 20
	one := s2.Compressor{}.Compress(nil, make([]byte, piece))
	_, skip := binary.Uvarint(one)
	return append(binary.AppendUvarint(nil, uint64(n*piece)), bytes.Repeat(one[skip:], n)...)
}

// Not parallel: what others allocate would count.
func TestABombIsRefusedBeforeThereIsRoomForIt(t *testing.T) {
	out, err := s2.Compressor{}.Decompress(nil, bomb(2), 32<<20)
	require.NoError(t, err)
	require.Len(t, out, 32<<20, "it is one")

	big := bomb(16)
	require.Less(t, len(big), 64<<10, "256 MiB of zeros")
	spent := allocated(func() { _, err = s2.Compressor{}.Decompress(nil, big, mostOf) })
	require.ErrorIs(t, err, s2.ErrTooLong)
	assert.Less(t, spent, uint64(64<<10))

	liar := []byte{0xff, 0xff, 0x3f, 0} // says 1 MiB - 1
	spent = allocated(func() { _, err = s2.Compressor{}.Decompress(nil, liar, mostOf) })
	require.Error(t, err)
	assert.Less(t, spent, uint64(mostOf+mostOf/4), "no more than it may be")
}

func FuzzDecompressNeverPanicsNorGoesBeyondItsLimit(f *testing.F) {
	f.Add([]byte{}, 100)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, 100)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 100)
	f.Add(s2.Compressor{}.Compress(nil, []byte("all work and no play, all work and no play")), 1000)
	f.Add(s2.Compressor{}.Compress(nil, make([]byte, 5000)), 100)
	f.Fuzz(func(t *testing.T, src []byte, most int) {
		most = min(max(most, 0), mostOf)
		out, err := s2.Compressor{}.Decompress([]byte("front"), src, most)
		require.Equal(t, "front", string(out[:5]))
		require.LessOrEqual(t, len(out)-5, most)
		if err != nil {
			require.Len(t, out, 5)
		}
	})
}

func FuzzWhatIsCompressedComesBack(f *testing.F) {
	f.Add([]byte("x"))
	f.Add(bytes.Repeat([]byte("ab"), 3000))
	f.Fuzz(func(t *testing.T, src []byte) {
		out, err := s2.Compressor{}.Decompress(nil, s2.Compressor{}.Compress(nil, src), len(src))
		require.NoError(t, err)
		require.True(t, bytes.Equal(src, out))
	})
}

type node struct {
	tiers *tiercache.Tiers
	cache *tiercache.Cache[string]
}

func newNode(t *testing.T, addr string, largest int) node {
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = rdb.Close() })
	tiers, err := tiercache.Open(tiercache.Config{Redis: rdb, Prefix: "t:", LargestValue: largest,
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { _ = tiers.Close() })
	cache, err := tiercache.New(tiers, tiercache.Options[string]{Name: "texts", TTL: time.Hour, Compressor: s2.Compressor{}})
	require.NoError(t, err)
	return node{tiers, cache}
}

func TestValuesAreShorterInRedisAndTheSameOnAnotherNode(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	writer, reader := newNode(t, server.Addr(), 0), newNode(t, server.Addr(), 0)
	for key, v := range map[string]string{
		"text": strings.Repeat("all work and no play ", 5000), "noise": string(noise(100_000)), "short": "hello", "empty": "",
	} {
		require.NoError(t, writer.cache.Set(context.Background(), key, v))
		got, ok, err := reader.cache.Get(context.Background(), key)
		require.NoError(t, err)
		require.True(t, ok, key)
		require.True(t, v == got, key)
		stored, err := server.Get("t:" + key)
		require.NoError(t, err)
		if key == "text" {
			assert.Less(t, len(stored), len(v)/10)
		} else {
			assert.LessOrEqual(t, len(stored), len(v)+200, "%s: as it was", key)
		}
	}
}

// Not parallel: what others allocate would count.
func TestABombUnderAKeyIsAMiss(t *testing.T) {
	server := miniredis.RunT(t)
	require.NoError(t, newNode(t, server.Addr(), 16<<20).cache.Set(context.Background(), "k", string(make([]byte, 16<<20))))
	stored, err := server.Get("t:k")
	require.NoError(t, err)
	require.Less(t, len(stored), 64<<10)

	reader := newNode(t, server.Addr(), 0)
	spent := allocated(func() {
		_, ok, err := reader.cache.Get(context.Background(), "k")
		require.NoError(t, err)
		require.False(t, ok)
	})
	assert.Less(t, spent, uint64(4<<20))
	assert.EqualValues(t, 1, reader.cache.Stats().Rejected)
}
