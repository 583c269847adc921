package main

import (
	"errors"
	"fmt"
)

// judge keeps whether something is as it should be.
func (f *fleet) judge(ok bool, format string, args ...any) {
	f.verdicts = append(f.verdicts, verdict{ok, fmt.Sprintf(format, args...)})
}

type verdict struct {
	ok   bool
	text string
}

func (f *fleet) result() error {
	t := f.traffic
	f.judge(t.failed.Load() == 0, "%d of %d requests failed", t.failed.Load(), t.reads.Load()+t.writes.Load())
	f.judge(t.stale.Load() == 0 && t.judged.Load() > 0 && t.writes.Load() > 0, "%d of %d reads of a profile were older than the rule allows, after %d changes", t.stale.Load(), t.judged.Load(), t.writes.Load())
	var missed []error
	fmt.Fprintln(f.out)
	for _, v := range f.verdicts {
		mark := "ok    "
		if !v.ok {
			mark, missed = "MISSED", append(missed, errors.New(v.text))
		}
		fmt.Fprintln(f.out, mark, v.text)
	}
	for _, text := range t.first {
		fmt.Fprintln(f.out, "       ", text)
	}
	return errors.Join(missed...)
}
