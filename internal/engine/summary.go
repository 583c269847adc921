package engine

import (
	"log/slog"
	"sync/atomic"
)

// summary writes one log line every so many operations of all caches. Off, it
// costs an operation one comparison.
type summary struct {
	every int64 // 0: off; set before the first operation
	n     atomic.Int64
}

func (s *summary) count(e *Engine) {
	if s.every > 0 && s.n.Add(1)%s.every == 0 {
		e.logSummary()
	}
}

func (e *Engine) logSummary() {
	var t Counts
	for _, s := range e.Counts(e.Caches()) {
		t.MemoryHits += s.MemoryHits
		t.RedisHits += s.RedisHits
		t.Misses += s.Misses
		t.Loads += s.Loads
		t.Errors += s.Errors
	}
	hits := t.MemoryHits + t.RedisHits
	e.log.Info("tiercache: summary",
		slog.Int64("operations", hits+t.Misses),
		slog.Float64("hitRate", 100*float64(hits)/float64(max(1, hits+t.Misses))),
		slog.Int64("memoryHits", t.MemoryHits),
		slog.Int64("redisHits", t.RedisHits),
		slog.Int64("loads", t.Loads),
		slog.Int64("errors", t.Errors))
}
