package envelope

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func sample() (Head, Body) {
	h := Head{Kind: Value, Stamp: NewID("master"), Token: NewToken(), Cache: NewID("users")}
	b := Body{
		Schema:     NewID("json"),
		Created:    time.UnixMilli(1_700_000_000_123),
		FreshUntil: time.UnixMilli(1_700_000_300_123),
		LoadTime:   27 * time.Second,
		Payload:    []byte(`{"name":"Ann"}`),
	}
	return h, b
}

func TestWhatIsSealedOpensUnchanged(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]Kind{"value": Value, "absent": Absent} {
		t.Run(name, func(t *testing.T) {
			h, b := sample()
			h.Kind = kind
			if kind == Absent {
				b.Payload = []byte{}
			}
			gotHead, gotBody, err := Open("p:user:1", Seal("p:user:1", h, b))
			require.NoError(t, err)
			assert.Equal(t, h, gotHead)
			assert.Equal(t, b, gotBody)
		})
	}
}

func TestALeaseIsAHeadAlone(t *testing.T) {
	t.Parallel()
	h, _ := sample()
	h.Kind = Lease
	raw := h.Append(nil)
	require.Len(t, raw, HeadLen)
	got, body, err := Open("k", raw)
	require.NoError(t, err)
	assert.Equal(t, h, got)
	assert.Zero(t, body)
	_, _, err = Open("k", append(raw, 'x'))
	assert.ErrorIs(t, err, ErrDamaged)
}

func TestEveryFlippedBitIsAMiss(t *testing.T) {
	t.Parallel()
	h, b := sample()
	raw := Seal("p:user:1", h, b)
	for i := range raw {
		for bit := range 8 {
			bad := bytes.Clone(raw)
			bad[i] ^= 1 << bit
			_, _, err := Open("p:user:1", bad)
			require.Error(t, err, "byte %d, bit %d", i, bit)
		}
	}
}

func TestEveryTruncationIsAMiss(t *testing.T) {
	t.Parallel()
	h, b := sample()
	raw := Seal("p:user:1", h, b)
	for n := range raw {
		_, _, err := Open("p:user:1", raw[:n])
		require.Error(t, err, "%d bytes", n)
	}
	_, _, err := Open("p:user:1", append(raw, 0))
	require.Error(t, err)
}

func TestAnotherKeysValueIsAMiss(t *testing.T) {
	t.Parallel()
	h, b := sample()
	_, _, err := Open("p:user:2", Seal("p:user:1", h, b))
	assert.ErrorIs(t, err, ErrDamaged)
}

func TestTheHeadIsPrintableAndItsFieldsAreWhereScriptsLook(t *testing.T) {
	t.Parallel()
	h, b := sample()
	raw := Seal("k", h, b)
	for i, c := range raw[:payloadAt] {
		assert.True(t, c > ' ' && c < 0x7f, "byte %d is %q", i, c)
	}
	id := NewID("users")
	assert.Equal(t, string(id[:]), string(raw[CacheAt:CacheAt+CacheIDLen]))
	assert.Equal(t, string(h.Append(nil)), string(raw[:HeadLen]))
	assert.Equal(t, payloadAt, len(raw)-len(b.Payload))
}

func TestNumbersThatDoNotFitSaturate(t *testing.T) {
	t.Parallel()
	var f [8]byte
	put(f[:], 1<<60)
	n, ok := get(f[:])
	require.True(t, ok)
	assert.EqualValues(t, 1<<48-1, n)
	_, ok = get([]byte("___________")) // 66 bits
	assert.False(t, ok)
}

func FuzzOpenNeverPanicsAndAcceptsOnlyWhatItWouldWrite(f *testing.F) {
	h, b := sample()
	f.Add("p:user:1", Seal("p:user:1", h, b))
	f.Add("p:user:1", h.Append(nil))
	f.Add("", []byte("tc1V"))
	f.Add("k", []byte("plain text under our key"))
	f.Fuzz(func(t *testing.T, key string, raw []byte) {
		head, body, err := Open(key, raw)
		if err != nil || head.Kind == Lease {
			return
		}
		require.Equal(t, raw, Seal(key, head, body))
	})
}

func BenchmarkOpen(b *testing.B) {
	h, body := sample()
	raw := Seal("p:user:1", h, body)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Open("p:user:1", raw); err != nil {
			b.Fatal(err)
		}
	}
}
