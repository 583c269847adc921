package advice

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tiercache/tiercache"
)

func TestAKeyIsHotIfItHasALargeShareOfWhatMemoryAnswers(t *testing.T) {
	t.Parallel()
	work := func(key func(n int) int) (tiercache.Stats, []tiercache.HotKey) {
		tiers := inMemory(t, tiercache.Config{})
		cache := newCache(t, tiers, tiercache.Options[int]{})
		s := during(tiers, func() {
			for n := range 100_000 {
				read(t, cache, fmt.Sprint("user:", key(n)), n)
			}
		})
		return s, tiers.HotKeys(1)
	}
	s, hot := work(func(n int) int { return n % 2 * (n % 1_000) })
	assert.Equal(t, []string{"ok", "hot-key"}, named(s, hot...), "half of the reads are of one")
	s, hot = work(func(n int) int { return n % 1_000 })
	assert.Equal(t, []string{"ok"}, named(s, hot...), "none is read more than another")
}
