package main

import (
	"fmt"
	"strings"

	"github.com/tiercache/tiercache/benchmarks/peers/rivals"
)

// headline is what the README shows: one panel of each of these series.
var headline = []string{memorySeries("Zipf", "serial"), redisSeries(512), stampedeSeries(4)}

// charts are one picture of each group and the headline, by file name.
func (f file) charts() map[string]chart {
	all := map[string]chart{}
	top := chart{title: "tiercache beside its peers", desc: "Shorter is better."}
	for _, r := range f.Groups {
		c := chart{title: upper(r.What), desc: "Shorter is better."}
		for _, s := range r.Series {
			p := s.panel()
			if len(p.bars) == 0 {
				continue
			}
			c.panels = append(c.panels, p)
			for _, name := range headline {
				if s.Name == name {
					top.panels = append(top.panels, s.panel())
				}
			}
		}
		if len(c.panels) > 0 {
			all[r.Group+".svg"] = c
		}
	}
	if len(f.Groups) == len(groups) {
		all["peers.svg"] = top
	}
	return all
}

// foot says where and how.
func (f file) foot() string {
	return fmt.Sprintf("%s, %s, %s, medians of %d rounds or more", f.Date, f.Machine, f.Versions["go"], f.Rounds)
}

// panel shows what the series' ratios are of; of a stampede the p99, and loads.
func (s series) panel() panel {
	what := "wall time"
	if s.By == "cpu" {
		what = "CPU time"
	}
	if s.kind == stampeded {
		what = "p99 of the callers, and loads"
	}
	p := panel{title: fmt.Sprintf("%s: %s", s.Name, what)}
	for _, r := range s.Rows {
		if r.Cannot || r.Name == harness {
			continue
		}
		one := bar{name: r.Name, value: r.Wall, ours: strings.HasPrefix(r.Name, rivals.Tiercache)}
		if s.By == "cpu" {
			one.value = r.CPU
		}
		one.label = span(one.value)
		if s.kind == stampeded {
			one.value = r.P99
			one.label = span(r.P99) + ", " + plural(int(r.Loads), "load")
		}
		p.bars = append(p.bars, one)
	}
	return p.sorted()
}
