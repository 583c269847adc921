package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"text/tabwriter"
	"time"
)

// What the demo promises.
const (
	needTimes    = 20.0 // at p50, on inquiries and on workload, warm against before
	needFewer    = 90.0 // percent fewer database queries per 1,000 requests
	needHits     = 80.0 // percent of operations
	shortRunNote = "a short run is judged on queries, hits and errors; its times are shown only"
)

func (p phase) queries() float64 {
	d := p.counted.Database
	return 1000 * float64(d.Queries+d.Execs) / float64(max(p.requests, 1))
}

// share of the cache's operations, in percent.
func (p phase) share(n int64) float64 {
	return 100 * float64(n) / float64(max(p.counted.Cache.Hits+p.counted.Cache.Misses, 1))
}

type line struct {
	name               string
	before, cold, warm []time.Duration
}

func (f figures) lines() []line {
	of := func(name string, r route) line {
		return line{name, f.before.latencies[r], f.cold.latencies[r], f.warm.latencies[r]}
	}
	return []line{
		of("GET /api/users/me", me), of("GET /api/inquiries", inquiries), of("GET /api/analytics/workload", workload),
		{"page (all three, one after the other)", f.before.pages, f.cold.pages, f.warm.pages},
	}
}

func (l line) faster() float64 {
	warm := percentile(l.warm, 50)
	if warm == 0 {
		return 0
	}
	return float64(percentile(l.before, 50)) / float64(warm)
}

func (f figures) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	three := func(d []time.Duration) string {
		s := spreadOf(d)
		return fmt.Sprintf("%s\t%s\t%s\t", short(s.P50), short(s.P95), short(s.P99))
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "milliseconds\tbefore\t\t\tcold\t\t\twarm\t\t\tfaster\t")
	fmt.Fprintln(t, "\tp50\tp95\tp99\tp50\tp95\tp99\tp50\tp95\tp99\tp50\t")
	for _, l := range f.lines() {
		fmt.Fprintf(t, "%s\t%s%s%s%.0f×\t\n", l.name, three(l.before), three(l.cold), three(l.warm), l.faster())
	}
	row := func(name, format string, before, cold, warm any, note string) {
		cell := func(v any) string {
			if v == nil {
				return ""
			}
			return fmt.Sprintf(format, v)
		}
		fmt.Fprintf(t, "%s\t%s\t\t\t%s\t\t\t%s\t\t\t%s\t\n", name, cell(before), cell(cold), cell(warm), note)
	}
	row("requests/s", "%.0f", f.before.achieved, f.cold.achieved, f.warm.achieved, "")
	row("highest sustained requests/s", "%.0f", f.capacity, nil, f.highest, fmt.Sprintf("%.0f×", f.highest/f.capacity))
	row("requests measured", "%d", f.before.requests, f.cold.requests, f.warm.requests, "")
	row("database queries per 1,000 requests", "%.1f", f.before.queries(), f.cold.queries(), f.warm.queries(), fmt.Sprintf("-%.1f %%", f.fewer()))
	row("answered from memory, %", "%.2f", nil, f.cold.share(f.cold.counted.Cache.MemoryHits), f.warm.share(f.warm.counted.Cache.MemoryHits), "")
	row("answered from Redis, %", "%.2f", nil, f.cold.share(f.cold.counted.Cache.RedisHits), f.warm.share(f.warm.counted.Cache.RedisHits), "")
	row("hit rate, %", "%.2f", nil, f.cold.hitRate(), f.warm.hitRate(), "")
	row("cache errors", "%d", nil, f.cold.counted.Cache.Errors, f.warm.counted.Cache.Errors, "")
	row("hears of others' changes by", "%s", nil, f.cold.counted.Hearing, f.warm.counted.Hearing, "")
	t.Flush()
	if !f.before.steady() {
		fmt.Fprintln(w, "\nWithout the cache a queue built up: the times before are too long. Is the machine busy with something else?")
	}
	if !f.warm.sustained() {
		fmt.Fprintf(w, "\nThe warm rate was NOT sustained (p99 within %v, no growing queue): is the machine busy with something else?\n", sustainedP99)
	}
	if f.overloaded > 0 {
		fmt.Fprintf(w, "\nNot counted: %d cache errors while the search for the highest rate asked for more than the machine can do.\n", f.overloaded)
	}
	fmt.Fprintf(w, `
before: no cache, at %.0f %% of the capacity measured at most. cold: the same requests at the same rate, cache empty.
warm: the same mix at the highest rate sustained. Highest before is the capacity itself, queues and all.
Not everything is worth it: one row by its primary key took SQLite %v here, a Redis GET %v.
A bare primary-key read does not deserve a Redis round trip; adding up rows does.
`, 100*capacityShare, f.pkRead.Round(100*time.Nanosecond), f.redisGet.Round(100*time.Nanosecond))
}

// short shows milliseconds with three digits that mean something.
func short(ms float64) string {
	switch {
	case ms >= 100:
		return fmt.Sprintf("%.0f", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1f", ms)
	default:
		return fmt.Sprintf("%.2f", ms)
	}
}

func (p phase) hitRate() float64 { return p.share(p.counted.Cache.Hits) }

func (f figures) fewer() float64 { return 100 * (1 - f.warm.queries()/f.before.queries()) }

// verdict says whether the promises are kept, and returns an error if not.
func (f figures) verdict(w io.Writer, shortRun bool) error {
	var missed []error
	judge := func(ok bool, format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		mark := "ok    "
		if !ok {
			mark = "MISSED"
			missed = append(missed, errors.New(text))
		}
		fmt.Fprintln(w, mark, text)
	}
	fmt.Fprintln(w)
	if shortRun {
		fmt.Fprintln(w, shortRunNote)
	} else {
		for _, r := range []route{inquiries, workload} {
			x := f.lines()[r].faster()
			judge(x >= needTimes, "%s is %.0f times as fast at p50, %.0f wanted", r, x, needTimes)
		}
	}
	judge(f.fewer() >= needFewer, "%.1f %% fewer database queries, %.0f wanted", f.fewer(), needFewer)
	judge(f.warm.hitRate() >= needHits, "hit rate %.2f %%, %.0f wanted", f.warm.hitRate(), needHits)
	errs := f.cold.counted.Cache.Errors + f.warm.counted.Cache.Errors
	judge(errs == 0, "%d cache errors, 0 wanted", errs)
	return errors.Join(missed...)
}

type beforeAfter struct {
	Before spread `json:"before"`
	After  spread `json:"after"`
}

// report is the file that -json writes. After is the warm part.
type report struct {
	Routes  map[string]beforeAfter `json:"routes"`
	Queries struct {
		Before float64 `json:"before"`
		After  float64 `json:"after"`
	} `json:"queries"` // per 1,000 requests
	HitRate float64 `json:"hitRate"` // percent
}

func (f figures) report() report {
	r := report{Routes: map[string]beforeAfter{}}
	for i, l := range f.lines() {
		name := "page"
		if i < int(routes) {
			name = route(i).String()
		}
		r.Routes[name] = beforeAfter{spreadOf(l.before), spreadOf(l.warm)}
	}
	r.Queries.Before, r.Queries.After = round2(f.before.queries()), round2(f.warm.queries())
	r.HitRate = round2(f.warm.hitRate())
	return r
}

func round2(v float64) float64 { return math.Round(v*100) / 100 }

func (f figures) writeJSON(path string) error {
	raw, err := json.MarshalIndent(f.report(), "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}
