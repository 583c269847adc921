package main

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
)

const (
	readers    = 8                     // of each node, each one request at a time
	readEvery  = 32 * time.Millisecond // of each reader: 250 requests a second for a node, at most
	writeEvery = 150 * time.Millisecond
	people     = 60 // whose names are changed and read
	zipf       = 1.1
)

// account is a seeded user with a token that every node accepts.
type account struct {
	id     int64
	header http.Header // read only
}

// traffic is who reads and writes, and what came of it.
type traffic struct {
	nodes         []*node
	prefix        string // of every name that this run writes: the database may have those of an earlier one
	users, agents []account
	history       history
	issued        []atomic.Int64 // the last version of each user that was sent

	reads, judged, writes, stale, failed atomic.Int64

	mu    sync.Mutex // guards first
	first []string   // of what was wrong, the first few
}

func newTraffic(nodes []*node, seed store.Seed, signer *auth.Signer) (*traffic, error) {
	t := &traffic{nodes: nodes, prefix: "Fleet " + crand.Text()[:6] + " ", issued: make([]atomic.Int64, people)}
	for role, list := range map[store.Role]*[]account{store.RoleUser: &t.users, store.RoleAgent: &t.agents} {
		for i := 1; i <= people; i++ {
			id, email, ok := seed.Account(role, i)
			if !ok {
				break
			}
			token, _ := signer.Sign(store.User{ID: id, Email: email, Role: role})
			*list = append(*list, account{id, http.Header{"Authorization": {"Bearer " + token}}})
		}
	}
	if len(t.users) < people || len(t.agents) == 0 {
		return nil, fmt.Errorf("the database has too few users: %d", len(t.users))
	}
	return t, nil
}

// run reads and writes until ctx ends. No request is cut off by that.
func (t *traffic) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, n := range t.nodes {
		for range readers {
			all.Go(func() {
				random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
				who := rand.NewZipf(random, zipf, 1, people-1)
				every(ctx, readEvery, func() { t.read(n, random, int(who.Uint64())) })
			})
		}
	}
	all.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			next := time.After(writeEvery)
			t.write(t.nodes[rand.IntN(len(t.nodes))], i%people)
			select {
			case <-next:
			case <-ctx.Done():
			}
		}
	})
	all.Wait()
}

func every(ctx context.Context, d time.Duration, do func()) {
	ticks := time.NewTicker(d)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			do()
		}
	}
}

var ranges = []string{"7d", "30d", "90d", "365d"}

// read is one request: seven of ten for a profile, two for a list, one for analytics.
func (t *traffic) read(n *node, random *rand.Rand, user int) {
	if !n.take() {
		return
	}
	defer n.gate.RUnlock()
	switch k := random.IntN(10); {
	case k < 7:
		var p store.Profile
		began := time.Now()
		if t.ask(n, "GET", "/api/users/me", t.users[user].header, nil, &p) {
			t.judge(user, n, began, p.Name)
		}
	case k < 9:
		t.ask(n, "GET", "/api/inquiries?status="+store.Statuses[random.IntN(2)], t.users[user].header, nil, nil)
	default:
		t.ask(n, "GET", "/api/analytics/workload?range="+ranges[random.IntN(len(ranges))], t.agents[user%len(t.agents)].header, nil, nil)
	}
	t.reads.Add(1)
}

// judge looks whether a name that was read is as new as it has to be, and not newer
// than any.
func (t *traffic) judge(user int, n *node, began time.Time, name string) {
	text, ok := strings.CutPrefix(name, t.prefix)
	version, err := strconv.Atoi(text)
	if !ok || err != nil {
		version = 0 // as this run has found it
	}
	t.judged.Add(1)
	need := t.history.need(t.users[user].id, n.life, began)
	if last := t.issued[user].Load(); version < need || int64(version) > last {
		t.stale.Add(1)
		t.note("%s showed version %d of user %d where %d to %d were right", n.name(), version, user+1, need, last)
	}
}

// write changes a name. One goroutine writes, so versions are in order.
func (t *traffic) write(n *node, user int) {
	if !n.take() {
		return
	}
	defer n.gate.RUnlock()
	version := t.issued[user].Add(1)
	body := fmt.Sprintf(`{"name":"%s%d"}`, t.prefix, version)
	if t.ask(n, "PATCH", "/api/users/me", t.users[user].header, []byte(body), nil) {
		t.history.wrote(t.users[user].id, write{int(version), time.Now(), n.life})
	}
	t.writes.Add(1)
}

// ask counts what is not answered with 200, and decodes what is.
func (t *traffic) ask(n *node, method, path string, header http.Header, content []byte, into any) bool {
	err := func() error {
		req, err := http.NewRequest(method, n.base+path, bytes.NewReader(content))
		if err != nil {
			return err
		}
		req.Header = header
		resp, err := n.client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", resp.Status, raw)
		}
		if into != nil {
			return json.Unmarshal(raw, into)
		}
		return nil
	}()
	if err != nil {
		t.failed.Add(1)
		t.note("%s, %s %s: %v", n.name(), method, path, err)
	}
	return err == nil
}

const mostNotes = 5

func (t *traffic) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.first) < mostNotes {
		t.first = append(t.first, fmt.Sprintf(format, args...))
	}
}
