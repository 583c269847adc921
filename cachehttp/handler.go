package cachehttp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/tiercache/tiercache"
)

// Config of a Handler. The zero Config shows figures to the machine itself, and lets
// nobody change anything.
type Config struct {
	// Warmer, if there is one, has its jobs shown, and started on demand.
	Warmer *tiercache.Warmer

	// Authorizer decides who may do what. Default: requests from the machine itself may
	// read, and nobody may do more.
	Authorizer Authorizer

	// ShowKeys shows keys, tags, patterns and the errors of jobs to whoever may read, and
	// writes targets to the log. Default: of a key only the words that it begins with are
	// shown, and marks that tell keys apart.
	ShowKeys bool

	// Logger gets a line for each action, done or refused: who, what, from where.
	// Default: none.
	Logger *slog.Logger
}

// Handler serves the figures of Tiers, and actions on them. Safe for concurrent use.
type Handler struct {
	tiers  *tiercache.Tiers
	warmer *tiercache.Warmer
	may    Authorizer
	log    *slog.Logger
	names  masker

	sameOrigin http.CrossOriginProtection
	history    history
	hub        hub

	ctx  context.Context // ends with Close or the Tiers
	stop context.CancelFunc

	mu     sync.Mutex      // guards what follows; nothing is called under it
	closed bool            // nothing is added to work any more
	asked  map[string]bool // jobs that a goroutine of work waits for
	work   sync.WaitGroup
}

// New returns a Handler, which begins to take samples. Close it, or the Tiers.
func New(tiers *tiercache.Tiers, cfg Config) (*Handler, error) {
	if tiers == nil {
		return nil, errors.New("cachehttp: New needs Tiers, not nil")
	}
	end, err := tiercache.NewWarmer(tiers) // without jobs: its Run tells when the Tiers close
	if err != nil {
		return nil, err
	}
	h := &Handler{
		tiers: tiers, warmer: cfg.Warmer, may: cfg.Authorizer, log: cfg.Logger,
		names: newMasker(cfg.ShowKeys), hub: newHub(), asked: make(map[string]bool),
	}
	if h.may == nil {
		h.may = readFromLoopback
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	h.ctx, h.stop = context.WithCancel(context.Background())
	h.history.add(tiers.Stats())
	h.work.Go(func() { _ = end.Run(h.ctx); h.stop() })
	h.work.Go(h.sample)
	return h, nil
}

// Close ends the sampling and the streams, and waits for the former. The streams hold up
// http.Server.Shutdown, so call it before that, or give it to RegisterOnShutdown. What
// is no stream is answered all the same. The Tiers stay open.
func (h *Handler) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.stop()
	h.work.Wait()
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	guard(w.Header())
	switch path := strings.TrimPrefix(r.URL.Path, "/"); path {
	case "":
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			h.root(w, r)
		case http.MethodDelete:
			h.act(w, r, "clear", h.planClear)
		default:
			notAllowed(w, "GET, HEAD, DELETE")
		}
	case "stream":
		if r.Method != http.MethodGet {
			notAllowed(w, "GET")
			return
		}
		h.stream(w, r)
	case "clear":
		h.post(w, r, "clear", h.planClear)
	case "invalidate":
		h.post(w, r, "invalidate", h.planInvalidate)
	case "warm":
		h.post(w, r, "warm", h.planWarm)
	default:
		name, ok := strings.CutPrefix(path, "page/")
		switch {
		case !ok:
			fail(w, http.StatusNotFound, "there is nothing here: is the path that it is mounted at taken off, by http.StripPrefix?")
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			notAllowed(w, "GET, HEAD")
		case h.reader(w, r):
			h.asset(w, r, name)
		}
	}
}

func (h *Handler) post(w http.ResponseWriter, r *http.Request, action string, plan planner) {
	if r.Method != http.MethodPost {
		notAllowed(w, "POST")
		return
	}
	h.act(w, r, action, plan)
}

// root answers with the page where HTML is preferred, and with JSON elsewhere.
func (h *Handler) root(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Accept")
	if !h.reader(w, r) {
		return
	}
	if prefersHTML(r.Header.Values("Accept")) {
		h.page(w, r)
		return
	}
	s := h.snapshot(h.tiers.Stats())
	s.Allowed = h.allowed(r)
	answer(w, http.StatusOK, s)
}

// reader tells whether the request may read. If not, it is answered.
func (h *Handler) reader(w http.ResponseWriter, r *http.Request) bool {
	_, err := h.may(r, "read")
	if err != nil {
		refuse(w, err)
	}
	return err == nil
}
