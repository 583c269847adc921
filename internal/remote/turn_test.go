package remote

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A turn decides nothing, so what stands there for good must not hold anybody up.
func TestATurnThatIsOverOrNobodysIsTakenAlsoIfRedisDoesNotEndIt(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	r := openTo(t, bare(t, m.Addr()))
	key := r.turnKey("p:k")
	for name, c := range map[string]struct {
		stands string
		want   Turn
	}{
		"a rest that is over":   {turnResting + "1000", Mine},
		"a rest without an end": {turnResting + "x", Mine},
		"something else":        {"other", Mine},
		"nothing":               {"", Mine},
		"somebody's":            {turnTaken, Taken},
		"a rest":                {turnResting + "99999999999999", Resting},
	} {
		t.Run(name, func(t *testing.T) {
			m.Del(key)
			if c.stands != "" {
				require.NoError(t, m.Set(key, c.stands))
			}
			turn, rest, err := r.TakeTurn(bg, "p:k", time.Minute)
			require.NoError(t, err)
			assert.Equal(t, c.want, turn)
			assert.Equal(t, c.want == Resting, rest > 0)
			if c.want == Mine {
				assert.Equal(t, time.Minute, m.TTL(key))
			}
		})
	}
}
