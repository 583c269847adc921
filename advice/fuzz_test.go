package advice

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// fill sets every number, word and list that v has from data, until that ends.
func fill(v reflect.Value, data *[]byte) {
	if !v.CanSet() {
		return // what is not exported is Sub's
	}
	next := func() uint64 {
		var b [8]byte
		*data = (*data)[copy(b[:], *data):]
		return binary.LittleEndian.Uint64(b[:])
	}
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), data)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), data)
		}
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(next()) >> (next() % 64)) // small ones too
	case reflect.Uint64:
		v.SetUint(next())
	case reflect.Float64:
		v.SetFloat(math.Float64frombits(next()))
	case reflect.Bool:
		v.SetBool(next()%2 == 1)
	case reflect.String:
		words := []string{"", "users", "memory", "single", "open", "closed", "replaying", "read-only", "tracking", "none", "connecting"}
		v.SetString(words[next()%uint64(len(words))])
	}
}

var oddNumber = regexp.MustCompile(`(?i)nan|inf\b|%!|\(|e\+`)

func isAdvice(t *testing.T, data []byte) {
	var s tiercache.Stats
	var hot []tiercache.HotKey
	fill(reflect.ValueOf(&hot).Elem(), &data)
	fill(reflect.ValueOf(&s).Elem(), &data)
	got := Of(s, hot)
	require.NotEmpty(t, got)
	for _, a := range got {
		known := func(r rule) bool { return r.name == a.Rule && r.option == a.Option }
		assert.True(t, known(tooFew) || known(allIsWell) || slices.ContainsFunc(rules, known), a.Rule)
		assert.NotEmpty(t, a.Text)
		assert.NotRegexp(t, oddNumber, a.Text)
	}
	assert.Equal(t, got, Of(s, hot), "the same again")
	assert.Contains(t, []string{"good", "fair", "poor"}, Status(s.Total.HitRate()))
}

func randomBytes(rng *rand.Rand) []byte {
	b := make([]byte, 4096)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func FuzzAnyStatsHaveAdvice(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3 {
		f.Add(randomBytes(rng))
	}
	f.Add([]byte{})
	f.Fuzz(isAdvice)
}

func TestRandomStatsHaveAdvice(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 2_000 {
		isAdvice(t, randomBytes(rng))
	}
}
