package main

import (
	"fmt"
	"strings"

	"github.com/tiercache/tiercache/benchmarks/ratio/compare"
)

const (
	barWidth, barGap = 16, 3
	groupGap         = 26
	plotHeight       = 260
	left, top        = 46, 56
	below            = 40
	lineHeight       = 18
)

var colours = []string{"#1f6feb", "#d1780f", "#2da44e", "#8250df", "#6e7781", "#bf3989"}

// chart has the hit ratios at a loader's pace: a group of bars for a trace and a
// size, a bar for a cache.
func chart(r compare.Result) string {
	var caches []string
	colour := make(map[string]string)
	var bars, names strings.Builder
	x, last := left+groupGap/2, ""
	for _, row := range r.Rows {
		if row.Tight {
			continue
		}
		if colour[row.Cache] == "" {
			colour[row.Cache] = colours[len(caches)%len(colours)]
			caches = append(caches, row.Cache)
		}
		if group := fmt.Sprint(row.Trace, row.Share); group != last {
			if last != "" {
				x += groupGap
			}
			last = group
			for i, line := range []string{row.Trace, fmt.Sprintf("%.3g %% fit", 100*row.Share)} {
				fmt.Fprintf(&names, `<text x="%d" y="%d">%s</text>`+"\n", x, top+plotHeight+lineHeight*(i+1), line)
			}
		}
		h := row.Ratio * plotHeight
		fmt.Fprintf(&bars, `<rect x="%d" y="%.1f" width="%d" height="%.1f" fill="%s"><title>%s, %s: %.2f %%</title></rect>`+"\n",
			x, top+plotHeight-h, barWidth, h, colour[row.Cache], row.Cache, row.Trace, 100*row.Ratio)
		x += barWidth + barGap
	}
	width := x + groupGap
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n",
		width, top+plotHeight+below+lineHeight)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	fmt.Fprintf(&b, `<text x="%d" y="20" font-size="15">Hit ratio at a loader's pace, more is better</text>`+"\n", left)
	at := left
	for _, c := range caches {
		fmt.Fprintf(&b, `<rect x="%d" y="32" width="11" height="11" fill="%s"/><text x="%d" y="42">%s</text>`+"\n", at, colour[c], at+15, c)
		at += 40 + 7*len(c)
	}
	for percent := 0; percent <= 100; percent += 20 {
		y := top + plotHeight - percent*plotHeight/100
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="#d0d7de"/><text x="%d" y="%d" text-anchor="end">%d %%</text>`+"\n",
			left, width, y, y, left-6, y+4, percent)
	}
	b.WriteString(bars.String() + names.String() + "</svg>\n")
	return b.String()
}
