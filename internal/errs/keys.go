package errs

import (
	"fmt"
	"maps"
	"slices"
)

// Keys says of each key that failed why.
type Keys map[string]error

// Error names the first of the keys.
func (e Keys) Error() string {
	if len(e) == 0 {
		return "tiercache: no key failed"
	}
	first := e.sorted()[0]
	if len(e) == 1 {
		return fmt.Sprintf("tiercache: key %q failed: %v", first, e[first])
	}
	return fmt.Sprintf("tiercache: %d keys failed, the first is %q: %v", len(e), first, e[first])
}

// Unwrap gives the errors in the order of their keys.
func (e Keys) Unwrap() []error {
	all := make([]error, 0, len(e))
	for _, k := range e.sorted() {
		all = append(all, e[k])
	}
	return all
}

func (e Keys) sorted() []string { return slices.Sorted(maps.Keys(e)) }
