package app

import (
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/tiercache/tiercache/examples/internal/auth"
)

// The web page is embedded, and asks nothing of any other host.
//
//go:embed web
var assets embed.FS

var pageTemplate = template.Must(template.ParseFS(assets, "web/page.html"))

// view is what the page shows.
type view struct {
	Who      *auth.Claims // nil: nobody is logged in
	Problem  string       // with the login
	Cache    bool
	Compare  bool // both sides can be asked
	Accounts []string
	Password string
}

// accounts are of every seeded database.
var accounts = []string{"agent1@example.com", "superuser1@example.com", "admin1@example.com", "user1@example.com"}

// policy has no exception: scripts and styles are files of this server, and nobody may
// frame the page or send its forms elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func (a *App) web() {
	a.route("GET", "/{$}", a.home)
	a.route("POST", "/login", a.formLogin)
	a.route("POST", "/logout", a.logout)
	for name, kind := range map[string]string{"page.js": "text/javascript", "page.css": "text/css", "icon.svg": "image/svg+xml"} {
		raw, err := assets.ReadFile("web/" + name)
		if err != nil {
			panic("bug: " + err.Error())
		}
		a.route("GET", "/web/"+name, func(w http.ResponseWriter, _ *http.Request) error {
			guarded(w, kind+"; charset=utf-8")
			_, _ = w.Write(raw) // fails only if the client is gone
			return nil
		})
	}
}

func (a *App) home(w http.ResponseWriter, r *http.Request) error {
	var v view
	if who, err := a.who(r); err == nil {
		v.Who = &who
	}
	return a.page(w, http.StatusOK, v)
}

func (a *App) page(w http.ResponseWriter, status int, v view) error {
	_, off := a.source.(direct)
	v.Cache, v.Compare, v.Accounts, v.Password = !off, !off && a.bypass, accounts, auth.DemoPassword
	var body strings.Builder
	if err := pageTemplate.Execute(&body, v); err != nil {
		return fmt.Errorf("the page: %w", err)
	}
	guarded(w, "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body.String()))
	return nil
}

func guarded(w http.ResponseWriter, kind string) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}
