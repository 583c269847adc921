package cachehttp

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// guard sets what every answer has. What it forbids, the page does not need: it has no
// inline script or style, and talks to where it came from alone.
func guard(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// done is the answer to an action.
type done struct {
	OK     bool  `json:"ok"`
	Keys   int64 `json:"keys"`
	Queued bool  `json:"queued"`
}

func answer(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil { // a bug, since no type here can fail
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

func fail(w http.ResponseWriter, status int, text string) {
	answer(w, status, struct {
		Error string `json:"error"`
	}{text})
}

func notAllowed(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	fail(w, http.StatusMethodNotAllowed, "this takes "+allow)
}

// refuse answers what an Authorizer has refused, and returns with which status.
func refuse(w http.ResponseWriter, err error) int {
	if who, ok := errors.AsType[Unauthenticated](err); ok {
		w.Header().Set("WWW-Authenticate", string(who))
		fail(w, http.StatusUnauthorized, "not signed in")
		return http.StatusUnauthorized
	}
	text := "not allowed"
	if errors.Is(err, errNotLocal) || errors.Is(err, errNoWrites) {
		text = err.Error()
	}
	fail(w, http.StatusForbidden, text)
	return http.StatusForbidden
}

// prefersHTML tells whether a request asks for HTML rather than JSON. If it takes
// both alike, as curl does, JSON it is.
func prefersHTML(accept []string) bool {
	html, json := 0.0, 0.0
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if given, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(given, 64); err != nil || !(q >= 0 && q <= 1) {
				continue
			}
		}
		switch kind {
		case "text/html":
			html = max(html, q)
		case "application/json", "application/*", "*/*":
			json = max(json, q)
		}
	}
	return html > json
}
