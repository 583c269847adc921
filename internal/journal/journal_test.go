package journal

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var all = Entry{Tag, "all"}

func key(text string) Entry     { return Entry{Key, text} }
func pattern(text string) Entry { return Entry{Pattern, text} }

func TestWhatWaitsIsCoveredAndNothingElse(t *testing.T) {
	t.Parallel()
	j := New(10, all)
	assert.False(t, j.Covers("a"))
	j.Add(key("a"))
	j.Add(pattern("b:*"))
	j.Add(Entry{Tag, "c:users"})
	for key, want := range map[string]bool{"a": true, "aa": false, "b:1": true, "b": false, "c:1": false, "c:users": false, "": false} {
		assert.Equal(t, want, j.Covers(key), "key %q", key)
	}
	assert.True(t, j.CoversTag("c:users"))
	assert.False(t, j.CoversTag("a"))
	assert.Equal(t, 3, j.Len())
	assert.True(t, j.CoversAny(func(key string) bool { return key == "a" }))
	assert.False(t, j.CoversAny(func(key string) bool { return key == "b:*" }))
}

func TestWhatRedisHasAppliedGoes(t *testing.T) {
	t.Parallel()
	j := New(10, all)
	p := pattern("b:*")
	j.Add(key("a"))
	j.Add(p)
	b := j.Batch()
	assert.ElementsMatch(t, []Entry{key("a"), p}, b.Entries)
	j.Done(b, key("a"))
	assert.False(t, j.Covers("a"))
	assert.True(t, j.Covers("b:1"))
	j.Done(b, p)
	assert.False(t, j.Covers("b:1"))
	assert.Zero(t, j.Len())
}

// batch taken | Redis: UNLINK | a value is written | invalidated again, queued |
// done: the second one must stay
func TestWhatWasQueuedAgainSinceStays(t *testing.T) {
	t.Parallel()
	j := New(10, all)
	p := pattern("b:*")
	j.Add(key("a"))
	j.Add(p)
	b := j.Batch()
	j.Add(key("a"))
	j.Add(p)
	j.Done(b, key("a"))
	j.Done(b, p)
	assert.True(t, j.Covers("a"))
	assert.True(t, j.Covers("b:1"))
}

func TestPastItsLimitItIsOneInvalidationOfEverything(t *testing.T) {
	t.Parallel()
	j := New(3, all)
	for _, k := range []string{"a", "b", "c"} {
		j.Add(key(k))
	}
	assert.False(t, j.Covers("other"))
	b := j.Batch()
	j.Add(key("d"))
	assert.True(t, j.Covers("other"))
	assert.Equal(t, 1, j.Len())
	j.Done(b, key("a"))
	j.Done(b, all) // not in that batch
	assert.True(t, j.Covers("a"), "the overflow is later than the batch")
	b = j.Batch()
	assert.Equal(t, []Entry{all}, b.Entries)
	j.Add(key("e"))
	j.Done(b, all)
	assert.True(t, j.Covers("e"), "sent before it was queued")
	assert.True(t, j.CoversTag("any"))
	b = j.Batch()
	j.Done(b, all)
	assert.Zero(t, j.Len())
	assert.False(t, j.Covers("a"))
}

func TestItMayBeUsedFromEverywhereAtOnce(t *testing.T) {
	t.Parallel()
	j := New(50, all)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 500 {
				k := string(rune('a' + (g+n)%60))
				j.Add(key(k))
				j.Covers(k)
				b := j.Batch()
				for _, e := range b.Entries {
					j.Done(b, e)
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, j.Len(), len(j.Batch().Entries))
}
