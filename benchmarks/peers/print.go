package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// rounds says in how many the contenders were measured, and for how long in each.
func (f file) rounds() string {
	return fmt.Sprintf("%d rounds of %v, of lone callers and of single hits in memory %d of %v", f.Rounds, f.Window, f.Rounds*briefRounds, f.Window/briefRounds)
}

func (f file) head(w io.Writer) {
	fmt.Fprintln(w, f.Machine)
	for _, name := range slices.Sorted(maps.Keys(f.Versions)) {
		fmt.Fprintf(w, "%s %s\n", name, f.Versions[name])
	}
	fmt.Fprintf(w, "medians of %s; CPU is the process's, not the server's\n", f.rounds())
}

func (r report) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n", r.What)
	for _, s := range r.Series {
		fmt.Fprintln(w)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(t, "%s\t%s\t\n", s.Name, strings.Join(s.head(), "\t"))
		for _, one := range s.Rows {
			fmt.Fprintf(t, "%s\t%s\t\n", one.Name, strings.Join(s.cells(one), "\t"))
		}
		t.Flush()
		if s.Idle != (idle{}) {
			fmt.Fprintf(w, "beside whoever is measured: %.1f %% of a core\n", 100*s.Idle.CPU)
		}
		if s.Where != "" {
			fmt.Fprintln(w, s.Where)
		}
		for _, one := range s.Rows {
			if one.why != nil {
				fmt.Fprintf(w, "%s: %v\n", one.Name, one.why)
			}
		}
	}
}

// head names the columns after the contender's.
func (s series) head() []string {
	if s.kind == stampeded {
		return []string{"loads", "p50", "p99", "p99 past the load", "wrong"}
	}
	h := []string{"wall", "CPU", "allocs", "bytes"}
	if s.Floor != "" {
		h = append(h, s.By+" × "+s.Floor)
	}
	return append(h, "wrong", "elsewhere")
}

func (s series) cells(r row) []string {
	if r.Cannot {
		return slices.Repeat([]string{"-"}, len(s.head()))
	}
	if s.kind == stampeded {
		return []string{fmt.Sprint(r.Loads), span(r.P50), span(r.P99), span(r.Late), fmt.Sprint(r.Wrong)}
	}
	c := []string{span(r.Wall), span(r.CPU), number(r.Allocs), number(r.Bytes)}
	if s.Floor != "" {
		c = append(c, fmt.Sprintf("%.2f", r.Ratio))
	}
	return append(c, fmt.Sprint(r.Wrong), fmt.Sprint(r.Strays))
}

// markdown is the tables as a page.
func (f file) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# tiercache beside its peers\n\n`cd benchmarks && %s`, %s, on %s.\n", f.Command, f.Date, f.Machine)
	fmt.Fprintf(&b, "Medians of %s; what the columns say is in [benchmarks](../../benchmarks/README.md).\n\n", f.rounds())
	for _, name := range slices.Sorted(maps.Keys(f.Versions)) {
		fmt.Fprintf(&b, "- %s %s\n", name, f.Versions[name])
	}
	for _, r := range f.Groups {
		fmt.Fprintf(&b, "\n## %s\n", upper(r.What))
		for _, s := range r.Series {
			head := s.head()
			fmt.Fprintf(&b, "\n| %s | %s |\n|---|%s\n", s.Name, strings.Join(head, " | "), strings.Repeat("---:|", len(head)))
			for _, one := range s.Rows {
				fmt.Fprintf(&b, "| %s | %s |\n", one.Name, strings.Join(s.cells(one), " | "))
			}
			if s.Idle != (idle{}) {
				fmt.Fprintf(&b, "\nBeside whoever is measured: %.1f %% of a core.\n", 100*s.Idle.CPU)
			}
			if s.Where != "" {
				fmt.Fprintf(&b, "\n%s.\n", upper(s.Where))
			}
		}
		if f.judged && len(r.Requirements) > 0 {
			b.WriteString("\nRequired:\n\n```\n")
			for _, q := range r.Requirements {
				fmt.Fprintln(&b, q)
			}
			b.WriteString("```\n")
		}
	}
	return b.String()
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// number is a count: whole where it is large, and zero where it is next to none.
func number(v float64) string {
	switch {
	case v < 0.005:
		return "0"
	case v >= 100 || v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func size(n int) string {
	switch {
	case n >= 1_000_000:
		return fmt.Sprintf("%d MB", n/1_000_000)
	case n >= 1000:
		return fmt.Sprintf("%d kB", n/1000)
	default:
		return fmt.Sprintf("%d B", n)
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s + " " + what + "s"
}

// span is nanoseconds with three digits that mean something.
func span(ns float64) string {
	if ns < 0 {
		return "-" + span(-ns)
	}
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
