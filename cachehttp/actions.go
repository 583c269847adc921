package cachehttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tiercache/tiercache"
)

const (
	mostBody       = 16 << 10
	bodyTimeout    = 10 * time.Second
	actionPatience = 10 * time.Second // what is not done by then is queued
)

// plan is an action that was read from a request.
type plan struct {
	kind, target string // for the log
	do           func(ctx context.Context, who string) (status int, d done, err error)
}

type planner func(body []byte) (plan, error)

// problem is an error that the sender of a request may read.
type problem struct {
	status int
	text   string
}

func (p *problem) Error() string { return p.text }

// act does an action, or refuses it. Who may not do it has nothing of its request read,
// and each outcome leaves a line in the log.
func (h *Handler) act(w http.ResponseWriter, r *http.Request, action string, planned planner) {
	line := []slog.Attr{slog.String("action", action), slog.String("remote", r.RemoteAddr)}
	end := func(level slog.Level, status int, more ...slog.Attr) {
		line = append(append(line, slog.Int("status", status)), more...)
		h.log.LogAttrs(r.Context(), level, "cachehttp: "+action, line...)
	}
	if err := h.sameOrigin.Check(r); err != nil {
		fail(w, http.StatusForbidden, "a page of another site may not do this")
		end(slog.LevelWarn, http.StatusForbidden, slog.String("refused", err.Error()))
		return
	}
	who, err := h.may(r, action)
	if err != nil {
		end(slog.LevelWarn, refuse(w, err), slog.String("who", who), slog.String("refused", err.Error()))
		return
	}
	line = append(line, slog.String("who", who))
	status, d, err := 0, done{}, error(nil)
	body, err := readBody(w, r)
	if err == nil {
		var p plan
		if p, err = planned(body); err == nil {
			line = append(line, slog.String("kind", p.kind), slog.String("target", p.target))
			// Who hangs up has asked for it all the same.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), actionPatience)
			defer cancel()
			status, d, err = p.do(ctx, who)
		}
	}
	if err != nil {
		status = statusOf(err)
		fail(w, status, err.Error())
		end(slog.LevelWarn, status, slog.String("refused", h.reason(err)))
		return
	}
	d.OK = true
	answer(w, status, d)
	end(slog.LevelInfo, status, slog.Int64("keys", d.Keys), slog.Bool("queued", d.Queued))
}

func statusOf(err error) int {
	if p, ok := errors.AsType[*problem](err); ok {
		return p.status
	}
	if errors.Is(err, tiercache.ErrClosed) {
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest // what is left is a target that makes no sense
}

// reason is why an action was not done, for the log: without the key, unless it may be shown.
func (h *Handler) reason(err error) string {
	if _, ok := errors.AsType[*problem](err); ok || h.names.whole || errors.Is(err, tiercache.ErrClosed) {
		return shorten(err.Error())
	}
	return "the target makes no sense"
}

// readBody returns JSON, or nothing if nothing was sent.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	// The server takes the deadline off when the body has ended. Where there can be none,
	// as on a recorder, bodies do not trickle in either.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &problem{http.StatusRequestEntityTooLarge, "the body is too long"}
	} else if err != nil {
		return nil, &problem{http.StatusBadRequest, "the body did not arrive"}
	}
	if len(body) == 0 && r.Header.Get("Content-Type") == "" {
		return nil, nil
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, given := params["charset"]
	if err != nil || kind != "application/json" || given && !strings.EqualFold(charset, "utf-8") {
		return nil, &problem{http.StatusUnsupportedMediaType, "the body must be application/json"}
	}
	return body, nil
}

// parse reads one JSON object of fields that into has, and nothing else: see exact.
func parse(body []byte, into any) error {
	bad := func(text string) error { return &problem{http.StatusBadRequest, text} }
	if !utf8.Valid(body) { // or the decoder would put other characters in the place of some
		return bad("the body is not UTF-8")
	}
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return bad("the body must be a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(into); err != nil {
		return bad("the body: " + err.Error())
	}
	if _, err := d.Token(); err != io.EOF {
		return bad("the body goes on after its object")
	}
	if err := exact(body, into); err != nil {
		return bad("the body: " + err.Error())
	}
	return nil
}

func (h *Handler) planClear(body []byte) (plan, error) {
	if len(body) > 0 {
		if err := parse(body, &struct{}{}); err != nil {
			return plan{}, err
		}
	}
	return plan{do: func(ctx context.Context, _ string) (int, done, error) {
		r, err := h.tiers.Clear(ctx)
		if err == nil {
			h.history.restart(h.tiers.Stats())
		}
		return http.StatusOK, done{Keys: r.Keys, Queued: r.Queued}, err
	}}, nil
}

func (h *Handler) planInvalidate(body []byte) (plan, error) {
	var in struct {
		Kind   string `json:"kind"`
		Target string `json:"target"`
	}
	if err := parse(body, &in); err != nil {
		return plan{}, err
	}
	var target tiercache.Target
	switch in.Kind {
	case "key":
		target = tiercache.Key(in.Target)
	case "tag":
		target = tiercache.Tag(in.Target)
	case "pattern":
		target = tiercache.Pattern(in.Target)
	default:
		return plan{}, &problem{http.StatusBadRequest, `kind must be "key", "tag" or "pattern"`}
	}
	return plan{kind: in.Kind, target: h.names.key(in.Target), do: func(ctx context.Context, _ string) (int, done, error) {
		r, err := h.tiers.Invalidate(ctx, target)
		return http.StatusOK, done{Keys: r.Keys, Queued: r.Queued}, err
	}}, nil
}

func (h *Handler) planWarm(body []byte) (plan, error) {
	var in struct {
		Job string `json:"job"`
	}
	if err := parse(body, &in); err != nil {
		return plan{}, err
	}
	if !h.hasJob(in.Job) {
		return plan{}, &problem{http.StatusNotFound, "there is no such job"}
	}
	return plan{kind: "job", target: in.Job, do: func(_ context.Context, who string) (int, done, error) {
		return http.StatusAccepted, done{Queued: true}, h.trigger(in.Job, who)
	}}, nil
}

func (h *Handler) hasJob(name string) bool {
	if h.warmer == nil {
		return false
	}
	for _, j := range h.warmer.Status() {
		if j.Name == name {
			return true
		}
	}
	return false
}

// trigger has a job run, and does not wait for it. Who asks again before that run has
// ended gets the same run: else a click each would be a goroutine each, and a run each.
func (h *Handler) trigger(job, who string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed || h.ctx.Err() != nil:
		return tiercache.ErrClosed
	case h.asked[job]:
		return nil
	}
	h.asked[job] = true
	h.work.Go(func() {
		err := h.warmer.Trigger(h.ctx, job)
		h.mu.Lock()
		delete(h.asked, job)
		h.mu.Unlock()
		if err != nil {
			h.log.Warn("cachehttp: warm ended", "job", job, "who", who, "error", h.names.problem(err))
			return
		}
		h.log.Info("cachehttp: warm ended", "job", job, "who", who)
	})
	return nil
}
