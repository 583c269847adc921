package remote

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func record(clock, marks string) string {
	return "tg1" + strings.Repeat("s", 11) + strings.Repeat("n", 22) + "1700000000000" + clock + strings.Repeat("c", 11) + marks
}

func TestARecordIsReadAsItsScriptsWriteIt(t *testing.T) {
	t.Parallel()
	unborn := strings.Repeat("0", 16)
	r := parseTag(record("1700000000000123", ""))
	assert.Equal(t, strings.Repeat("n", 22), string(r.Nonce[:]))
	assert.EqualValues(t, 1_700_000_000_000_123, r.Clock.N)
	assert.True(t, r.Until.Equal(time.UnixMilli(1_700_000_000_000)))
	assert.Zero(t, r.Marked)
	assert.Zero(t, parseTag(record(unborn, "")).Clock)

	marks := strings.Repeat("a", 22) + "1700000000002" + strings.Repeat("b", 22) + "1700000000001"
	assert.True(t, parseTag(record(unborn, marks)).Marked.Equal(time.UnixMilli(1_700_000_000_002)), "the last to end")

	for name, raw := range map[string]string{
		"nothing":      "",
		"cut short":    record(unborn, "")[:70],
		"half a mark":  record(unborn, marks[:20]),
		"no number":    record("17000000000001x3", ""),
		"another kind": "tc1" + record(unborn, "")[3:],
	} {
		got := parseTag(raw)
		assert.Equal(t, Tag{Raw: raw}, got, name)
	}
}

func FuzzRecordsAndMarkersNeverPanic(f *testing.F) {
	f.Add(record(strings.Repeat("0", 16), ""))
	f.Add("tg1")
	f.Add("tc1M" + strings.Repeat("a", 22) + "1700000000002")
	f.Fuzz(func(t *testing.T, raw string) {
		r := parseTag(raw)
		require.Equal(t, raw, r.Raw)
		MarkEnds([]byte(raw))
	})
}
