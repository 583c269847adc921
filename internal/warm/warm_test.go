package warm

import (
	"context"
	"log/slog"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestThePauseBeforeATryDoublesAndEndsAtItsLongest(t *testing.T) {
	t.Parallel()
	for try, want := range map[int]time.Duration{0: 250 * time.Millisecond, 1: 500 * time.Millisecond, 5: 8 * time.Second, 6: 10 * time.Second, 1 << 40: 10 * time.Second} {
		for range 100 {
			assert.InDelta(t, want, backoff(try), float64(want)/2)
		}
	}
}

func TestAPaceLetsThroughWhatItsRateAllowsAndSavesNothingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := pace{every: time.Second}
		began := time.Now()
		at := func(want time.Duration) {
			t.Helper()
			assert.Equal(t, want, time.Since(began))
		}
		assert.True(t, p.wait(t.Context(), 3))
		at(0)
		assert.True(t, p.wait(t.Context(), 1))
		at(3 * time.Second)
		time.Sleep(time.Minute)
		assert.True(t, p.wait(t.Context(), 1))
		assert.True(t, p.wait(t.Context(), 1))
		at(64 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.False(t, p.wait(ctx, 1))
	})
}

// hung is a turn that Redis does not answer for until the context ends.
type hung struct{}

func (hung) Take(context.Context) (bool, time.Duration, error) { return true, 0, nil }
func (hung) Keep(ctx context.Context) error                    { <-ctx.Done(); return ctx.Err() }
func (hung) End(ctx context.Context, _ time.Duration) error    { <-ctx.Done(); return ctx.Err() }

func TestAJobEndsWithinASecondThoughRedisDoesNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := New(Config{
			Name:        "j",
			Next:        func(now time.Time) time.Time { return now.Add(time.Hour) },
			AtStart:     true,
			Concurrency: 1,
			Batch:       1,
			Keys:        func(context.Context) ([]string, error) { return []string{"k"}, nil },
			Check:       func(string) error { return nil },
			Load: func(ctx context.Context, _ []string) map[string]error {
				<-ctx.Done()
				return map[string]error{"k": ctx.Err()}
			},
			Reads: func() int64 { return 0 },
			Ended: func(int, int) {},
			Turn:  hung{},
			Log:   slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { j.Run(ctx); close(ended) }()
		time.Sleep(5 * time.Second)
		require.True(t, j.Status().Running)
		began := time.Now()
		cancel()
		<-ended
		assert.Less(t, time.Since(began), time.Second)
	})
}

func TestTheTimeThatIsLeftOfAVeryLongRunIsNotNegative(t *testing.T) {
	t.Parallel()
	j := New(Config{Name: "j"})
	j.is = Status{Running: true, Started: time.Now().Add(-24 * time.Hour), Total: 1_000_000, Done: 1}
	assert.Greater(t, j.Status().ETA, 50*365*24*time.Hour)
}

// resting is a turn that nobody is to have for as long as there is a number for.
type resting struct{ hung }

func (resting) Take(context.Context) (bool, time.Duration, error) { return false, math.MaxInt64, nil }

func TestARestWithoutAnEndIsNotOverAtOnce(t *testing.T) {
	t.Parallel()
	j := New(Config{
		Name: "j", Turn: resting{}, Log: slog.New(slog.DiscardHandler), Reads: func() int64 { return 0 },
		Next: func(now time.Time) time.Time { return now.AddDate(1_000, 0, 0) },
	})
	due, ran, err := j.look(t.Context(), false)
	require.NoError(t, err)
	assert.False(t, ran)
	assert.Greater(t, time.Until(due), 200*365*24*time.Hour)
}
