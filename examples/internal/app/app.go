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
	"strconv"
	"time"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/cachehttp"
	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
)

// Config is what a service is made of.
type Config struct {
	Store     *store.Store
	Signer    *auth.Signer
	Passwords *auth.Passwords
	Tiers     *tiercache.Tiers // nil: every request goes to the database
	Warm      Warm             // what the cache loads before it is asked for
	Bypass    bool             // let a request ask the database itself, see bypass
	Debug     bool             // serve GET /debug/counters
	Logger    *slog.Logger
}

// App serves the routes. Safe for concurrent use.
type App struct {
	store     *store.Store
	signer    *auth.Signer
	passwords *auth.Passwords
	source    source
	warmer    *tiercache.Warmer  // nil without the cache
	board     *cachehttp.Handler // nil without the cache
	bypass    bool
	log       *slog.Logger
	mux       *http.ServeMux
	handler   http.Handler
	paths     map[string][]string // path → methods, for 405
}

// reader is where answers come from.
type reader interface {
	// Profile is the user's, if he still has the e-mail and the role of the
	// claims; else errOutdated.
	Profile(ctx context.Context, who auth.Claims) (store.Profile, error)
	Users(ctx context.Context, role store.Role) (store.UserList, error)
	Inquiries(ctx context.Context, v store.Viewer, f store.Filter) (store.InquiryPage, error)
	Workload(ctx context.Context, name string) (store.Workload, error)
}

// source is a reader who is told of changes. The errors of both are write's.
type source interface {
	reader
	// ChangeUser runs write, which changes the user of the claims, and his e-mail
	// to newEmail if that is not nil.
	ChangeUser(ctx context.Context, who auth.Claims, newEmail *string, write func(context.Context) error) error
	// AddInquiry runs write, which stores a user's inquiry that an agent is to answer.
	AddInquiry(ctx context.Context, userID, agentID int64, write func(context.Context) error) error
}

// errOutdated: the account no longer is what the token says.
var errOutdated = errors.New("the account has changed since this token was issued, log in again")

// New returns a service. Close it, and then the store and the tiers, which it does not
// take over.
func New(c Config) (*App, error) {
	a := &App{store: c.Store, signer: c.Signer, passwords: c.Passwords, bypass: c.Bypass, log: c.Logger,
		mux: http.NewServeMux(), paths: map[string][]string{}}
	a.source = direct{c.Store}
	if c.Tiers != nil {
		cache, err := newCached(c.Store, c.Tiers)
		if err != nil {
			return nil, err
		}
		if a.warmer, err = cache.warmer(c.Warm); err != nil {
			return nil, err
		}
		a.source = cache
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
	if err := a.dashboard(c.Tiers); err != nil {
		return nil, err
	}
	a.web()
	if c.Debug {
		a.route("GET", "/debug/counters", a.counters)
	}
	a.mux.HandleFunc("/", a.noRoute)
	a.handler = a.sameOrigin(a.mux)
	return a, nil
}

// ServeHTTP implements http.Handler.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// Run warms the cache until ctx ends.
func (a *App) Run(ctx context.Context) error {
	if a.warmer == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return a.warmer.Run(ctx)
}

// handler answers a request, or returns an error for fail to answer with.
type handler func(w http.ResponseWriter, r *http.Request) error

func (a *App) route(method, path string, h handler) {
	a.paths[path] = append(a.paths[path], method)
	a.mux.HandleFunc(method+" "+path, func(w http.ResponseWriter, r *http.Request) {
		w = timed{w, time.Now()}
		if err := h(w, r); err != nil {
			a.fail(w, r, err)
		}
	})
}

// timed tells in the header how long the answer took to make.
type timed struct {
	http.ResponseWriter
	began time.Time
}

func (t timed) WriteHeader(status int) {
	ms := float64(time.Since(t.began)) / float64(time.Millisecond)
	t.Header().Set("Server-Timing", "app;dur="+strconv.FormatFloat(ms, 'f', 3, 64))
	t.ResponseWriter.WriteHeader(status)
}

// bypass is the header with which a request asks the database itself, as the web page
// does to compare. It is a header because no other site can have a browser send one.
const bypass = "X-Cache"

// reads is where this request's answer comes from. Writes always go through the cache:
// it has to hear of them.
func (a *App) reads(r *http.Request) (reader, error) {
	switch v := r.Header.Get(bypass); {
	case v == "":
		return a.source, nil
	case v != "off":
		return nil, badRequest("%s is not off", bypass)
	case !a.bypass:
		return nil, httpError{http.StatusForbidden, bypass + ": off is for servers that were started with -bypass"}
	}
	return direct{a.store}, nil
}

const (
	maxBody   = 16 << 10
	dbTimeout = 10 * time.Second
)

// detached is the context of a change and of what is told of it: both outlive the
// request. A client that hangs up after the commit must not keep the invalidation
// from happening.
func detached(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), dbTimeout)
}
