package cachetest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tiercache/tiercache"
)

// childEnv, in the environment, makes the test binary a node.
const childEnv = "TIERCACHE_CACHETEST_NODE"

// order is what a child is told at its beginning, in one line of JSON.
type order struct {
	Config ConsistencyConfig // its functions are left out
	Index  int
	Life   int
	Arg    string
	Board  string // the file
	Source string // the address
	Base   int64  // when the run began, by the raw clock
}

// What a parent says to a child after that, a line each, and what the child
// answers. Between answers it may say "breach" and JSON, or "trouble" and a
// quoted text. It ends with its input.
const (
	sayGo     = "go"     // begin the traffic; no answer
	sayCrash  = "crash"  // die inside the next Mutate, after the commit
	sayStop   = "stop"   // end the traffic; "stopped"
	sayQueued = "queued" // "queued" and a number
	sayLast   = "last"   // read every row, close, end; "done"
	ready     = "ready"  // the child's first word, unasked
)

// ChildMain is called first in the TestMain of a package whose tests use
// [Processes]. In the test's own process it returns at once. In a child it runs
// the node that open makes, arg being Processes.Arg, and does not return.
//
//	func TestMain(m *testing.M) {
//		cachetest.ChildMain(func(addr string, i int) (*tiercache.Tiers, error) { ... })
//		os.Exit(m.Run())
//	}
func ChildMain(open func(arg string, i int) (*tiercache.Tiers, error)) {
	if os.Getenv(childEnv) == "" {
		return
	}
	if err := runChild(open, os.Stdin, &sayer{w: os.Stdout}); err != nil {
		fmt.Fprintln(os.Stderr, "cachetest: a node:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// sayer writes whole lines.
type sayer struct {
	mu sync.Mutex // guards w
	w  io.Writer
}

func (s *sayer) say(words ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.w, strings.Join(words, " "))
}

func (s *sayer) trouble(what string) { s.say("trouble", strconv.Quote(what)) }

func (s *sayer) breach(b Breach) {
	raw, err := json.Marshal(b)
	if err != nil {
		s.trouble(err.Error())
		return
	}
	s.say("breach", string(raw))
}

func runChild(open func(string, int) (*tiercache.Tiers, error), in io.Reader, out *sayer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		return io.ErrUnexpectedEOF
	}
	var o order
	if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
		return err
	}
	board, unmap, err := openBoard(o.Board, o.Config)
	if err != nil {
		return err
	}
	defer unmap()
	src := &remoteSource{addr: o.Source}
	defer src.close()
	n, err := openNode(func(i int) (*tiercache.Tiers, error) { return open(o.Arg, i) }, o.Index, o.Config)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	if o.Index == 0 && o.Life == 0 {
		if _, err := n.invalidate(ctx, target{kind: ByClear}); err != nil {
			out.trouble(fmt.Sprintf("clearing at the beginning: %v", err))
		}
	}
	now := func() int64 { return rawNow() - o.Base }
	s := newStation(o.Config, o.Index, n, newJudge(board, o.Config.Bound, now, out.breach), src, out.trouble)
	s.life = o.Life
	var armed atomic.Bool
	s.crash = func(committed rowVersion) {
		if armed.CompareAndSwap(true, false) {
			s.die(committed)
		}
	}
	out.say(ready)
	for lines.Scan() {
		switch lines.Text() {
		case sayGo:
			s.start(ctx)
		case sayCrash:
			armed.Store(true)
		case sayStop:
			stop()
			s.wg.Wait()
			out.say("stopped")
		case sayQueued:
			out.say("queued", strconv.Itoa(n.queued()))
		case sayLast:
			s.last(context.Background())
			memory, redis := n.answers()
			board.add(o.Index, countMemory, memory)
			board.add(o.Index, countRedis, redis)
			if err := n.close(); err != nil {
				out.trouble(fmt.Sprintf("node %d, closing: %v", o.Index, err))
			}
			out.say("done")
			return nil
		default:
			return fmt.Errorf("told %q", lines.Text())
		}
	}
	return io.ErrUnexpectedEOF
}

// die is a crash between commit and invalidation. Nobody will ever invalidate,
// and the Mutate had marked before the commit: what others have is old from now.
func (s *station) die(committed rowVersion) {
	s.judge.board.publish(committed.row, committed.version, s.judge.now())
	s.count(countCrashes)
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err == nil {
		select {} // the signal is on its way
	}
	s.told(fmt.Sprintf("node %d could not kill itself: %v", s.index, err))
}
