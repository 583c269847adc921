package remote

import "sync/atomic"

// much is how many bytes one round trip may well bring: 10 ms at 1 Gbit/s.
const much = 1 << 20

// usual is how long the answers of a server have been lately, from which follows how
// many commands go in one round trip: many large values would take more than a
// budget, and hold up small ones. Safe for concurrent use; of two who tell at the
// same time one may not be heard.
type usual struct{ bytes atomic.Int64 }

// fits is how many commands go in one round trip, most if their answers are short.
func (u *usual) fits(most int) int {
	if b := int(u.bytes.Load()); b*most > much {
		return max(1, much/b)
	}
	return most
}

// took tells how long n answers were, together. Long ones count at once, few short
// ones a little.
func (u *usual) took(n, bytes int) {
	is, was := int64(bytes/n), u.bytes.Load()
	if is < was {
		is = was - (was-is)*int64(min(n, 8))/8
	}
	if is != was {
		u.bytes.Store(is)
	}
}

// late tells that n answers were not there in time, if err says so: the next are a
// quarter as many.
func (u *usual) late(n int, err error) bool {
	if !isTimeout(err) {
		return false
	}
	u.took(1, min(much, 4*much/n))
	return true
}
