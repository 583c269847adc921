// Package app is the example's HTTP service: routes, who may use them, what
// they accept, and what each change invalidates. Where its answers come from,
// the cache or the database itself, is behind one small interface, so that the
// service with the cache and without differ in nothing else.
package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
)

// Config is what a service is made of.
type Config struct {
	Store     *store.Store
	Signer    *auth.Signer
	Passwords *auth.Passwords
	Tiers     *tiercache.Tiers // nil: every request goes to the database
	Debug     bool             // serve GET /debug/counters
	Logger    *slog.Logger
}

// App serves the routes. Safe for concurrent use.
type App struct {
	store     *store.Store
	signer    *auth.Signer
	passwords *auth.Passwords
	source    source
	log       *slog.Logger
	mux       *http.ServeMux
	paths     map[string][]string // path → methods, for 405
}

// source is where answers come from and who is told of changes.
type source interface {
	// Profile is the user's, if he still has the e-mail and the role of the
	// claims; else errOutdated.
	Profile(ctx context.Context, who auth.Claims) (store.Profile, error)
	Users(ctx context.Context, role store.Role) (store.UserList, error)
	Inquiries(ctx context.Context, v store.Viewer, f store.Filter) (store.InquiryPage, error)
	Workload(ctx context.Context, name string) (store.Workload, error)

	// ChangeUser runs write, which changes the user of the claims, and his e-mail
	// to newEmail if that is not nil. Its error is write's.
	ChangeUser(ctx context.Context, who auth.Claims, newEmail *string, write func(context.Context) error) error
	// InquiryCreated is called after the commit.
	InquiryCreated(ctx context.Context, q store.Inquiry) error

	Counts() counts
	Health() tiercache.Health
	Clear(ctx context.Context) error
	ClearMatching(ctx context.Context, pattern string) (removed int64, err error)
}

// errOutdated: the account no longer is what the token says.
var errOutdated = errors.New("the account has changed since this token was issued, log in again")

// New returns a service. It takes over neither the store nor the tiers: close them after it.
func New(c Config) (*App, error) {
	a := &App{store: c.Store, signer: c.Signer, passwords: c.Passwords, log: c.Logger,
		mux: http.NewServeMux(), paths: map[string][]string{}}
	a.source = direct{c.Store}
	if c.Tiers != nil {
		var err error
		if a.source, err = newCached(c.Store, c.Tiers); err != nil {
			return nil, err
		}
	}
	everyone := store.Roles
	staff := []store.Role{store.RoleAgent, store.RoleAdmin, store.RoleSuperuser}
	admins := []store.Role{store.RoleAdmin, store.RoleSuperuser}

	a.route("POST", "/api/login", a.login)
	a.route("GET", "/api/users/me", a.as(everyone, a.me))
	a.route("PATCH", "/api/users/me", a.as(everyone, a.patchMe))
	a.route("GET", "/api/users", a.as(admins, a.users))
	a.route("GET", "/api/inquiries", a.as(everyone, a.inquiries))
	a.route("POST", "/api/inquiries", a.as(everyone, a.postInquiry))
	a.route("GET", "/api/analytics/workload", a.as(staff, a.workload))
	a.route("GET", "/api/cache/stats", a.getStats) // numbers only, like a health check
	a.route("DELETE", "/api/cache/stats", a.as([]store.Role{store.RoleSuperuser}, a.clearCache))
	if c.Debug {
		a.route("GET", "/debug/counters", a.counters)
	}
	a.mux.HandleFunc("/", a.noRoute)
	return a, nil
}

// ServeHTTP implements http.Handler.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// handler answers a request, or returns an error for fail to answer with.
type handler func(w http.ResponseWriter, r *http.Request) error

func (a *App) route(method, path string, h handler) {
	a.paths[path] = append(a.paths[path], method)
	a.mux.HandleFunc(method+" "+path, func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			a.fail(w, r, err)
		}
	})
}

const (
	maxBody     = 16 << 10
	dbTimeout   = 10 * time.Second
	tellTimeout = 2 * time.Second
)

// detached is the context of a change and of what is told of it: both outlive the
// request. A client that hangs up after the commit must not keep the invalidation
// from happening.
func detached(r *http.Request, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), limit)
}
