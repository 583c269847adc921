package tiercache_test

import (
	"bufio"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// What tests of several nodes share.

// hear waits until nodes know that their memory is right.
func hear(t *testing.T, nodes ...*tiercache.Tiers) {
	t.Helper()
	for _, n := range nodes {
		soon(t, "a node hears every master", func() bool {
			h := n.Health()
			for _, m := range h.Masters {
				if !m.Fresh {
					return false
				}
			}
			return h.Mode == "memory" || len(h.Masters) > 0
		})
	}
}

// inMemory waits until memory answers for a key, and returns the value.
func inMemory[T any](t *testing.T, cache *tiercache.Cache[T], key string) (v T) {
	t.Helper()
	deadline := time.Now().Add(long)
	for {
		before := cache.Stats().MemoryHits
		v, ok, err := cache.Get(bg, key)
		require.NoError(t, err)
		if ok && cache.Stats().MemoryHits > before {
			return v
		}
		require.True(t, time.Now().Before(deadline), "memory never had %q", key)
		time.Sleep(time.Millisecond)
	}
}

// pair are two nodes with a cache each, which hear.
func pair(t *testing.T, addr string, opts tiercache.Options[int]) (nodes [2]*tiercache.Tiers, caches [2]*tiercache.Cache[int]) {
	t.Helper()
	for i := range nodes {
		nodes[i] = open(t, patient(client(t, addr)))
		caches[i] = newCache(t, nodes[i], opts)
	}
	hear(t, nodes[:]...)
	return nodes, caches
}

// commands is how often a server has run a command, by anybody.
func commands(t *testing.T, s *redistest.Server, name string) (calls int) {
	t.Helper()
	info, err := s.Client().Info(bg, "commandstats").Result()
	require.NoError(t, err)
	line, _, _ := strings.Cut(strings.TrimPrefix(field(info, "cmdstat_"+name+":"), "calls="), ",")
	calls, _ = strconv.Atoi(line)
	return calls
}

// spy counts the commands that clients send, and not those of scripts.
type spy struct {
	mu   sync.Mutex // guards seen
	seen []string
}

// spyOn returns when the server tells all that it is asked.
func spyOn(t *testing.T, s *redistest.Server) *spy {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	_, err = conn.Write([]byte("MONITOR\r\n"))
	require.NoError(t, err)
	lines := bufio.NewScanner(conn)
	require.True(t, lines.Scan())
	require.Equal(t, "+OK", lines.Text())
	p := &spy{}
	var reading sync.WaitGroup
	reading.Go(func() {
		for lines.Scan() {
			if !strings.Contains(lines.Text(), " lua] ") {
				p.mu.Lock()
				p.seen = append(p.seen, lines.Text())
				p.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() { _ = conn.Close(); reading.Wait() })
	return p
}

// all is the commands so far.
func (p *spy) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

// calls returns the commands so far whose text has all words.
func (p *spy) calls(words ...string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
next:
	for _, line := range p.seen {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		n++
	}
	return n
}

// changes is how many commands were sent so far that are not a heartbeat's.
func (p *spy) changes(t *testing.T, s *redistest.Server) (n int) {
	t.Helper()
	before := p.calls("the end")
	require.NoError(t, s.Client().Do(bg, "echo", "the end").Err())
	soon(t, "the end", func() bool { return p.calls("the end") > before })
	n = p.calls() - p.calls("the end")
	for _, other := range []string{`"ping"`, `"info"`, `"time"`, `"hello"`, `"client"`, `"INFO"`} {
		n -= p.calls(other)
	}
	return n
}
