package redistest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/redis/go-redis/v9"
)

// several answers /pipeline and /multi-exec.
func (r *REST) several(w http.ResponseWriter, ctx context.Context, body []byte, b64, tx bool) {
	var raw [][]json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil || len(raw) == 0 {
		refuse(w, http.StatusBadRequest, "ERR failed to parse pipeline request")
		return
	}
	all := make([][]any, len(raw))
	for i := range raw {
		words, ok := wordsOf(raw[i])
		if !ok || len(words) == 0 {
			refuse(w, http.StatusBadRequest, "ERR failed to parse pipeline request")
			return
		}
		if text := unavailable(words); text != "" && tx {
			refuse(w, http.StatusBadRequest, text) // discarded as a whole
			return
		}
		all[i] = words
	}
	items := make([]map[string]any, len(all))
	cmds := make([]*redis.Cmd, len(all))
	run := r.rdb.Pipelined
	if tx {
		run = r.rdb.TxPipelined
	}
	if _, err := run(ctx, func(p redis.Pipeliner) error {
		for i, words := range all {
			if text := unavailable(words); text != "" {
				items[i] = map[string]any{"error": text}
				continue
			}
			cmds[i] = p.Do(ctx, words...)
		}
		return nil
	}); err != nil && !isAnswer(err) {
		refuse(w, http.StatusInternalServerError, "ERR "+err.Error())
		return
	} else if tx && strings.HasPrefix(fmt.Sprint(err), "EXECABORT") {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	for i, cmd := range cmds {
		if cmd != nil {
			items[i] = r.item(all[i], cmd, b64)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(items)
}

func isAnswer(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}

func (r *REST) item(words []any, cmd *redis.Cmd, b64 bool) map[string]any {
	v, err := cmd.Result()
	switch {
	case errors.Is(err, redis.Nil):
		return map[string]any{"result": nil}
	case err != nil:
		return map[string]any{"error": err.Error()}
	}
	if text, ok := v.(string); ok && strings.EqualFold(fmt.Sprint(words[0]), "INFO") && r.noRunID.Load() {
		v = withoutIdentity(text)
	}
	if v == any("OK") {
		return map[string]any{"result": v}
	}
	return map[string]any{"result": encoded(v, b64)}
}

func withoutIdentity(info string) string {
	var b strings.Builder
	for line := range strings.Lines(info) {
		if !strings.HasPrefix(line, "run_id:") && !strings.HasPrefix(line, "master_repl") && !strings.HasPrefix(line, "role:") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// encoded is what JSON says of a reply: strings in base64, if wanted. Of an array's
// strings OK is encoded too, or the vendor's client would misread it.
func encoded(v any, b64 bool) any {
	switch v := v.(type) {
	case string:
		if !b64 {
			return strings.ToValidUTF8(v, "\uFFFD")
		}
		return base64.StdEncoding.EncodeToString([]byte(v))
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = encoded(v[i], b64)
		}
		return out
	case error:
		if errors.Is(v, redis.Nil) {
			return nil
		}
		return map[string]any{"error": v.Error()}
	}
	return v
}

// wordsOf are the arguments of a command: strings, and numbers as they are written.
func wordsOf(raw []json.RawMessage) (words []any, ok bool) {
	for _, r := range raw {
		switch r[0] {
		case '"':
			var s string
			if json.Unmarshal(r, &s) != nil {
				return nil, false
			}
			words = append(words, s)
		case '[', '{', 'n':
			return nil, false
		default:
			words = append(words, string(r))
		}
	}
	return words, true
}

// unavailable refuses what needs a connection of its own.
func unavailable(words []any) string {
	verb := fmt.Sprint(words[0])
	switch strings.ToUpper(verb) {
	case "HELLO", "AUTH", "SELECT", "CLIENT", "QUIT", "RESET", "READONLY", "WATCH", "UNWATCH", "MULTI", "EXEC", "DISCARD", "MONITOR",
		"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE",
		"BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP":
		return "ERR Command is not available: '" + verb + "'. See https://upstash.com/docs/redis/overall/rediscompatibility for details"
	}
	return ""
}
