package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNewsArrivesAsItWasTold(t *testing.T) {
	t.Parallel()
	payload := newsOf("me", newsKey, "user:1", "", "a:b 7:c") + newsOf("me", newsTag, "t:red")[len("me "):]
	var got []string
	require.True(t, eachNews(payload, func(sender string, kind byte, text string) {
		assert.Equal(t, "me", sender)
		got = append(got, string(kind)+text)
	}))
	assert.Equal(t, []string{"kuser:1", "k", "ka:b 7:c", "tt:red"}, got)
}

func FuzzNewsThatIsNotUnderstoodIsNoPanic(f *testing.F) {
	f.Add("")
	f.Add("me k6:user:1t5:t:red")
	f.Add("me k99999999999999999999:x")
	f.Add("me k-1:x")
	f.Add("me x1:a")
	f.Fuzz(func(t *testing.T, payload string) {
		rest := 0
		ok := eachNews(payload, func(_ string, _ byte, text string) { rest += len(text) })
		require.LessOrEqual(t, rest, len(payload))
		if ok {
			require.Contains(t, payload, " ")
		}
	})
}
