package clock_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNowIsAboveZeroAndNeverGoesBack(t *testing.T) {
	t.Parallel()
	last := clock.Now()
	assert.Positive(t, last)
	for range 1000 {
		now := clock.Now()
		assert.GreaterOrEqual(t, now, last)
		last = now
	}
}

func TestNowIsAboveZeroAndCountsTheTimeThatPassedInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		before := clock.Now()
		assert.Positive(t, before)
		time.Sleep(time.Hour)
		assert.Equal(t, int64(time.Hour), clock.Now()-before)
	})
}
