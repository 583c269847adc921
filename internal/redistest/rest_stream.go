package redistest

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/redis/go-redis/v9"
)

// restStream is one subscription.
type restStream struct{ cut context.CancelFunc }

// subscribe sends an event for every message until the client goes, or the stream
// is cut.
func (r *REST) subscribe(w http.ResponseWriter, req *http.Request, channels []any) {
	if len(channels) == 0 {
		refuse(w, http.StatusBadRequest, "ERR wrong number of arguments for 'subscribe' command")
		return
	}
	names := make([]string, len(channels))
	for i := range channels {
		names[i] = channels[i].(string)
	}
	ctx, cut := context.WithCancel(req.Context())
	defer cut()
	ps := r.rdb.Subscribe(ctx, names...)
	defer ps.Close()
	defer context.AfterFunc(ctx, func() { _ = ps.Close() })()

	s := &restStream{cut}
	r.mu.Lock()
	r.streams[s] = struct{}{}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.streams, s)
	}()

	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w).Flush
	for {
		_ = flush()
		m, err := ps.Receive(ctx)
		if err != nil {
			return // also when Redis went: the client has to subscribe anew
		}
		if kind, _, _, _ := r.now(); kind == deaf {
			continue
		}
		switch m := m.(type) {
		case *redis.Subscription:
			fmt.Fprintf(w, "data: %s,%s,%d\n\n", m.Kind, m.Channel, m.Count)
		case *redis.Message:
			fmt.Fprintf(w, "data: message,%s,%s\n\n", m.Channel, strings.ToValidUTF8(m.Payload, "\uFFFD"))
		}
	}
}
