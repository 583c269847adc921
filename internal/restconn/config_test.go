package restconn

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAConfigThatCannotBeUsedIsAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  Config
		says string
	}{
		"no URL":              {Config{Token: "t"}, "host"},
		"no scheme":           {Config{URL: "x.upstash.io", Token: "t"}, "host"},
		"http":                {Config{URL: "http://x.upstash.io", Token: "t"}, "https"},
		"redis":               {Config{URL: "rediss://x.upstash.io", Token: "t"}, "https"},
		"a user":              {Config{URL: "https://u:hunter2@x.upstash.io", Token: "t"}, "more than"},
		"a query":             {Config{URL: "https://x.upstash.io?_token=hunter2", Token: "t"}, "more than"},
		"no URL at all":       {Config{URL: "https://hunter2\x7f", Token: "t"}, "cannot be read"},
		"no token":            {Config{URL: "https://x.upstash.io"}, "there is none"},
		"a token of two":      {Config{URL: "https://x.upstash.io", Token: "hunter2\r\nX: y"}, "token"},
		"another transport":   {Config{URL: "https://x.upstash.io", Token: "t", Transport: "udp"}, "auto, tcp or rest"},
		"http by another way": {Config{URL: "http://127.0.0.1.evil.example", Token: "t"}, "https"},
	} {
		_, err := New(c.cfg)
		require.ErrorContains(t, err, c.says, name)
		assert.NotContains(t, err.Error(), "hunter2")
	}
	for _, url := range []string{"https://x.upstash.io", "https://x.upstash.io/", "http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:80"} {
		_, err := New(Config{URL: url, Token: "t"})
		assert.NoError(t, err, url)
	}
}

func TestTheAddressIsThatOfRedis(t *testing.T) {
	t.Parallel()
	d, err := New(Config{URL: "https://x.upstash.io/", Token: "t"})
	require.NoError(t, err)
	assert.Equal(t, "x.upstash.io:6379", d.Addr())
	assert.Equal(t, "restconn(auto x.upstash.io)", d.String())
}
