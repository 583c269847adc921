package app

import (
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tiercache/tiercache/examples/internal/store"
)

const (
	maxQuery     = 1024 // bytes of a query string
	maxText      = 64   // bytes of a text filter
	maxPage      = 1000
	maxLimit     = 100
	defaultLimit = 20
	maxName      = 100 // bytes
	maxEmail     = 254 // bytes, RFC 5321
	maxSubject   = 200 // bytes
)

// params reads a query string in which every name is known and there at most
// once. Lenience here would be an attack on the cache: ?status=open&x=1, &x=2,
// … are one list, and would be as many entries.
func params(r *http.Request, known ...string) (map[string]string, error) {
	if len(r.URL.RawQuery) > maxQuery {
		return nil, badRequest("the query is longer than %d bytes", maxQuery)
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the query is malformed")
	}
	got := map[string]string{}
	for name, values := range query {
		switch {
		case !slices.Contains(known, name):
			return nil, badRequest("unknown parameter %q", name)
		case len(values) > 1:
			return nil, badRequest("%s is given %d times", name, len(values))
		case values[0] == "":
			return nil, badRequest("%s is empty", name)
		}
		got[name] = values[0]
	}
	return got, nil
}

// oneOf checks a parameter that may be missing.
func oneOf(got map[string]string, name string, allowed []string) (string, error) {
	v, ok := got[name]
	if ok && !slices.Contains(allowed, v) {
		return "", badRequest("%s is none of %s", name, strings.Join(allowed, ", "))
	}
	return v, nil
}

// number reads a decimal from 1 to most in its one canonical spelling, so that
// equal pages have equal keys.
func number(got map[string]string, name string, missing, most int) (int, error) {
	v, ok := got[name]
	if !ok {
		return missing, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most || strconv.Itoa(n) != v {
		return 0, badRequest("%s is not a number from 1 to %d", name, most)
	}
	return n, nil
}

func inquiryFilter(r *http.Request) (f store.Filter, err error) {
	got, err := params(r, "status", "priority", "category", "q", "page", "limit")
	if err != nil {
		return f, err
	}
	if f.Status, err = oneOf(got, "status", store.Statuses); err != nil {
		return f, err
	}
	if f.Priority, err = oneOf(got, "priority", store.Priorities); err != nil {
		return f, err
	}
	if f.Category, err = oneOf(got, "category", store.Categories); err != nil {
		return f, err
	}
	if f.Text = got["q"]; f.Text != "" {
		if err := text("q", f.Text, maxText); err != nil {
			return f, err
		}
	}
	if f.Page, err = number(got, "page", 1, maxPage); err != nil {
		return f, err
	}
	f.Limit, err = number(got, "limit", defaultLimit, maxLimit)
	return f, err
}

func text(name, value string, most int) error {
	switch {
	case strings.TrimSpace(value) == "":
		return badRequest("%s is empty", name)
	case len(value) > most:
		return badRequest("%s is longer than %d bytes", name, most)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		return badRequest("%s is not plain text", name)
	}
	return nil
}

// email returns the address in the one form in which it is stored and cached.
func email(value string) (string, error) {
	value = strings.ToLower(value)
	addr, err := mail.ParseAddress(value)
	if err != nil || addr.Address != value || len(value) > maxEmail {
		return "", badRequest("email is not an e-mail address")
	}
	return value, nil
}
