package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

func (f file) head(w io.Writer) {
	fmt.Fprintf(w, "%d callers on %d cores, a loader of %v, medians of up to %d windows of %v, hot keys %d of %v\n",
		callers, f.Cores, loadTime, windows, f.Window, hotWindows, f.Window/hotShare)
	for _, name := range slices.Sorted(maps.Keys(f.Versions)) {
		fmt.Fprintf(w, "%s %s\n", name, f.Versions[name])
	}
}

func (r report) print(w io.Writer, f fault) {
	fmt.Fprintf(w, "\n%s: %s\n", f.name, f.what)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\t\tcalls/s\tp50\tp99\tlongest\terrors\twindows\t")
	for i, l := range r.Lines {
		keys := ""
		if i == 0 || r.Lines[i-1].Keys != l.Keys {
			keys = l.Keys + " keys"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t\n", keys, l.Cache, rate(l.Rate), span(l.P50), span(l.P99), longest(l), l.Errors, l.Windows)
	}
	t.Flush()
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tRedis goes: longest cold\tlongest hot\tRedis comes: longest\terrors\tused again after\t")
	for _, one := range r.Turns {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t\n", one.Cache, span(one.LongestCold), span(one.LongestHot), span(one.LongestBack), one.Errors, used(one.UsedAgain))
	}
	t.Flush()
	for _, v := range r.Verdicts {
		fmt.Fprintln(w, v)
	}
}

func longest(l line) string {
	if l.Batch > 1 {
		return fmt.Sprintf("%s/%d", span(l.Longest), l.Batch)
	}
	return span(l.Longest)
}

// used is the shortest and the longest time.
func used(all []float64) string {
	least, most := slices.Min(all), slices.Max(all)
	switch {
	case least == 0:
		return "-"
	case len(all) == 1:
		return span(most)
	default:
		return span(least) + " to " + span(most)
	}
}

func rate(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// span is nanoseconds with three digits that mean something.
func span(ns float64) string {
	for _, u := range []struct {
		in   time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if v := ns / float64(u.in); v >= 1 {
			return fmt.Sprintf("%.*f %s", digits(v), v, u.name)
		}
	}
	return fmt.Sprintf("%.*f ns", digits(ns), ns)
}

func digits(v float64) int {
	switch {
	case v >= 100:
		return 0
	case v >= 10:
		return 1
	default:
		return 2
	}
}
