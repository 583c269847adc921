package remote

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Lua takes more for a number than a reader of the clock does. If that stood, no load
// of a value with tags of its own would be stored until somebody advanced the clock; if
// it were advanced, no longer number would fit a record.
func TestAClockThatIsNoReadingIsStartedAnew(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, r *Remote, c *redis.Client) {
		for _, raw := range []string{"", "x", "0", "-5", "0x10", "1e3", " 7", "7.5", "inf", "nan", "9000000000000000", "99999999999999999999"} {
			for name, read := range map[string]func() (Tick, error){
				"read": func() (Tick, error) { return r.Clock(bg) },
				"tick": func() (Tick, error) { return r.Tick(bg) },
			} {
				require.NoError(t, c.Set(bg, r.ClockKey(), raw, 0).Err())
				is, err := read()
				require.NoError(t, err, "%s %q", name, raw)
				assert.WithinDuration(t, time.Now(), time.UnixMicro(int64(is.N)), time.Hour, "%s %q", name, raw)
				again, err := r.Clock(bg)
				require.NoError(t, err)
				assert.Equal(t, is, again, "%s %q", name, raw)
			}
		}
		require.NoError(t, c.Set(bg, r.ClockKey(), "7", 0).Err())
		is, err := r.Clock(bg)
		require.NoError(t, err)
		assert.EqualValues(t, 7, is.N, "what stands is not advanced")
	})
}
