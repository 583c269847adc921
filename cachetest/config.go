package cachetest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tiercache/tiercache"
)

// Kind is a way of making others see a change.
type Kind string

// The kinds of writes. A tag and a pattern cover an eighth of the rows, or a
// tag one row; Clear covers all.
const (
	ByKey     Kind = "key"
	ByTag     Kind = "tag"
	ByPattern Kind = "pattern"
	ByMutate  Kind = "mutate" // of a key, a tag or both, the commit inside
	BySet     Kind = "set"    // only rows that one node alone writes: who Sets must know that his value is the newest
	ByClear   Kind = "clear"  // of the cache, or of all Tiers
)

var kinds = []Kind{ByKey, ByTag, ByPattern, ByMutate, BySet, ByClear}

// Fault is something that goes wrong again and again during a run. Its
// functions are called from the goroutine that called Consistency, so they may
// fail the test, and one fault is healed before the next is injected.
type Fault struct {
	Name   string
	Inject func(ctx context.Context) // required
	Heal   func()                    // nil: it heals by itself

	For  time.Duration // between Inject and Heal. Default: none
	Rest time.Duration // about how long all is well after it. Default: 2 s
}

// ConsistencyConfig of a run of Consistency. Only Nodes, or Processes, is
// required.
type ConsistencyConfig struct {
	// Nodes makes the Tiers of node i, as the service would, each with the same
	// Redis and Prefix. They are closed by Consistency.
	Nodes func(i int) (*tiercache.Tiers, error) `json:"-"`

	// Processes runs each node in a process of its own. Nodes is not used then.
	Processes *Processes `json:"-"`

	NodeCount int           // default: 3
	Rows      int           // default: 64; a few of them get most of the reads and writes
	Readers   int           // goroutines per node. Default: 4
	Writers   int           // goroutines per node. Default: 2
	Duration  time.Duration // of the traffic; settling comes after it. Default: 3 s

	// Bound is when I2 begins to judge: Config.StalenessBound, or
	// OutageStaleness if that is larger and a fault keeps nodes from reaching
	// Redis. Default: 1 s.
	Bound time.Duration

	// Kinds says how often each kind of write is made, relative to the others.
	// Default: key 60, tag 12, pattern 12, mutate 12, set 4, clear 1.
	Kinds map[Kind]int

	Faults []Fault `json:"-"`

	// Seed decides what every goroutine chooses, in which order; not how the
	// goroutines interleave. Default: the time. It is printed.
	Seed uint64

	KeyPrefix  string        // of the cache. Default: "consistency:"
	TTL        time.Duration // default: 1 min
	WriteEvery time.Duration // mean pause of a writer. Default: 10 ms

	// LoadTime is about how long a load takes. Half of them only yield the
	// processor, one in 50 takes 20 times as long. Default: 500 µs.
	LoadTime time.Duration

	// Settle is the longest wait, after the faults, for what was queued to reach
	// Redis. Default: 30 s.
	Settle time.Duration
}

func (c ConsistencyConfig) checked() (ConsistencyConfig, error) {
	bad := func(field, format string, args ...any) (ConsistencyConfig, error) {
		return c, fmt.Errorf("cachetest: ConsistencyConfig.%s %s", field, fmt.Sprintf(format, args...))
	}
	for _, n := range []struct {
		field string
		value int64
	}{
		{"NodeCount", int64(c.NodeCount)}, {"Rows", int64(c.Rows)}, {"Readers", int64(c.Readers)}, {"Writers", int64(c.Writers)},
		{"Duration", int64(c.Duration)}, {"Bound", int64(c.Bound)}, {"TTL", int64(c.TTL)}, {"WriteEvery", int64(c.WriteEvery)},
		{"LoadTime", int64(c.LoadTime)}, {"Settle", int64(c.Settle)},
	} {
		if n.value < 0 {
			return bad(n.field, "is negative: %d", n.value)
		}
	}
	for kind, weight := range c.Kinds {
		if !known(kind) {
			return bad("Kinds", "has %q, which is none", kind)
		}
		if weight < 0 {
			return bad("Kinds", "has a negative weight for %q: %d", kind, weight)
		}
	}
	for i, f := range c.Faults {
		if f.Inject == nil {
			return bad("Faults", "[%d] (%q) has no Inject", i, f.Name)
		}
	}
	if strings.ContainsAny(c.KeyPrefix, `*?[]\^{}`) {
		return bad("KeyPrefix", "%q has one of the characters *?[]\\^{}", c.KeyPrefix)
	}
	if c.Kinds == nil {
		c.Kinds = map[Kind]int{ByKey: 60, ByTag: 12, ByPattern: 12, ByMutate: 12, BySet: 4, ByClear: 1}
	}
	setDefault(&c.NodeCount, 3)
	setDefault(&c.Rows, 64)
	setDefault(&c.Readers, 4)
	setDefault(&c.Writers, 2)
	setDefault(&c.Duration, 3*time.Second)
	setDefault(&c.Bound, time.Second)
	setDefault(&c.Seed, uint64(time.Now().UnixNano()))
	setDefault(&c.KeyPrefix, "consistency:")
	setDefault(&c.TTL, time.Minute)
	setDefault(&c.WriteEvery, 10*time.Millisecond)
	setDefault(&c.LoadTime, 500*time.Microsecond)
	setDefault(&c.Settle, 30*time.Second)
	return c, nil
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func known(k Kind) bool {
	for _, one := range kinds {
		if k == one {
			return true
		}
	}
	return false
}
