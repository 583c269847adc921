package app

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
)

type session struct {
	Token   string     `json:"token,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
	User    store.User `json:"user"`
}

func (a *App) session(u store.User) session {
	token, expires := a.signer.Sign(u)
	return session{Token: token, Expires: &expires, User: u}
}

// login reads the database, not the cache: a password's hash has no business in
// Redis, and a login must see the password as it is now.
func (a *App) login(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Email    string `json:"email"`
		Password string `json:"password"`
	}
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	u, err := a.credentials(r, body.Email, body.Password)
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, a.session(u))
}

// credentials is the user with this e-mail and password.
func (a *App) credentials(r *http.Request, email, password string) (store.User, error) {
	if email == "" || password == "" {
		return store.User{}, badRequest("email and password are needed")
	}
	u, hash, err := a.store.Credentials(r.Context(), strings.ToLower(email))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.User{}, err
	}
	ok, err := a.passwords.Check(r.Context(), hash, password)
	if err != nil {
		return store.User{}, err
	}
	if !ok {
		return store.User{}, httpError{http.StatusUnauthorized, "wrong e-mail or password"}
	}
	return u, nil
}

func (a *App) me(w http.ResponseWriter, r *http.Request, who auth.Claims) error {
	if _, err := params(r); err != nil {
		return err
	}
	from, err := a.reads(r)
	if err != nil {
		return err
	}
	p, err := from.Profile(r.Context(), who)
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, p)
}

// patchMe changes name and e-mail. A changed e-mail makes the caller's token
// outdated, so the answer carries a new one.
func (a *App) patchMe(w http.ResponseWriter, r *http.Request, who auth.Claims) error {
	var body struct{ Name, Email *string }
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	if body.Name == nil && body.Email == nil {
		return badRequest("name or email is needed")
	}
	if body.Name != nil {
		if err := text("name", *body.Name, maxName); err != nil {
			return err
		}
	}
	if body.Email != nil {
		address, err := email(*body.Email)
		if err != nil {
			return err
		}
		body.Email = &address
	}
	var before, after store.User
	ctx, cancel := detached(r)
	defer cancel()
	err := a.source.ChangeUser(ctx, who, body.Email, func(ctx context.Context) (err error) {
		before, after, err = a.store.UpdateUser(ctx, who.ID, body.Name, body.Email)
		return err
	})
	if err != nil {
		return err
	}
	answer := session{User: after}
	if before.Email != after.Email {
		answer = a.session(after)
	}
	return respond(w, http.StatusOK, answer)
}

func (a *App) users(w http.ResponseWriter, r *http.Request, _ auth.Claims) error {
	got, err := params(r, "role")
	if err != nil {
		return err
	}
	role := store.Role(got["role"])
	if role != "" && !slices.Contains(store.Roles, role) {
		return badRequest("role is none of USER, AGENT, ADMIN, SUPERUSER")
	}
	from, err := a.reads(r)
	if err != nil {
		return err
	}
	list, err := from.Users(r.Context(), role)
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, list)
}

func (a *App) inquiries(w http.ResponseWriter, r *http.Request, who auth.Claims) error {
	f, err := inquiryFilter(r)
	if err != nil {
		return err
	}
	from, err := a.reads(r)
	if err != nil {
		return err
	}
	page, err := from.Inquiries(r.Context(), store.Viewer{ID: who.ID, Role: who.Role}, f)
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, page)
}

func (a *App) postInquiry(w http.ResponseWriter, r *http.Request, who auth.Claims) error {
	var body struct{ Category, Priority, Subject string }
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	if body.Priority == "" {
		body.Priority = "normal"
	}
	if !slices.Contains(store.Categories, body.Category) {
		return badRequest("category is none of %s", strings.Join(store.Categories, ", "))
	}
	if !slices.Contains(store.Priorities, body.Priority) {
		return badRequest("priority is none of %s", strings.Join(store.Priorities, ", "))
	}
	if err := text("subject", body.Subject, maxSubject); err != nil {
		return err
	}
	ctx, cancel := detached(r)
	defer cancel()
	var made store.Inquiry
	agent := a.store.NextAgent()
	err := a.source.AddInquiry(ctx, who.ID, agent, func(ctx context.Context) (err error) {
		made, err = a.store.CreateInquiry(ctx, who.ID, agent, body.Category, body.Priority, body.Subject)
		return err
	})
	if err != nil {
		return err
	}
	return respond(w, http.StatusCreated, made)
}

func (a *App) workload(w http.ResponseWriter, r *http.Request, _ auth.Claims) error {
	got, err := params(r, "range")
	if err != nil {
		return err
	}
	name := got["range"]
	if _, ok := store.Ranges[name]; !ok {
		return badRequest("range is none of 7d, 30d, 90d, 365d")
	}
	from, err := a.reads(r)
	if err != nil {
		return err
	}
	load, err := from.Workload(r.Context(), name)
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, load)
}
