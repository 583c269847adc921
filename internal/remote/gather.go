package remote

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// How commands share round trips.
const (
	mostAtOnce = 8       // round trips that are under way at the same time; 2 to 8 cost the same
	mostShared = 128     // commands in one: 0.5 ms of the server's time
	mostSent   = 1 << 20 // bytes of arguments in one
)

// gather is a client some of whose commands share round trips while there are many.
// The first few run alone, each on its caller's goroutine and a connection of its
// own. Who comes while these are under way waits in a queue, and whoever is done
// leaves the queue to a goroutine that sends it as one pipeline. So nothing is put
// off to find company, and nobody waits for longer than his context allows: the
// pipeline has a budget of its own, and who gives up before it takes his command
// leaves nothing to be sent.
//
// Commands that share are those below by name; what else a client has goes its
// usual way. Safe for concurrent use.
type gather struct {
	*redis.Client
	budget budget
	usual  *usual
	failed func(error) // hears once of a round trip without an answer, however many shared it
	most   int         // round trips at a time
	hooked bool        // hooks of the user's see the contexts

	mu      sync.Mutex // guards what follows; nothing is waited for under it
	flying  int        // round trips; below most, the queue is empty
	lanes   lanes      // for those of one read by its caller
	queue   []*request // in the order they came
	free    []*request
	closed  bool
	sending sync.WaitGroup // Add under mu, while not closed
}

// request is what one caller wants sent. Until it is taken it is his, from then on
// the sender's, until that says done.
type request struct {
	cmds  []redis.Cmder
	write bool
	bytes int
	done  chan struct{} // has room, so that nobody who left is waited for
	timer *time.Timer   // stopped; nil before its first caller with a limit
	taken bool          // guarded by gather.mu, and so is
	left  bool          // its caller gave up before it was taken
	err   error         // why there is no answer; the sender's, before done
}

func newGather(rdb *redis.Client, b budget, u *usual, failed func(error)) *gather {
	conns := rdb.Options().PoolSize
	if most := rdb.Options().MaxActiveConns; most > 0 { // what comes beyond is not waited for
		conns = min(conns, most)
	}
	g := &gather{Client: rdb, budget: b, usual: u, failed: failed, most: min(mostAtOnce, max(1, conns/2))}
	if rdb.Options().StreamingCredentialsProvider == nil { // of which a redis.Conn knows nothing
		g.lanes.most = min(g.most, conns/4) // a quarter is for the others, whatever is under way
	}
	return g
}

// untold is the error of one of many that shared a round trip: news of the server it
// is once, and whoever sent the commands tells it.
type untold struct{ error }

func (e untold) Unwrap() error { return e.error }

// do sends cmds, next to each other in one round trip, and returns the first error.
// If that is an untold one, the cmds may not be read: they may still be sent.
func (g *gather) do(ctx context.Context, write bool, cmds ...redis.Cmder) error {
	g.mu.Lock()
	if g.flying < g.most {
		g.flying++
		var ln *lane
		if !write && len(cmds) == 1 && !g.hooked && !g.closed && !gone(ctx) { // for a lane nobody looks again
			ln = g.lanes.take(g.endLanes)
		}
		g.mu.Unlock()
		return g.alone(ctx, ln, cmds)
	}
	r := g.joinLocked(write, cmds)
	g.mu.Unlock()
	over := r.wait(ctx)
	if over == nil {
		return g.answered(r)
	}
	g.mu.Lock()
	if !r.taken {
		r.left, r.cmds = true, nil
	}
	g.mu.Unlock()
	return untold{over}
}

// alone sends cmds on their caller's goroutine, on the lane if there is one.
func (g *gather) alone(ctx context.Context, ln *lane, cmds []redis.Cmder) (err error) {
	err = errNoReturn
	defer func() { g.landed(ln, err) }()
	var by processor = g.Client
	if ln != nil {
		if ln.conn == nil { // not under mu: hooks of the user's are called
			ln.conn = g.Client.Conn()
		}
		by = ln.conn
	}
	_, err = g.send(ctx, by, cmds)
	return err
}

// wait is for the answer, or for the end of ctx, which is its error.
func (r *request) wait(ctx context.Context) error {
	var at <-chan time.Time
	parent := ctx
	if l, is := ctx.(*limited); is { // without what it would make to be waited for
		if parent = l.Context; r.timer == nil {
			r.timer = time.NewTimer(time.Until(l.at))
		} else {
			r.timer.Reset(time.Until(l.at))
		}
		defer r.timer.Stop()
		at = r.timer.C
	}
	select {
	case <-r.done:
		return nil
	case <-parent.Done():
		return parent.Err()
	case <-at:
		return context.DeadlineExceeded
	}
}

func (g *gather) joinLocked(write bool, cmds []redis.Cmder) (r *request) {
	if n := len(g.free); n > 0 {
		r, g.free = g.free[n-1], g.free[:n-1]
	} else {
		r = &request{done: make(chan struct{}, 1)}
	}
	r.cmds, r.write, r.bytes = cmds, write, sizeOf(cmds)
	g.queue = append(g.queue, r)
	return r
}

// answered gives r back for the next one to use.
func (g *gather) answered(r *request) error {
	err := r.err
	if err == nil {
		for _, cmd := range r.cmds {
			if err = cmd.Err(); err != nil {
				break
			}
		}
	}
	*r = request{done: r.done, timer: r.timer}
	g.mu.Lock()
	if len(g.free) < mostShared {
		g.free = append(g.free, r)
	}
	g.mu.Unlock()
	return err
}

type processor interface {
	Process(context.Context, redis.Cmder) error
}

// send is one round trip, of one command by by. answered is false if cmds have no answers, or may have
// none: then all of them have the error.
func (g *gather) send(ctx context.Context, by processor, cmds []redis.Cmder) (answered bool, err error) {
	if len(cmds) == 1 {
		if l, is := ctx.(*limited); is && !g.hooked {
			ctx = &l.taking
		}
		err = by.Process(ctx, cmds[0])
		answered = err == nil || isAnswer(err)
	} else {
		p := g.Pipeline()
		_ = p.BatchProcess(ctx, cmds...)
		_, err = p.Exec(ctx)
		// An answer that no command has is that to the handshake: nothing was sent.
		answered = err == nil || isAnswer(err) && slices.ContainsFunc(cmds, func(c redis.Cmder) bool { return c.Err() != nil })
	}
	if !answered {
		for _, cmd := range cmds {
			cmd.SetErr(err)
		}
	} else if n, bytes := brought(cmds); n > 0 {
		g.usual.took(n, bytes)
	}
	return answered, err
}

// landed ends a round trip, and leaves its place to those who wait for one. ln has had it,
// with that error, nil for none.
func (g *gather) landed(ln *lane, err error) {
	g.mu.Lock()
	if ended := g.lanes.back(ln, err); len(ended) > 0 { // before somebody has their place
		g.mu.Unlock()
		closeAll(ended)
		g.mu.Lock()
	}
	batch := g.takeLocked(nil)
	wait := g.closed // nothing is sent any more, so this does not take long
	switch {
	case len(batch) == 0:
		g.flying--
	case !wait:
		g.sending.Go(func() { g.sendAll(batch) })
	}
	g.mu.Unlock()
	if wait {
		g.sendAll(batch)
	}
}

// sendAll sends batch, and then what is in the queue, until that is empty.
func (g *gather) sendAll(batch []*request) {
	defer func() {
		if len(batch) > 0 { // sendBatch ended the goroutine
			g.landed(nil, nil)
		}
	}()
	for len(batch) > 0 {
		g.sendBatch(batch)
		runtime.Gosched() // those who were answered may ask again: one round trip for all of them
		g.mu.Lock()
		if batch = g.takeLocked(batch); len(batch) == 0 {
			g.flying--
		}
		g.mu.Unlock()
	}
}

func (g *gather) sendBatch(batch []*request) {
	limit := g.budget.read
	var cmds []redis.Cmder
	for _, r := range batch {
		cmds = append(cmds, r.cmds...)
		if r.write {
			limit = max(limit, g.budget.write)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	answered, err := false, errNoReturn
	defer func() {
		for _, r := range batch {
			if !answered {
				r.err = untold{err}
			}
			r.done <- struct{}{}
		}
	}()
	defer recovering(&err) // what the user has to say when a connection is made
	if answered, err = g.send(ctx, g.Client, cmds); !answered {
		g.usual.late(len(cmds), err)
		g.failed(err)
	}
}

// takeLocked takes from the queue what goes in one round trip, in batch's place.
func (g *gather) takeLocked(batch []*request) []*request {
	batch = batch[:0]
	if len(g.queue) == 0 {
		return batch
	}
	room, sent, n := g.usual.fits(mostShared), 0, 0
	for _, r := range g.queue {
		if !r.left {
			if len(batch) > 0 && (len(r.cmds) > room || sent+r.bytes > mostSent) {
				break
			}
			r.taken = true
			room -= len(r.cmds)
			sent += r.bytes
			batch = append(batch, r)
		}
		n++
	}
	rest := copy(g.queue, g.queue[n:])
	clear(g.queue[rest:])
	g.queue = g.queue[:rest]
	return batch
}

// close ends all connections, and returns when nothing is under way any more that
// the gather has begun.
func (g *gather) close() error {
	g.mu.Lock()
	g.closed = true
	ended := g.lanes.end()
	g.mu.Unlock()
	closeAll(ended)
	err := g.Client.Close()
	g.sending.Wait()
	return err
}

// endLanes gives the connections of the lanes back to the pool.
func (g *gather) endLanes() {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	ended := g.lanes.end()
	g.sending.Add(1)
	g.mu.Unlock()
	defer g.sending.Done()
	closeAll(ended)
}

// The commands that share round trips.

func (g *gather) Get(ctx context.Context, key string) *redis.StringCmd {
	return g.read(ctx, "get", key)
}

func (g *gather) read(ctx context.Context, args ...any) *redis.StringCmd {
	cmd := redis.NewStringCmd(ctx, args...)
	if err := g.do(ctx, false, cmd); isUntold(err) {
		return redis.NewStringResult("", err)
	}
	return cmd
}

func (g *gather) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return g.eval(ctx, "eval", script, keys, args)
}

func (g *gather) EvalSha(ctx context.Context, sha1 string, keys []string, args ...any) *redis.Cmd {
	return g.eval(ctx, "evalsha", sha1, keys, args)
}

func (g *gather) eval(ctx context.Context, name, script string, keys []string, args []any) *redis.Cmd {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, name, script, len(keys))
	for _, k := range keys {
		all = append(all, k)
	}
	cmd := redis.NewCmd(ctx, append(all, args...)...)
	if err := g.do(ctx, true, cmd); isUntold(err) {
		return redis.NewCmdResult(nil, err)
	}
	return cmd
}

func isUntold(err error) bool { _, is := err.(untold); return is }

var errNoReturn = errors.New("tiercache: the goroutine that asked Redis was ended")

func isAnswer(err error) bool { return answer(err) != "" }

// sizeOf is about how long cmds are on their way to the server.
func sizeOf(cmds []redis.Cmder) (bytes int) {
	for _, cmd := range cmds {
		for _, arg := range cmd.Args() {
			switch a := arg.(type) {
			case []byte:
				bytes += len(a)
			case string:
				bytes += len(a)
			}
		}
	}
	return bytes
}

// brought is how many of cmds brought something long, and how long it is.
func brought(cmds []redis.Cmder) (n, bytes int) {
	for _, cmd := range cmds {
		switch c := cmd.(type) {
		case *redis.StringCmd:
			n, bytes = n+1, bytes+len(c.Val())
		case *redis.Cmd:
			if text, is := c.Val().(string); is {
				n, bytes = n+1, bytes+len(text)
			}
		}
	}
	return n, bytes
}
