package app

import (
	"net/http"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/cachehttp"
	"github.com/tiercache/tiercache/examples/internal/store"
)

const statsPath = "/api/cache/stats"

// dashboard mounts the figures of the cache, and what may be done to it.
func (a *App) dashboard(tiers *tiercache.Tiers) error {
	if tiers == nil {
		a.route("GET", statsPath, off)
		return nil
	}
	board, err := cachehttp.New(tiers, cachehttp.Config{Warmer: a.warmer, Authorizer: a.authorize, Logger: a.log})
	if err != nil {
		return err
	}
	a.board = board
	mounted := http.StripPrefix(statsPath, board)
	a.mux.Handle(statsPath, mounted)
	a.mux.Handle(statsPath+"/", mounted)
	return nil
}

// authorize lets anybody read, as one lets anybody ask for a health check: there are
// numbers, the names of caches and jobs, and keys only with what tells of a person
// masked. A service with something to hide asks for a role here. To change anything
// takes a SUPERUSER.
func (a *App) authorize(r *http.Request, action string) (string, error) {
	who, err := a.who(r)
	switch {
	case action == "read":
		return who.Email, nil
	case err != nil:
		return "", cachehttp.Unauthenticated("Bearer")
	case who.Role != store.RoleSuperuser:
		return who.Email, httpError{http.StatusForbidden, "not for role " + string(who.Role)}
	}
	return who.Email, nil
}

// off is the answer of a service without the cache, in the same shape.
func off(w http.ResponseWriter, _ *http.Request) error {
	s := cachehttp.Snapshot{Windows: []cachehttp.Window{}, Caches: []cachehttp.Row{}, Masters: []cachehttp.Master{}, Hot: []cachehttp.Hot{},
		Invalidations: []cachehttp.Invalidation{}, Jobs: []cachehttp.Job{}, Recommendations: []cachehttp.Recommendation{}, Allowed: []string{}}
	s.Redis.Mode = "off"
	s.Performance.Status = "poor"
	s.Performance.Recommendation = "The cache is off: every request goes to the database."
	return respond(w, http.StatusOK, s)
}

// Close ends the streams of the dashboard, which would hold up the server's Shutdown.
func (a *App) Close() {
	if a.board != nil {
		a.board.Close()
	}
}
