package cachetest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Processes runs each node in a process of its own, which is the test binary
// started again; see ChildMain. The source of truth is the test's own process.
// Linux only: elsewhere the test is skipped. A Processes is for one run.
type Processes struct {
	// Arg is what ChildMain's function gets: the address of a Redis, say.
	Arg string

	run *processRun // nil outside a run
}

// Pause is a fault that stops the process of a node for some time.
func (p *Processes) Pause(node int, d time.Duration) Fault {
	return Fault{
		Name:   "pause-node",
		For:    d,
		Inject: func(context.Context) { p.run.signal(node, stopProcess) },
		Heal:   func() { p.run.signal(node, continueProcess) },
	}
}

// Crash is a fault that ends the process of a node inside a Mutate, between the
// commit and the invalidation. Another process takes its place.
func (p *Processes) Crash(node int) Fault {
	return Fault{Name: "crash-node", Inject: func(context.Context) { p.run.crash(node) }}
}

// processRun is one run, seen from the test's process.
type processRun struct {
	t        testing.TB
	cfg      ConsistencyConfig
	order    order
	children []*child
	trouble  troubles
	breaches chan Breach // room for all that are recorded
}

// patience is how long a child may take for what takes no time.
const patience = 30 * time.Second

func runProcesses(t testing.TB, cfg ConsistencyConfig) Result {
	t.Helper()
	if !processesSupported {
		t.Skip("cachetest: nodes in processes of their own need Linux")
	}
	if cfg.Processes.run != nil {
		t.Fatal("cachetest: ConsistencyConfig.Processes is in use by another run")
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("cachetest: %v", err)
		}
	}
	path := filepath.Join(t.TempDir(), "board")
	must(os.WriteFile(path, nil, 0o600))
	must(os.Truncate(path, int64(boardOf(cfg).size())*8))
	board, unmap, err := openBoard(path, cfg)
	must(err)
	defer unmap()
	source, err := serveSource(newTable(cfg.Rows))
	must(err)
	defer source.close()

	base := rawNow()
	r := &processRun{
		t:        t,
		cfg:      cfg,
		order:    order{Config: cfg, Arg: cfg.Processes.Arg, Board: path, Source: source.addr(), Base: base},
		children: make([]*child, cfg.NodeCount),
		breaches: make(chan Breach, 1000),
	}
	cfg.Processes.run = r
	defer func() { cfg.Processes.run = nil }()
	defer r.killAll()
	for i := range r.children {
		r.spawn(i, 0)
	}
	r.each(func(c *child) { c.say(sayGo) })
	injected := injectFaults(t.Context(), cfg)
	r.each(func(c *child) { c.say(sayStop) })
	r.each(func(c *child) { r.answer(c, "stopped", patience) })
	awaitSettled(t.Context(), cfg, r.queued, &r.trouble)
	r.each(func(c *child) {
		c.say(sayLast)
		r.answer(c, "done", patience+time.Duration(cfg.Rows)*time.Second)
	})

	result := resultOf(cfg, board)
	result.Duration = time.Duration(rawNow() - base)
	result.Faults = injected
	for len(r.breaches) > 0 {
		result.Breaches = append(result.Breaches, <-r.breaches)
	}
	result.Trouble = r.trouble.list()
	return result
}

func boardOf(cfg ConsistencyConfig) *board { return shape(cfg.Rows, cfg.NodeCount, cfg.Duration) }

func openBoard(path string, cfg ConsistencyConfig) (*board, func(), error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	b := boardOf(cfg)
	cells, unmap, err := mapCells(f, b.size())
	b.cells = cells
	return b, unmap, err
}

// spawn starts a node's process and returns when its Tiers are open.
func (r *processRun) spawn(index, life int) {
	r.t.Helper()
	o := r.order
	o.Index, o.Life = index, life
	raw, err := json.Marshal(o)
	if err != nil {
		r.t.Fatalf("cachetest: %v", err)
	}
	c, err := startChild(index, life, r.note)
	if err != nil {
		r.t.Fatalf("cachetest: node %d: %v", index, err)
	}
	r.children[index] = c
	c.say(string(raw))
	if got, ok := c.hear(patience); !ok || got != ready {
		r.t.Fatalf("cachetest: node %d did not get ready: is ChildMain called first in this package's TestMain?", index)
	}
}

func (r *processRun) each(do func(*child)) {
	for _, c := range r.children {
		do(c)
	}
}

// note takes what a child says unasked.
func (r *processRun) note(word, rest string) {
	switch word {
	case "breach":
		var b Breach
		if err := json.Unmarshal([]byte(rest), &b); err != nil {
			r.trouble.add(err.Error())
			return
		}
		select {
		case r.breaches <- b:
		default: // they are counted on the board
		}
	case "trouble":
		text, err := strconv.Unquote(rest)
		if err != nil {
			text = rest
		}
		r.trouble.add(text)
	}
}

// answer waits for a child's answer of which prefix is the beginning.
func (r *processRun) answer(c *child, prefix string, limit time.Duration) (rest string) {
	got, ok := c.hear(limit)
	if !ok || len(got) < len(prefix) || got[:len(prefix)] != prefix {
		r.trouble.add(fmt.Sprintf("node %d did not say %q but %q", c.index, prefix, got))
		return ""
	}
	return got[len(prefix):]
}

func (r *processRun) queued() (n int) {
	r.each(func(c *child) {
		c.say(sayQueued)
		if one, err := strconv.Atoi(r.answer(c, "queued ", patience)); err == nil {
			n += one
		}
	})
	return n
}

func (r *processRun) signal(node int, send func(*os.Process) error) {
	if err := send(r.children[node].process); err != nil {
		r.trouble.add(fmt.Sprintf("node %d, a signal: %v", node, err))
	}
}

func (r *processRun) crash(node int) {
	r.t.Helper()
	c := r.children[node]
	c.say(sayCrash)
	select {
	case <-c.exited:
	case <-time.After(patience):
		r.trouble.add(fmt.Sprintf("node %d was to crash inside a Mutate and made none", node))
		return
	}
	r.spawn(node, c.life+1)
	r.children[node].say(sayGo)
}

func (r *processRun) killAll() {
	for _, c := range r.children {
		if c != nil {
			c.kill()
		}
	}
}
