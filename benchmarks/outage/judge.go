package main

import (
	"fmt"
	"slices"
	"time"
)

// What is required of ours.
const (
	readBudget  = 50 * time.Millisecond // Config.ReadTimeout's default
	writeBudget = 100 * time.Millisecond
	// slack is for the scheduler: a goroutine that can go on waits for those that
	// run, 8 callers on 2 cores with 10 ms each, and for a collection of garbage.
	slack      = 50 * time.Millisecond
	overLoader = time.Millisecond
	overMemory = 1.2
	timesRival = 50.0
	backWithin = 3 * time.Second
)

// judge adds the verdicts. Of a short run the times are shown only.
func (r *report) judge(f fault, short bool) {
	our := r.Turns[0]
	cold, hot := our.windows[0], our.windows[1]
	bareLoader, memory := *our.floors[0], *our.floors[1]
	say := func(ok bool, format string, args ...any) {
		mark := "ok     "
		if !ok {
			mark = "MISSED "
			r.missed++
		}
		r.Verdicts = append(r.Verdicts, mark+fmt.Sprintf(format, args...))
	}
	errors := our.Errors + cold.Errors + hot.Errors
	say(errors == 0, "%d errors, 0 wanted", errors)
	for _, err := range our.first {
		r.Verdicts = append(r.Verdicts, "       "+err.Error())
	}
	if short {
		return
	}
	// A batch of hot calls has another floor: it is longer on the processor.
	for _, c := range []struct {
		what           string
		longest, floor float64
	}{
		{"call", max(our.LongestCold, our.LongestHot, our.LongestBack, cold.Longest), bareLoader.Longest},
		{"batch of hot calls", hot.Longest, memory.Longest},
	} {
		limit := c.floor + float64(max(readBudget, writeBudget)+slack)
		say(c.longest <= limit, "no %s took longer than %s; at most %s wanted: the floor's longest %s, one budget %v, the scheduler %v",
			c.what, span(c.longest), span(limit), span(c.floor), max(readBudget, writeBudget), slack)
	}
	if !f.unsteady {
		say(cold.P99 <= bareLoader.P99+float64(overLoader), "cold p99 %s; at most the bare loader's %s and %v wanted",
			span(cold.P99), span(bareLoader.P99), overLoader)
		for _, c := range []struct {
			what        string
			our, memory float64
		}{
			{"mean time", memory.Rate, hot.Rate}, // more calls per second are less time
			{"p50", hot.P50, memory.P50},
			{"p99", hot.P99, memory.P99},
		} {
			say(c.our <= overMemory*c.memory, "hot %s %.2f times memory only's, at most %.1f wanted", c.what, c.our/max(c.memory, 1e-9), overMemory)
		}
	}
	best := 0.0
	for _, t := range r.Turns[1:] {
		best = max(best, t.windows[0].Rate)
	}
	if f.name == "frozen" && best > 0 {
		say(cold.Rate >= timesRival*best, "%.0f times the cold calls of the better rival, at least %.0f wanted", cold.Rate/best, timesRival)
	}
	say(slices.Min(our.UsedAgain) > 0 && slices.Max(our.UsedAgain) <= float64(backWithin),
		"Redis in use %s after its return, %d times, each within %v wanted", used(our.UsedAgain), len(our.UsedAgain), backWithin)
}
