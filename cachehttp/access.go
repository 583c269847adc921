package cachehttp

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
)

// Authorizer returns who a request is from, for the log, or why it may not do an action:
// "read", "clear", "invalidate" or "warm". It is asked for each request, for a stream once
// a minute besides, and to tell a reader what else is allowed; so it changes nothing.
// Who may "invalidate" may name the pattern *, which is everything, as "clear" is.
//
// An error that is or wraps Unauthenticated is answered with 401, any other with 403.
// Its text goes into the log and not into the answer. Called concurrently.
type Authorizer func(r *http.Request, action string) (who string, err error)

// Unauthenticated is the error of an Authorizer that does not know who asks. Its text is
// the answer's WWW-Authenticate: a browser asks for a password when that is
// `Basic realm="cache"`, say.
type Unauthenticated string

func (u Unauthenticated) Error() string { return "cachehttp: not authenticated: " + string(u) }

var (
	errNotLocal = errors.New("cachehttp: without an Authorizer only the machine itself may read")
	errNoWrites = errors.New("cachehttp: without an Authorizer nobody may change anything")
)

// readFromLoopback is the Authorizer of who has set none.
func readFromLoopback(r *http.Request, action string) (string, error) {
	switch {
	case action != "read":
		return "", errNoWrites
	case !fromLoopback(r):
		return "", errNotLocal
	}
	return "loopback", nil
}

// fromLoopback judges by the connection. What headers say of the sender counts against
// it alone: a proxy on this machine that passes on the requests of others names them
// there, and whoever connects can write anything. The host that was asked for counts too:
// a page of another site can give its own name the address 127.0.0.1, and then read here
// what its visitor may (DNS rebinding).
func fromLoopback(r *http.Request) bool {
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if len(r.Header.Values(h)) > 0 {
			return false
		}
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() {
		return false
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(trimBrackets(host))
	return err == nil && addr.Unmap().IsLoopback()
}

func trimBrackets(host string) string {
	if n := len(host); n >= 2 && host[0] == '[' && host[n-1] == ']' {
		return host[1 : n-1]
	}
	return host
}

// allowed is what the request's sender may do besides reading. It is never nil.
func (h *Handler) allowed(r *http.Request) []string {
	list := []string{}
	for _, action := range []string{"clear", "invalidate", "warm"} {
		if action == "warm" && (h.warmer == nil || len(h.warmer.Status()) == 0) {
			continue
		}
		if _, err := h.may(r, action); err == nil {
			list = append(list, action)
		}
	}
	return list
}
