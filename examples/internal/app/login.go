package app

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
)

// A browser cannot be told to send an Authorization header when a link is followed, so
// the web page and the dashboard use a cookie, which holds the same token. Scripts
// cannot read it (HttpOnly), and no other site can have it sent (SameSite=Strict).
const cookieName = "helpdesk"

func cookie(r *http.Request, token string, expires time.Time) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: token, Path: "/", Expires: expires,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil}
}

// sameOrigin refuses what a page from elsewhere has a browser send, unless it only
// reads. SameSite alone would let in a page from another port of this host.
func (a *App) sameOrigin(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, httpError{http.StatusForbidden, "this comes from another site's page"})
	}))
	return guard.Handler(next)
}

// who is the holder of the request's token: the header's or else the cookie's.
func (a *App) who(r *http.Request) (auth.Claims, error) {
	header := r.Header.Get("Authorization")
	scheme, token, _ := strings.Cut(header, " ")
	if c, err := r.Cookie(cookieName); header == "" && err == nil {
		scheme, token = "Bearer", c.Value
	}
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return auth.Claims{}, httpError{http.StatusUnauthorized, "a bearer token is needed, see POST /api/login"}
	}
	who, err := a.signer.Verify(token)
	if err != nil {
		return auth.Claims{}, httpError{http.StatusUnauthorized, "invalid or expired token"}
	}
	return who, nil
}

type claimsHandler func(w http.ResponseWriter, r *http.Request, who auth.Claims) error

// as lets in holders of a good token with one of the roles: 401 without such a
// token, 403 with another role.
func (a *App) as(roles []store.Role, h claimsHandler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, err := a.who(r)
		if err != nil {
			return err
		}
		if !slices.Contains(roles, who.Role) {
			return httpError{http.StatusForbidden, "not for role " + string(who.Role)}
		}
		return h(w, r, who)
	}
}

// formLogin is login for the form of the web page.
func (a *App) formLogin(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	u, err := a.credentials(r, r.PostFormValue("email"), r.PostFormValue("password"))
	if known, ok := err.(httpError); ok {
		return a.page(w, known.status, view{Problem: known.text})
	}
	if err != nil {
		return err
	}
	token, expires := a.signer.Sign(u)
	http.SetCookie(w, cookie(r, token, expires))
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (a *App) logout(w http.ResponseWriter, r *http.Request) error {
	gone := cookie(r, "", time.Unix(1, 0))
	gone.MaxAge = -1
	http.SetCookie(w, gone)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}
