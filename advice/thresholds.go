package advice

import "time"

const (
	goodRate = 0.8 // as operators know it
	fairRate = 0.6

	// A share of a hundred is known to about ten points, half the distance between
	// good and fair. With fewer it is guesswork.
	leastOperations = 100

	// What has more than half of the misses has more than all other causes together.
	dominant = 0.5

	// Below this many an error is an incident, and nothing to configure against.
	leastErrors = 10

	// One in a hundred is what a p99 shows.
	manyErrors = 0.01

	// Sources fail now and then, and the next call loads again. From one in twenty on,
	// users notice.
	manyLoadErrors = 0.05

	// A fill is refused when a write comes in the middle of a load. That is rare, except
	// where writes void what they did not change.
	manyRefused = 0.2

	// One read in ten found that memory had had its value, and had no room for it.
	muchEvicted = 0.1

	// Half of the default of Config.ReadTimeout: reads are close to being given up.
	slowRead = 25 * time.Millisecond

	// A scan of a million keys takes about a second: with one pattern in a second, one
	// is always under way.
	patternsPerSecond = 1
	// A burst of patterns after a migration or a deployment is none of that.
	leastPatternSpan = 10 * time.Second

	// So many loads have a median worth comparing.
	leastLoads = 20

	// Quantiles are at most an eighth too large: this much faster is faster.
	clearlyFaster = 1.125

	// Up to some KiB a read takes what its round trip takes; from here on the network
	// and the codec take more.
	largeValue = 32 << 10
	// A few large values are no habit.
	leastEntries = 16

	// Reads from memory are sampled, one in 64: of these, thirty.
	leastSampled = 30 * 64
	// One key of this share decides what the others are worth: when it expires, this
	// part of all readers waits for one load.
	hotShare = 0.2
)
