package app

import (
	"net/http"

	"github.com/tiercache/tiercache"
)

func (a *App) dashboard(tiers *tiercache.Tiers) error {
	a.route("GET", "/api/cache/stats", func(w http.ResponseWriter, r *http.Request) error {
		return respond(w, http.StatusOK, map[string]any{"redis": map[string]any{"mode": "off"}})
	})
	return nil
}
