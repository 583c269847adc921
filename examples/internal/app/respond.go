package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/tiercache/tiercache/examples/internal/store"
)

// httpError is an answer with a status of its own; its text is shown to the caller.
type httpError struct {
	status int
	text   string
}

func (e httpError) Error() string { return e.text }

func badRequest(format string, args ...any) error {
	return httpError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func respond(w http.ResponseWriter, status int, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store") // what is cached is cached here, per user
	w.WriteHeader(status)
	_, _ = w.Write(raw) // fails only if the client is gone
	return nil
}

// fail answers with {"error": text}. What is not meant for the caller is logged
// and answered in general terms.
func (a *App) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusInternalServerError, "internal error"
	var known httpError
	switch {
	case errors.As(err, &known):
		status, text = known.status, known.text
	case errors.Is(err, errOutdated):
		status, text = http.StatusUnauthorized, errOutdated.Error()
	case errors.Is(err, store.ErrNotFound):
		status, text = http.StatusUnauthorized, "the token's account does not exist"
	case errors.Is(err, store.ErrEmailTaken):
		status, text = http.StatusConflict, "this e-mail is taken"
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		return // nobody is listening
	case errors.Is(err, context.DeadlineExceeded):
		status, text = http.StatusServiceUnavailable, "took too long, try again"
		fallthrough
	default:
		a.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	_ = respond(w, status, map[string]string{"error": text}) // a map of strings always encodes
}

// noRoute answers what no pattern matched. ServeMux would answer in plain text,
// and, as "/" matches everything, with 404 where 405 is due.
func (a *App) noRoute(w http.ResponseWriter, r *http.Request) {
	if methods, ok := a.paths[r.URL.Path]; ok {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		a.fail(w, r, httpError{http.StatusMethodNotAllowed, r.Method + " is not allowed here"})
		return
	}
	a.fail(w, r, httpError{http.StatusNotFound, "no such route"})
}

// readJSON decodes a body that is one JSON object with known fields only.
func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		if _, err = dec.Token(); err == nil {
			return badRequest("the body goes on after its JSON object")
		}
	}
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return httpError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", maxBody)}
	case errors.Is(err, io.EOF): // only after a complete object, or instead of any
		if dec.InputOffset() == 0 {
			return badRequest("a JSON body is needed")
		}
		return nil
	default:
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) { // its text names Go's types
			return badRequest("the body is not the JSON wanted: no place for a JSON %s", kind.Value)
		}
		return badRequest("the body is not the JSON wanted: %v", strings.TrimPrefix(err.Error(), "json: "))
	}
}
