package envelope

import (
	"bytes"
	"strings"
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
		Tags:       []Tag{{"", NewToken()}, {"role:Ä", NewToken()}},
		Payload:    []byte(`{"name":"Ann"}`),
	}
	return h, b
}

func seal(t testing.TB, key string, h Head, b Body) []byte {
	raw, err := Seal(key, h, b, nil)
	require.NoError(t, err)
	return raw
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
			gotHead, gotBody, err := Open("p:user:1", seal(t, "p:user:1", h, b), nil)
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
	got, body, err := Open("k", raw, nil)
	require.NoError(t, err)
	assert.Equal(t, h, got)
	assert.Zero(t, body)
	_, _, err = Open("k", append(raw, 'x'), nil)
	assert.ErrorIs(t, err, ErrDamaged)
}

func TestEveryFlippedBitIsAMiss(t *testing.T) {
	t.Parallel()
	h, b := sample()
	raw := seal(t, "p:user:1", h, b)
	for i := range raw {
		for bit := range 8 {
			bad := bytes.Clone(raw)
			bad[i] ^= 1 << bit
			got, _, err := Open("p:user:1", bad, nil)
			if i >= tokenAt && i < cacheAt { // scripts write it: another token, the same value
				require.NoError(t, err)
				require.NotEqual(t, h.Token, got.Token)
				continue
			}
			require.Error(t, err, "byte %d, bit %d", i, bit)
		}
	}
}

func TestEveryTruncationIsAMiss(t *testing.T) {
	t.Parallel()
	h, b := sample()
	raw := seal(t, "p:user:1", h, b)
	for n := range raw {
		_, _, err := Open("p:user:1", raw[:n], nil)
		require.Error(t, err, "%d bytes", n)
	}
	_, _, err := Open("p:user:1", append(raw, 0), nil)
	require.Error(t, err)
}

func TestAnotherKeysValueIsAMiss(t *testing.T) {
	t.Parallel()
	h, b := sample()
	_, _, err := Open("p:user:2", seal(t, "p:user:1", h, b), nil)
	assert.ErrorIs(t, err, ErrDamaged)
}

func TestTheHeadIsPrintableAndItsFieldsAreWhereScriptsLook(t *testing.T) {
	t.Parallel()
	h, b := sample()
	raw := seal(t, "k", h, b)
	for i, c := range raw[:tagsAt] {
		assert.True(t, c > ' ' && c < 0x7f, "byte %d is %q", i, c)
	}
	assert.Equal(t, string(h.Append(nil)), string(raw[:HeadLen]))
	assert.Equal(t, byte('V'), raw[3])
	assert.Equal(t, string(h.Token[:]), string(raw[15:37]))
}

// What expire.lua does.
func TestAValueThatWasExpiredInPlaceOpensAsExpired(t *testing.T) {
	t.Parallel()
	for name, kinds := range map[string][2]Kind{"value": {Value, 'O'}, "absent": {Absent, 'G'}} {
		t.Run(name, func(t *testing.T) {
			h, b := sample()
			h.Kind = kinds[0]
			raw := seal(t, "k", h, b)
			token := NewToken()
			raw[3] = byte(kinds[1])
			copy(raw[15:37], token[:])
			got, body, err := Open("k", raw, nil)
			require.NoError(t, err)
			assert.True(t, body.Expired)
			assert.Equal(t, kinds[0], got.Kind)
			assert.Equal(t, token, got.Token)
			assert.Equal(t, raw, seal(t, "k", got, body))
		})
	}
}

func TestTagsThatDoNotFitAreAnError(t *testing.T) {
	t.Parallel()
	h, b := sample()
	b.Tags = []Tag{{Name: strings.Repeat("x", LongestName+1)}}
	_, err := Seal("k", h, b, nil)
	require.ErrorIs(t, err, ErrTags)
	b.Tags = make([]Tag, 20_000)
	_, err = Seal("k", h, b, nil)
	require.ErrorIs(t, err, ErrTags)
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
	f.Add("p:user:1", seal(f, "p:user:1", h, b))
	f.Add("p:user:1", h.Append(nil))
	f.Add("", []byte("tc1V"))
	f.Add("k", []byte("plain text under our key"))
	f.Fuzz(func(t *testing.T, key string, raw []byte) {
		head, body, err := Open(key, raw, nil)
		if err != nil || head.Kind == Lease {
			return
		}
		require.Equal(t, raw, seal(t, key, head, body))
	})
}

func BenchmarkOpen(b *testing.B) {
	h, body := sample()
	raw := seal(b, "p:user:1", h, body)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Open("p:user:1", raw, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func TestTheEnvelopeIsMadeInTheRoomThatIsGivenIfItFits(t *testing.T) {
	t.Parallel()
	h, b := sample()
	want := seal(t, "k", h, b)
	front := Front(b.Tags[0].Name, b.Tags[1].Name)
	require.Equal(t, string(b.Payload), string(want[front:]))
	for name, c := range map[string]struct {
		room  []byte
		taken bool
	}{
		"as long":   {append(bytes.Repeat([]byte{'x'}, front), b.Payload...), true},
		"too short": {append(make([]byte, front-1), b.Payload...), false},
		"too long":  {append(make([]byte, front+1), b.Payload...), false},
		"none":      {nil, false},
	} {
		was := bytes.Clone(c.room)
		b.Payload = []byte(`{"name":"Ann"}`)
		if c.taken {
			b.Payload = c.room[front:]
		}
		got, err := Seal("k", h, b, c.room)
		require.NoError(t, err, name)
		assert.Equal(t, string(want), string(got), name)
		if c.taken {
			assert.Same(t, &c.room[0], &got[0], name)
		} else {
			assert.Equal(t, was, c.room, name)
		}
	}
}

func TestOpenPutsTagsThatFitIntoTheRoomItIsGiven(t *testing.T) {
	h, b := sample()
	b.Tags[1].Name = ""
	raw := seal(t, "k", h, b)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		var room [4]Tag
		if _, got, err := Open("k", raw, room[:]); err != nil || len(got.Tags) != 2 {
			panic("not opened")
		}
	}))
	_, got, err := Open("k", raw, make([]Tag, 0, 1))
	require.NoError(t, err)
	assert.Equal(t, b.Tags, got.Tags)
}
