package journal

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatWaitsIsCoveredAndNothingElse(t *testing.T) {
	t.Parallel()
	j := New(10)
	assert.False(t, j.Covers("a"))
	j.AddKey("a")
	j.AddPattern(Pattern{Glob: "b:*"})
	j.AddPattern(Pattern{Glob: "c:*", Owner: "users"})
	for key, want := range map[string]bool{"a": true, "aa": false, "b:1": true, "b": false, "c:1": true, "": false} {
		assert.Equal(t, want, j.Covers(key), "key %q", key)
	}
	assert.Equal(t, 3, j.Len())
}

func TestWhatRedisHasAppliedGoes(t *testing.T) {
	t.Parallel()
	j := New(10)
	p := Pattern{Glob: "b:*"}
	j.AddKey("a")
	j.AddPattern(p)
	b := j.Batch()
	assert.Equal(t, []string{"a"}, b.Keys)
	assert.Equal(t, []Pattern{p}, b.Patterns)
	j.DoneKey(b, "a")
	assert.False(t, j.Covers("a"))
	assert.True(t, j.Covers("b:1"))
	j.DonePattern(b, p)
	assert.False(t, j.Covers("b:1"))
	assert.Zero(t, j.Len())
}

// batch taken | Redis: UNLINK | a value is written | invalidated again, queued |
// done: the second one must stay
func TestWhatWasQueuedAgainSinceStays(t *testing.T) {
	t.Parallel()
	j := New(10)
	p := Pattern{Glob: "b:*"}
	j.AddKey("a")
	j.AddPattern(p)
	b := j.Batch()
	j.AddKey("a")
	j.AddPattern(p)
	j.DoneKey(b, "a")
	j.DonePattern(b, p)
	assert.True(t, j.Covers("a"))
	assert.True(t, j.Covers("b:1"))
}

func TestPastItsLimitItIsOneInvalidationOfEverything(t *testing.T) {
	t.Parallel()
	j := New(3)
	for _, k := range []string{"a", "b", "c"} {
		j.AddKey(k)
	}
	assert.False(t, j.Covers("other"))
	b := j.Batch()
	j.AddKey("d")
	assert.True(t, j.Covers("other"))
	assert.Equal(t, 1, j.Len())
	j.DoneKey(b, "a")
	j.DonePattern(b, Pattern{Glob: "*"}) // not in that batch
	assert.True(t, j.Covers("a"), "the overflow is later than the batch")
	b = j.Batch()
	j.DonePattern(b, b.Patterns[0])
	assert.Zero(t, j.Len())
	assert.False(t, j.Covers("a"))
}

func TestItMayBeUsedFromEverywhereAtOnce(t *testing.T) {
	t.Parallel()
	j := New(50)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 500 {
				key := string(rune('a' + (g+n)%60))
				j.AddKey(key)
				j.Covers(key)
				b := j.Batch()
				for _, k := range b.Keys {
					j.DoneKey(b, k)
				}
				for _, p := range b.Patterns {
					j.DonePattern(b, p)
				}
			}
		})
	}
	wg.Wait()
	b := j.Batch()
	assert.Equal(t, j.Len(), len(b.Keys)+len(b.Patterns))
}
