package cachehttp

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

//go:embed page
var files embed.FS

const indexPage = "page/index.html"

// page serves index.html. It names the rest by paths relative to one that ends in "/",
// whatever that is; one that does not is sent there.
func (h *Handler) page(w http.ResponseWriter, r *http.Request) {
	if to, ok := withSlash(r); ok {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	serve(w, r, indexPage)
}

// withSlash is the address of the page relative to the one that was asked for, if that
// does not end in "/". What it begins with keeps it on this server, whatever was asked for.
func withSlash(r *http.Request) (to string, ok bool) {
	at := r.URL
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil { // what http.StripPrefix has left as it was
		at = u
	}
	p := at.EscapedPath()
	if p == "" || strings.HasSuffix(p, "/") {
		return "", false
	}
	to = "./" + path.Base(p) + "/"
	if at.RawQuery != "" {
		to += "?" + at.RawQuery
	}
	return to, true
}

func (h *Handler) asset(w http.ResponseWriter, r *http.Request, name string) {
	if name = "page/" + name; name == indexPage { // it is of use at the root only
		name = ""
	}
	serve(w, r, name)
}

// types are those of the files. What has no other is text: nothing is guessed.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

func serve(w http.ResponseWriter, r *http.Request, name string) {
	b, err := files.ReadFile(name)
	if err != nil {
		fail(w, http.StatusNotFound, "there is no such file")
		return
	}
	kind, ok := types[path.Ext(name)]
	if !ok {
		kind = "text/plain; charset=utf-8"
	}
	sum := sha256.Sum256(b)
	w.Header().Set("Content-Type", kind)
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	w.Header().Set("Cache-Control", "no-cache") // kept, and asked for by its ETag
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}
