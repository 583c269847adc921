// Package advice reads the statistics of an interval and says what to change. Each
// piece of advice has the numbers that it is made of, and the option to change.
package advice

import "github.com/tiercache/tiercache"

// Advice is one sentence for the operator.
type Advice struct {
	Rule   string // which rule it is of, as "short-ttl": the same in all versions
	Cache  string // whose it is; empty: that of the Tiers
	Text   string // what was measured, with its numbers, and what would help
	Option string // what to change, as "Options.TTL"; empty: nothing of the configuration
}

// Of is the advice on an interval, the most pressing first: see tiercache.Stats.Sub.
// hot are its hottest keys, see tiercache.Tiers.HotKeys.
func Of(interval tiercache.Stats, hot []tiercache.HotKey) []Advice { panic("shape") }

// Status of a hit rate, from 0 to 1: "good" from 0.8 on, "fair" from 0.6 on, or "poor".
func Status(hitRate float64) string { panic("shape") }
