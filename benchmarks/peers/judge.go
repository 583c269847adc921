package main

import (
	"fmt"
	"io"
	"math"
)

// requirement is what is asked of tiercache, as a figure and its limit.
type requirement struct {
	What    string  `json:"what"`
	Got     float64 `json:"got"`
	Limit   float64 `json:"limit"`
	AtLeast bool    `json:"atLeast,omitempty"` // else at most
	Unit    string  `json:"unit,omitempty"`    // "×" of a ratio, "ns" of a time, or what is counted
	Missing string  `json:"missing,omitempty"` // why there is no figure: neither met nor missed
}

// tolerance is by how much a limit may be missed before the program fails: what
// the machine adds to one run and not to the next.
const tolerance = 0.05

func (r requirement) met() bool { return r.within(0) }

func (r requirement) within(t float64) bool {
	switch {
	case r.Missing != "":
		return true
	case r.AtLeast:
		return r.Got >= r.Limit*(1-t)
	default:
		return r.Got <= r.Limit*(1+t)
	}
}

func (r requirement) String() string {
	if r.Missing != "" {
		return fmt.Sprintf("-       %s: %s", r.What, r.Missing)
	}
	mark, bound := "ok     ", "at most"
	if !r.met() {
		mark = "MISSED "
	}
	if r.AtLeast {
		bound = "at least"
	}
	return fmt.Sprintf("%s %s: %s, %s %s wanted", mark, r.What, figure(r.Got, r.Unit), bound, figure(r.Limit, r.Unit))
}

func figure(v float64, unit string) string {
	switch unit {
	case "×":
		return fmt.Sprintf("%.2f×", v)
	case "ns":
		return span(v)
	case "":
		return number(v)
	default:
		return number(v) + " " + unit
	}
}

// judge prints the verdicts and returns how many requirements were missed by
// more than the tolerance.
func judge(w io.Writer, all []requirement) int {
	failed := 0
	for _, r := range all {
		fmt.Fprintln(w, r)
		if !r.within(tolerance) {
			failed++
		}
	}
	return failed
}

// atMost is of a ratio in a series; a contender that is not there is said.
func (s series) atMost(what, name, floor string, limit float64, by func(sample) float64) requirement {
	r := requirement{What: what, Limit: limit, Unit: "×", Got: s.ratio(name, floor, by)}
	if r.Got == 0 {
		r.Missing = fmt.Sprintf("no figure of %s beside %s", name, floor)
	}
	return r
}

// atLeast is how many times faster than the slow one name must be.
func (s series) atLeast(what, name, slow string, limit float64, by func(sample) float64) requirement {
	r := s.atMost(what, slow, name, limit, by)
	r.AtLeast = true
	return r
}

// strayShare is how many of a hundred answers may come from elsewhere than is
// measured: a read that the machine held up beyond its budget, now and then.
const strayShare = 0.1

// clean requires that no answer of name was wrong and next to none of a series
// came from elsewhere.
func (r report) clean(name string) []requirement {
	wrong := requirement{What: r.What + ": wrong answers of " + name}
	strays := requirement{What: r.What + ": answers of " + name + " that came from elsewhere", Limit: strayShare, Unit: "%"}
	found := false
	for _, s := range r.Series {
		row := s.measured(name)
		if row == nil {
			continue
		}
		found = true
		wrong.Got += float64(row.Wrong)
		ops := 0.0
		for _, one := range row.samples {
			ops += one.ops
		}
		strays.Got = max(strays.Got, 100*float64(row.Strays)/max(1, ops))
	}
	if !found {
		wrong.Missing, strays.Missing = "not measured", "not measured"
	}
	return []requirement{wrong, strays}
}

// allocs are whole ones per operation, as package testing counts them: what runs
// in the background has some now and then.
func (s series) allocs(name string) []requirement {
	a := requirement{What: s.Name + ": allocations of " + name}
	b := requirement{What: s.Name + ": bytes that " + name + " allocates"}
	if row := s.measured(name); row != nil {
		a.Got, b.Got = math.Floor(row.Allocs), math.Floor(row.Bytes)
	} else {
		a.Missing, b.Missing = "not measured", "not measured"
	}
	return []requirement{a, b}
}

// measured is the row with the name, nil if there is none or it has no figures.
func (s series) measured(name string) *row {
	if r := s.row(name); r != nil && !r.Cannot {
		return r
	}
	return nil
}
