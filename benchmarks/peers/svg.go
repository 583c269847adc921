package main

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// chart is panels of horizontal bars, one below the other, each with a scale of
// its own that begins at zero.
type chart struct {
	title, desc string
	panels      []panel
}

type panel struct {
	title string
	bars  []bar
}

type bar struct {
	name  string
	value float64
	label string // beside the bar: the value with its unit, and what else
	ours  bool
}

const (
	chartWidth  = 720
	nameWidth   = 246 // of the names, right-aligned
	labelWidth  = 160
	barHeight   = 16
	barPitch    = 22
	panelHead   = 34
	panelFoot   = 10
	chartHead   = 42
	chartFoot   = 24
	leastLength = 1.5 // so that a bar is seen
)

// style is for both schemes: what shows the picture decides.
const style = `
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .title { font-size: 16px; font-weight: 600 }
    .panel { font-weight: 600 }
    .foot { font-size: 11px; fill: #59636e }
    .back { fill: #ffffff }
    .bar { fill: #a8b3bf }
    .ours { fill: #0969da }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .foot { fill: #9198a1 }
      .back { fill: #0d1117 }
      .bar { fill: #57606a }
      .ours { fill: #4493f8 }
    }
`

// svg is the chart as a picture whose text can be selected and read aloud.
func (c chart) svg(foot string) string {
	var b strings.Builder
	height := c.height()
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-labelledby="title desc">`+"\n",
		chartWidth, height)
	fmt.Fprintf(&b, "  <title id=\"title\">%s</title>\n  <desc id=\"desc\">%s</desc>\n  <style>%s  </style>\n", html.EscapeString(c.title), html.EscapeString(c.desc+c.said()), style)
	fmt.Fprintf(&b, `  <rect class="back" width="%d" height="%d"/>`+"\n", chartWidth, height)
	text := func(class, anchor string, x, y float64, s string) {
		fmt.Fprintf(&b, `  <text class="%s" text-anchor="%s" x="%.1f" y="%.1f">%s</text>`+"\n", class, anchor, x, y, html.EscapeString(s))
	}
	text("title", "start", 16, 26, c.title)
	y := float64(chartHead)
	for _, p := range c.panels {
		text("panel", "start", 16, y+20, p.title)
		y += panelHead
		scale := float64(chartWidth-nameWidth-labelWidth) / p.longest()
		for _, one := range p.bars {
			class := "bar"
			if one.ours {
				class += " ours"
			}
			length := max(leastLength, one.value*scale)
			text("name", "end", nameWidth-8, y+12.5, one.name)
			fmt.Fprintf(&b, `  <rect class="%s" x="%d" y="%.1f" width="%.1f" height="%d" rx="2"/>`+"\n", class, nameWidth, y, length, barHeight)
			text("value", "start", nameWidth+length+6, y+12.5, one.label)
			y += barPitch
		}
		y += panelFoot
	}
	text("foot", "start", 16, y+12, foot)
	b.WriteString("</svg>\n")
	return b.String()
}

func (c chart) height() int {
	h := chartHead + chartFoot
	for _, p := range c.panels {
		h += panelHead + panelFoot + barPitch*len(p.bars)
	}
	return h
}

// said is the figures in words, for those who do not see them.
func (c chart) said() string {
	var b strings.Builder
	for _, p := range c.panels {
		fmt.Fprintf(&b, " %s:", p.title)
		for i, one := range p.bars {
			if i > 0 {
				b.WriteString(",")
			}
			fmt.Fprintf(&b, " %s %s", one.name, one.label)
		}
		b.WriteString(".")
	}
	return b.String()
}

// longest is more than zero.
func (p panel) longest() float64 {
	m := 0.0
	for _, one := range p.bars {
		m = max(m, one.value)
	}
	if m <= 0 {
		return 1
	}
	return m
}

// sorted has the shortest bar first.
func (p panel) sorted() panel {
	slices.SortStableFunc(p.bars, func(a, b bar) int {
		switch {
		case a.value < b.value:
			return -1
		case a.value > b.value:
			return 1
		default:
			return 0
		}
	})
	return p
}
