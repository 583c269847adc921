package cachetest

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// troubles keeps the first few reasons why a run proves nothing.
type troubles struct {
	n     atomic.Int64
	mu    sync.Mutex // guards first
	first []string
}

const mostTroubles = 10

func (t *troubles) add(what string) {
	if t.n.Add(1) > mostTroubles {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.first = append(t.first, what)
}

func (t *troubles) list() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.n.Load(); n > mostTroubles {
		return append(t.first, fmt.Sprintf("and %d more", n-mostTroubles))
	}
	return t.first
}
