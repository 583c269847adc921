package keys

import (
	"math"
	"slices"
	"strings"
)

// Filters is a set of filters, each with one value or several. It converts from
// url.Values:
//
//	keys.Filters{"status": {"open"}, "page": {"2"}}
//	keys.Filters(r.URL.Query())
//
// The service should pass the filters it understood, with its defaults filled
// in, and not whatever came with the request: each unknown parameter would make
// an entry of its own.
type Filters map[string][]string

// noFilters cannot be mistaken for a filter: those hold a "=".
const noFilters = "all"

// String returns the canonical text of the set: name=value pairs sorted by name
// and joined by commas, page=2,status=open; a filter with several values is
// there once for each. Two sets that differ have different texts. In names and
// values letters, digits and . _ - @ + stay, every other byte becomes ~XX, so
// that a key holds the text as it is. An empty set is "all".
//
// The values of one filter keep their order: sort=name,sort=date is not
// sort=date,sort=name, and a service that reads only the first page=… of two
// must not be given the other's answer. Sort them first where their order means
// nothing. A name without any value is not there, as in url.Values.Encode; a
// name with an empty value is.
func (f Filters) String() string {
	var few [16]string // sets of ordinary size are sorted without an allocation
	names, size := few[:0], 0
	for name, values := range f {
		if len(values) == 0 {
			continue
		}
		names = append(names, name)
		size += len(values) * (escapedSize(name, filterBytes, math.MaxInt) + len("=,"))
		for _, v := range values {
			size += escapedSize(v, filterBytes, math.MaxInt)
		}
	}
	if len(names) == 0 {
		return noFilters
	}
	slices.Sort(names)

	var b strings.Builder
	b.Grow(size)
	for _, name := range names {
		for _, v := range f[name] {
			if b.Len() > 0 {
				b.WriteByte(',')
			}
			writeEscaped(&b, name, filterBytes, '~')
			b.WriteByte('=')
			writeEscaped(&b, v, filterBytes, '~')
		}
	}
	return b.String()
}
