package app

import (
	"net/http"

	"github.com/tiercache/tiercache/examples/internal/store"
)

// Counters is the body of GET /debug/counters, which a load test takes
// differences of.
type Counters struct {
	Database store.Counters `json:"database"`
	Cache    counts         `json:"cache"`
	Hearing  string         `json:"hearing"` // how the server hears of others' changes; empty: it does not need to
}

// Sub takes earlier counters off, so that what is left happened since.
func (c *Counters) Sub(earlier Counters) {
	c.Database.Queries -= earlier.Database.Queries
	c.Database.Execs -= earlier.Database.Execs
	c.Cache.add(earlier.Cache, -1)
}

func (a *App) counters(w http.ResponseWriter, _ *http.Request) error {
	c := Counters{Database: a.store.Counters(), Cache: a.source.Counts()}
	if masters := a.source.Health().Masters; len(masters) > 0 {
		c.Hearing = masters[0].Hearing // FromEnv makes clients of one master
	}
	return respond(w, http.StatusOK, c)
}
