package cachetest

import "sync/atomic"

// source is the source of truth. A commit increments the version of its row.
type source interface {
	commit(row int) (version int64, err error)

	// versions returns what is committed of each row, not of all at one moment.
	versions(rows []int) ([]rowVersion, error)
}

type rowVersion struct {
	row     int
	version int64
}

// table is a source in memory. Safe for concurrent use.
type table []atomic.Int64

// newTable begins with version 1: 0 is what a forgotten answer would look like.
func newTable(rows int) table {
	t := make(table, rows)
	for i := range t {
		t[i].Store(1)
	}
	return t
}

func (t table) commit(row int) (int64, error) { return t[row].Add(1), nil }

func (t table) versions(rows []int) ([]rowVersion, error) {
	out := make([]rowVersion, len(rows))
	for i, row := range rows {
		out[i] = rowVersion{row, t[row].Load()}
	}
	return out, nil
}
