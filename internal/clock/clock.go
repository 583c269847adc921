// Package clock is the one clock that the library compares instants by.
package clock

import "time"

// A century back, for tests: a synctest bubble lives in the year 2000 by the wall
// clock, and there too Now has to be above 0.
var base = time.Now().Add(-100 * 365 * 24 * time.Hour)

// Now is the number of nanoseconds since a fixed instant before the program
// started. It never goes back and nobody can set it; it means nothing outside
// this process. Always greater than 0, so 0 can stand for "never". Safe for
// concurrent use, about 30 ns a call.
func Now() int64 { return int64(time.Since(base)) }
