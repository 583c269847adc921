package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/tiercache/tiercache/benchmarks/internal/command"
	"github.com/tiercache/tiercache/benchmarks/ratio/compare"
)

// table is a title, a head and rows of as many cells.
type table struct {
	title string
	head  []string
	rows  [][]string
}

func tables(r compare.Result) []table {
	out := []table{
		ratios(r, false, "Hit ratio in %, at a loader's pace: what was stored has settled before the next read"),
		ratios(r, true, "Hit ratio in %, in a tight loop: nobody waits for a policy to note what it is told"),
	}
	if len(r.Bytes) > 0 {
		out = append(out, footprints(r))
	}
	return out
}

// ratios has a row for a trace and a column for a cache.
func ratios(r compare.Result, tight bool, title string) table {
	t := table{title: title, head: []string{"trace", "fit"}}
	at := make(map[string]int)
	var last string
	for _, row := range r.Rows {
		if row.Tight != tight {
			continue
		}
		if _, ok := at[row.Cache]; !ok {
			at[row.Cache] = len(t.head)
			t.head = append(t.head, row.Cache)
		}
		if name := fmt.Sprintf("%s %v", row.Trace, row.Share); name != last {
			last = name
			t.rows = append(t.rows, []string{row.Trace, fmt.Sprintf("%.3g %%", 100*row.Share)})
		}
		cell := fmt.Sprintf("%.2f", 100*row.Ratio)
		if tight && row.Lost >= 0 {
			cell += fmt.Sprintf(" (%.0f %% of accesses lost)", 100*row.Lost)
		}
		t.rows[len(t.rows)-1] = append(t.rows[len(t.rows)-1], cell)
	}
	return t
}

func footprints(r compare.Result) table {
	t := table{
		title: fmt.Sprintf("Bytes of the heap for each of %d entries, a key of 13 bytes and a value of 64 included", r.Entries),
		head:  []string{"cache", "entries", "bytes each", "by its own account"},
	}
	for _, f := range r.Bytes {
		account := "-"
		if f.Account > 0 {
			account = fmt.Sprintf("%.0f", f.Account)
		}
		t.rows = append(t.rows, []string{f.Cache, fmt.Sprint(f.Entries), fmt.Sprintf("%.0f", f.Bytes), account})
	}
	return t
}

func (t table) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n\n", t.title)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{t.head}, t.rows...) {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	tw.Flush()
}

func (t table) markdown(w io.Writer) {
	fmt.Fprintf(w, "\n## %s\n\n| %s |\n|---%s|\n", t.title, strings.Join(t.head, " | "), strings.Repeat("|---:", len(t.head)-1))
	for _, row := range t.rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
}

func markdown(r compare.Result, judged bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What memory has, and what it takes\n\n%d keys, %d reads of each trace, means over %d seeds.\n", r.Keys, r.Reads, len(r.Seeds))
	for _, s := range compare.Shapes() {
		fmt.Fprintf(&b, "- %s: %s\n", s.Name, s.Says)
	}
	for _, t := range tables(r) {
		t.markdown(&b)
	}
	if judged {
		b.WriteString("\nRequired:\n\n```\n")
		for _, v := range r.Verdicts {
			fmt.Fprintln(&b, v)
		}
		b.WriteString("```\n")
	}
	return b.String()
}

func (c config) write(r compare.Result) error {
	if err := command.WriteJSON(c.json, r); err != nil {
		return err
	}
	if c.out == "" {
		return nil
	}
	if err := os.MkdirAll(c.out, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.out, "ratio.md"), []byte(markdown(r, !c.quick)), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.out, "ratio.svg"), []byte(chart(r)), 0o644)
}
