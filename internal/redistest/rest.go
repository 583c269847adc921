package redistest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// REST is a server that speaks Upstash's REST API, as far as its documentation
// tells, before a real Redis: single commands, /pipeline, /multi-exec, /subscribe.
// It can fail on purpose. All methods are safe for concurrent use.
type REST struct {
	rdb      *redis.Client
	server   *httptest.Server
	requests atomic.Int64
	syncs    atomic.Int64
	noRunID  atomic.Bool

	mu      sync.Mutex // guards the fields below
	trouble trouble
	status  int
	text    string
	over    chan struct{} // closed when the present trouble ends
	streams map[*restStream]struct{}
}

type trouble uint8

const (
	noTrouble trouble = iota
	answering         // every request gets status and text
	hanging           // requests are taken and not answered
	gone              // connections are cut
	deaf              // streams stay and carry nothing
)

// RESTToken is what requests must carry. A server that is to take it for a password
// too, as Upstash does, is started with "--requirepass".
const RESTToken = "AXtoken0123456789abcdefghijklmnop"

// StartREST starts a REST server before a Redis, ended with the test.
func StartREST(t testing.TB, s *Server) *REST {
	t.Helper()
	r := &REST{
		rdb: redis.NewClient(&redis.Options{
			Addr: s.Addr(), Password: s.password, Protocol: 2, MaxRetries: -1, DialerRetries: 1, DialTimeout: time.Second, ContextTimeoutEnabled: true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		}),
		over:    make(chan struct{}),
		streams: make(map[*restStream]struct{}),
	}
	r.server = httptest.NewServer(r)
	t.Cleanup(func() {
		r.Pass()
		r.CutStreams()
		r.server.CloseClientConnections()
		r.server.Close()
		_ = r.rdb.Close()
	})
	return r
}

// URL is the address of the API, http on this machine.
func (r *REST) URL() string { return r.server.URL }

// Requests is how many requests have come, streams included.
func (r *REST) Requests() int { return int(r.requests.Load()) }

// Streams is how many subscriptions are open.
func (r *REST) Streams() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.streams)
}

// HideRunID makes INFO say nothing about which life of the server this is.
func (r *REST) HideRunID() { r.noRunID.Store(true) }

// Pass ends every trouble.
func (r *REST) Pass() { r.change(noTrouble, 0, "") }

// Answer gives every new request an HTTP status and an error text.
func (r *REST) Answer(status int, text string) { r.change(answering, status, text) }

// Hang takes requests and does not answer until the trouble is over.
func (r *REST) Hang() { r.change(hanging, 0, "") }

// Gone cuts all connections, and every new one at its first request.
func (r *REST) Gone() {
	r.change(gone, 0, "")
	r.CutStreams()
}

// Mute keeps the streams open and lets no message through.
func (r *REST) Mute() { r.change(deaf, 0, "") }

// CutStreams ends every subscription.
func (r *REST) CutStreams() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.streams {
		s.cut()
	}
}

func (r *REST) change(to trouble, status int, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble, r.status, r.text = to, status, text
	close(r.over)
	r.over = make(chan struct{})
}

func (r *REST) now() (trouble, int, string, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble, r.status, r.text, r.over
}

// ServeHTTP is the API.
func (r *REST) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.requests.Add(1)
	switch kind, status, text, over := r.now(); kind {
	case answering:
		refuse(w, status, text)
		return
	case hanging:
		select {
		case <-over:
		case <-req.Context().Done():
			return
		}
	case gone:
		panic(http.ErrAbortHandler) // cuts the connection
	}
	if auth, _ := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer "); auth != RESTToken && req.URL.Query().Get("_token") != RESTToken {
		refuse(w, http.StatusUnauthorized, "WRONGPASS invalid or missing auth token")
		return
	}
	switch req.Method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodHead:
	default:
		refuse(w, http.StatusMethodNotAllowed, "ERR method not allowed")
		return
	}
	if f := req.Header.Get("Upstash-Response-Format"); f != "" && f != "json" {
		refuse(w, http.StatusBadRequest, "ERR invalid response format")
		return
	}
	w.Header().Set("Upstash-Sync-Token", strconv.FormatInt(r.syncs.Add(1), 10))
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 10<<20))
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, "ERR max request size exceeded")
		return
	case !utf8.Valid(body):
		refuse(w, http.StatusBadRequest, "ERR failed to parse request: invalid UTF-8")
		return
	}
	base64 := req.Header.Get("Upstash-Encoding") == "base64"
	switch path := strings.Trim(req.URL.EscapedPath(), "/"); path {
	case "pipeline":
		r.several(w, req.Context(), body, base64, false)
	case "multi-exec":
		r.several(w, req.Context(), body, base64, true)
	case "":
		var args []json.RawMessage
		if err := json.Unmarshal(body, &args); err != nil {
			refuse(w, http.StatusBadRequest, "ERR failed to parse command")
			return
		}
		words, ok := wordsOf(args)
		r.one(w, req.Context(), words, ok, base64)
	default:
		r.path(w, req, path, body, base64)
	}
}

// path is a command in the address: /set/key/value, the body behind it, then the
// query.
func (r *REST) path(w http.ResponseWriter, req *http.Request, path string, body []byte, base64 bool) {
	var words []any
	for _, part := range strings.Split(path, "/") {
		word, err := url.PathUnescape(part)
		if err != nil {
			refuse(w, http.StatusBadRequest, "ERR failed to parse command")
			return
		}
		words = append(words, word)
	}
	if strings.EqualFold(words[0].(string), "subscribe") {
		r.subscribe(w, req, words[1:])
		return
	}
	if len(body) > 0 {
		words = append(words, string(body))
	}
	for _, pair := range strings.Split(req.URL.RawQuery, "&") {
		name, value, has := strings.Cut(pair, "=")
		if name == "" || name == "_token" {
			continue
		}
		words = append(words, name)
		if has {
			value, _ = url.QueryUnescape(value)
			words = append(words, value)
		}
	}
	r.one(w, req.Context(), words, true, base64)
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text})
}

// one answers a single command, whose failure is the status of the answer too.
func (r *REST) one(w http.ResponseWriter, ctx context.Context, words []any, ok, base64 bool) {
	if !ok || len(words) == 0 {
		refuse(w, http.StatusBadRequest, "ERR failed to parse command")
		return
	}
	if text := unavailable(words); text != "" {
		refuse(w, http.StatusBadRequest, text)
		return
	}
	item := r.item(words, r.rdb.Do(ctx, words...), base64)
	w.Header().Set("Content-Type", "application/json")
	if _, failed := item["error"]; failed {
		w.WriteHeader(http.StatusBadRequest)
	}
	_ = json.NewEncoder(w).Encode(item)
}
