package advice

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// share is part of whole, from 0 to 1; 0 if there is none.
func share(part, whole int64) float64 {
	if part <= 0 || whole <= 0 {
		return 0
	}
	return min(1, float64(part)/float64(whole))
}

// percent of a share: "83 %", "4.2 %".
func percent(s float64) string {
	s = min(1, max(0, s)) * 100
	if s > 0 && s < 9.95 {
		return strconv.FormatFloat(s, 'f', 1, 64) + " %"
	}
	return strconv.FormatFloat(s, 'f', 0, 64) + " %"
}

// count has its thousands apart: "12,040".
func count(n int64) string {
	if n < 0 {
		return strconv.FormatInt(n, 10)
	}
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// many is a count of things: "1 key", "3 keys".
func many(n int64, one, more string) string {
	return count(n) + " " + plural(n, one, more)
}

// plural is was or were.
func plural(n int64, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// list is "a, b and c".
func list(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}

// took is a latency: "0.42 ms", "31 ms", "2.5 s".
func took(d time.Duration) string {
	switch {
	case d < 10*time.Microsecond:
		return figure(float64(d)/float64(time.Microsecond)) + " µs"
	case d < time.Second:
		return figure(float64(d)/float64(time.Millisecond)) + " ms"
	}
	return figure(d.Seconds()) + " s"
}

// span is how long the interval was: "45 s", "15 min".
func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return figure(d.Seconds()) + " s"
	case d < 2*time.Hour:
		return figure(d.Minutes()) + " min"
	}
	return figure(d.Hours()) + " h"
}

// size is in bytes: "512 B", "48 KiB".
func size(n int64) string {
	f, units := float64(n), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f < 1024 {
			break
		}
		f, units = f/1024, next
	}
	return figure(f) + " " + units
}

// figure has two digits at least: "0.42", "1.3", "25", "1300".
func figure(f float64) string {
	switch {
	case f == math.Trunc(f) || math.Abs(f) >= 9.95:
		return fmt.Sprintf("%.0f", f)
	case math.Abs(f) >= 0.995:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}
