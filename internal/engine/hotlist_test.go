package engine

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAHotListHasEachKeyOnceInItsOrder(t *testing.T) {
	t.Parallel()
	var l hotList
	want := []string{"user:1", "3:a", "with\nlines\x00", "é", "\xff"}
	for range 2 {
		for _, key := range want {
			l.add(key)
		}
	}
	got, err := readHotList(l.text.String())
	require.NoError(t, err)
	assert.Equal(t, want, got)
}

func TestAHotListIsBounded(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]func(int) string{
		"in number": strconv.Itoa,
		"in bytes":  func(i int) string { return strings.Repeat("k", 1000) + strconv.Itoa(i) },
		"both":      func(i int) string { return strings.Repeat("k", i%2*3000) + strconv.Itoa(i) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l hotList
			for i := range 2 * mostHotKeys {
				l.add(key(i))
			}
			text := l.text.String()
			assert.LessOrEqual(t, len(text), mostHotSize)
			got, err := readHotList(text)
			require.NoError(t, err)
			assert.LessOrEqual(t, len(got), mostHotKeys)
			assert.True(t, len(got) == mostHotKeys || len(text) > mostHotSize-2000)
		})
	}
}

func TestWhatIsNoHotListIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "hot1", "hot2;1:k", "hot1;k", "hot1;1:", "hot1;2:k", "hot1;0:", "hot1;-1:k", "hot1;1:k2", "hot1;:k", "hot1;+1:k",
		"hot1;99999999999999999999:k", "hot1;4294967295:k", hotVersion + strings.Repeat("1:k", mostHotKeys+1),
		hotVersion + "262200:" + strings.Repeat("k", 262200),
	} {
		keys, err := readHotList(text)
		require.ErrorIs(t, err, errHotList, "%.20q", text)
		assert.Nil(t, keys)
	}
}

func FuzzAHotListIsReadAsItWasWrittenOrRefused(f *testing.F) {
	for _, seed := range []string{"", "hot1;", "hot1;1:k", "hot1;6:user:12:k:", "hot1;2:k", "hot2;1:k", "hot1;01:k", "hot1;18446744073709551616:k"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := readHotList(text)
		if err != nil {
			require.Empty(t, keys)
			return
		}
		var l hotList
		for _, key := range keys {
			require.NotEmpty(t, key)
			l.add(key)
		}
		again, err := readHotList(l.text.String())
		if len(keys) > 0 {
			require.NoError(t, err)
			require.Subset(t, keys, again)
		}
	})
}
