package cacheprom

import (
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tiercache/tiercache"
)

// New is a collector of the statistics of tiers. They may be closed before it is
// unregistered: it goes on to show the last counts. Safe for concurrent use.
func New(tiers *tiercache.Tiers) prometheus.Collector {
	if tiers == nil {
		return collector{}
	}
	return collector{tiers.Stats}
}

type collector struct{ stats func() tiercache.Stats }

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	describe(ch, ofTiers)
	describe(ch, ofCaches)
	describe(ch, ofMasters)
	for _, h := range histograms {
		ch <- h.desc
	}
}

func describe[S any](ch chan<- *prometheus.Desc, all []metric[S]) {
	for _, m := range all {
		ch <- m.desc
	}
}

func (c collector) Collect(ch chan<- prometheus.Metric) {
	if c.stats == nil {
		ch <- prometheus.NewInvalidMetric(ofTiers[0].desc, errors.New("cacheprom: New needs Tiers, not nil"))
		return
	}
	s := c.stats()
	collect(ch, ofTiers, &s)
	for i := range s.Caches {
		cache := &s.Caches[i]
		name := label(cache.Name)
		collect(ch, ofCaches, cache, name)
		for _, h := range histograms {
			ch <- h.of(h.latency(cache), name)
		}
	}
	for i := range s.Masters {
		collect(ch, ofMasters, &s.Masters[i], label(s.Masters[i].Addr))
	}
}

// collect sends what all make of s; whose is the label that tells s from others.
func collect[S any](ch chan<- prometheus.Metric, all []metric[S], s *S, whose ...string) {
	for _, m := range all {
		m.values(s, func(value float64, enumerated ...string) {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, value, append(whose[:len(whose):len(whose)], enumerated...)...)
		})
	}
}

// label is name as the value of a label, which has to be UTF-8. Different names stay
// different: what is quoted begins with a quote, and nothing else does.
func label(name string) string {
	if utf8.ValidString(name) && (name == "" || name[0] != '"') {
		return name
	}
	return strconv.Quote(name)
}
