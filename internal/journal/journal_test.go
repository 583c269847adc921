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
func nowhere() string           { return "" }
func pattern(text string) Entry { return Entry{Pattern, text} }

func TestWhatWaitsIsCoveredAndNothingElse(t *testing.T) {
	t.Parallel()
	j := New(10, all)
	assert.False(t, j.Covers("a", nowhere))
	j.Add(key("a"))
	j.Add(pattern("b:*"))
	j.Add(Entry{Tag, "c:users"})
	for key, want := range map[string]bool{"a": true, "aa": false, "b:1": true, "b": false, "c:1": false, "c:users": false, "": false} {
		assert.Equal(t, want, j.Covers(key, nowhere), "key %q", key)
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
	assert.False(t, j.Covers("a", nowhere))
	assert.True(t, j.Covers("b:1", nowhere))
	j.Done(b, p)
	assert.False(t, j.Covers("b:1", nowhere))
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
	assert.True(t, j.Covers("a", nowhere))
	assert.True(t, j.Covers("b:1", nowhere))
}

func TestPastItsLimitItIsOneInvalidationOfEverything(t *testing.T) {
	t.Parallel()
	j := New(3, all)
	for _, k := range []string{"a", "b", "c"} {
		j.Add(key(k))
	}
	assert.False(t, j.Covers("other", nowhere))
	b := j.Batch()
	j.Add(key("d"))
	assert.True(t, j.Covers("other", nowhere))
	assert.Equal(t, 1, j.Len())
	j.Done(b, key("a"))
	j.Done(b, all) // not in that batch
	assert.True(t, j.Covers("a", nowhere), "the overflow is later than the batch")
	b = j.Batch()
	assert.Equal(t, []Entry{all}, b.Entries)
	j.Add(key("e"))
	j.Done(b, all)
	assert.True(t, j.Covers("e", nowhere), "sent before it was queued")
	assert.True(t, j.CoversTag("any"))
	b = j.Batch()
	j.Done(b, all)
	assert.Zero(t, j.Len())
	assert.False(t, j.Covers("a", nowhere))
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
				j.Covers(k, nowhere)
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

func TestAPatternThatIsDoneSomewhereCoversNothingThere(t *testing.T) {
	t.Parallel()
	j := New(10, all)
	p := pattern("b:*")
	asked := 0
	at := func(where string) func() string { return func() string { asked++; return where } }
	covers := func(want bool, key, where string) {
		t.Helper()
		assert.Equal(t, want, j.Covers(key, at(where)), "%q at %q", key, where)
	}
	j.AddPart(p, j.Now(), map[string]bool{"B": true})
	covers(false, "b:1", "B")
	covers(true, "b:1", "A")
	covers(true, "b:1", "")
	asked = 0
	covers(false, "a:1", "A")
	assert.Zero(t, asked, "no pattern matches")

	b := j.Batch()
	assert.Equal(t, map[string]bool{"B": true}, b.Part(p))
	b.Part(p)["D"] = true // the caller's own
	j.Part(b, p, map[string]bool{"C": true})
	covers(false, "b:1", "B")
	covers(false, "b:1", "C")
	covers(true, "b:1", "D")
	assert.Equal(t, 1, j.Len(), "it waits all the same")

	j.Add(pattern("*:1"))
	covers(true, "b:1", "B")
	j.Done(j.Batch(), pattern("*:1"))
	j.Add(key("b:1"))
	covers(true, "b:1", "B")
	j.Done(j.Batch(), key("b:1"))
	covers(false, "b:1", "B")

	j.Done(j.Batch(), p)
	j.Part(b, p, map[string]bool{"B": true})
	assert.Zero(t, j.Len())
	j.Add(p)
	covers(true, "b:1", "B")
}

func TestAPatternThatIsQueuedAgainIsDoneNowhere(t *testing.T) {
	t.Parallel()
	p, atB := pattern("b:*"), map[string]bool{"B": true}
	for name, requeue := range map[string]func(j *Journal){
		"it was done there before":           func(j *Journal) { j.AddPart(p, j.Now(), atB); j.Add(p) },
		"it is done there by an older batch": func(j *Journal) { j.Add(p); b := j.Batch(); j.Add(p); j.Part(b, p, atB) },
		"who applied it began before":        func(j *Journal) { since := j.Now(); j.Add(p); j.AddPart(p, since, atB) },
		"everything is":                      func(j *Journal) { j.AddPart(p, j.Now(), atB); j.Add(key("a")); j.Add(key("c")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := New(2, all)
			requeue(j)
			assert.True(t, j.Covers("b:1", func() string { return "B" }))
		})
	}
	t.Run("but by one who began after it is done where he was", func(t *testing.T) {
		t.Parallel()
		j := New(2, all)
		j.Add(p)
		j.AddPart(p, j.Now(), atB)
		assert.False(t, j.Covers("b:1", func() string { return "B" }))
	})
}
