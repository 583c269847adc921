// Package advice reads the statistics of an interval and says what to change. Each
// piece of advice has the numbers that it is made of, and the option to change:
//
//	earlier := tiers.Stats()
//	// a minute later
//	for _, a := range advice.Of(tiers.Stats().Sub(earlier), tiers.HotKeys(1)) {
//		log.Println(a.Rule, a.Text, a.Option)
//	}
//
// What Redis is like now is judged at any time, the rest from a hundred operations on,
// of all caches and of each. No text has a key in it.
package advice

import (
	"slices"

	"github.com/tiercache/tiercache"
)

// Advice is a few sentences for the operator.
type Advice struct {
	Rule   string // which rule it is of, as "short-ttl": the same in all versions
	Cache  string // whose it is; empty: that of the Tiers
	Text   string // what was measured, with its numbers, and what would help
	Option string // what to change, as "Options.TTL"; empty: nothing of the configuration
}

// Of is the advice on an interval, the most pressing first: see tiercache.Stats.Sub.
// hot are its hottest keys, see tiercache.Tiers.HotKeys. There is always some: the rule
// "ok" says that all is well, "few" that there is too little to judge.
//
// The same interval has the same advice in the same order.
func Of(interval tiercache.Stats, hot []tiercache.HotKey) []Advice {
	m := measured{Stats: interval, hot: hot}
	for _, c := range interval.Caches {
		if c.Operations >= leastOperations {
			m.busy = append(m.busy, c)
		}
	}
	few := interval.Total.Operations < leastOperations
	var found []finding
	for i := range rules {
		if few && rules[i].urgency > now {
			continue
		}
		for _, f := range rules[i].find(&m) {
			f.rule = &rules[i]
			found = append(found, f)
		}
	}
	switch {
	case few:
		found = append(found, finding{rule: &tooFew, text: fewText(&m)})
	case !slices.ContainsFunc(found, func(f finding) bool { return f.rule.urgency < well }):
		found = append(found, finding{rule: &allIsWell, text: wellText(&m)})
	}
	slices.SortStableFunc(found, finding.compare)
	out := make([]Advice, len(found))
	for i, f := range found {
		out[i] = Advice{Rule: f.rule.name, Cache: f.cache, Text: f.text, Option: f.rule.option}
	}
	return out
}

// Status of a hit rate, from 0 to 1: "good" from 0.8 on, "fair" from 0.6 on, or "poor".
func Status(hitRate float64) string {
	switch {
	case hitRate >= goodRate:
		return "good"
	case hitRate >= fairRate:
		return "fair"
	}
	return "poor"
}
