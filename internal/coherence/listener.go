// Package coherence tells a node whether its memory is right, for one Redis
// master.
//
// A Listener holds one connection to the master. In Tracking mode the server
// pushes the name of every key under the prefix that changes, whoever changed
// it. Where the server refuses that, in Pub/Sub mode, the node hears only what
// other nodes say with Publish. In both, the node asks four times per bound
// whether it has heard everything, and Hearing holds the answer: memory is served
// only while an answer less than the bound old is in hand. When the connection is
// lost the node is deaf; when it hears again, the epoch advances and what memory
// held before is void.
//
// In Tracking mode the question is a PING on the listening connection. Redis
// sends the pushes of one turn of its event loop before the replies of that turn,
// so whoever got the reply to a write before the PING was sent has its push ahead
// of the PONG. In Pub/Sub mode the question is the number of messages, see chain.
package coherence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/envelope"
)

// Handler is told what was heard, in order, on the goroutine that reads: its
// methods must not block, nor call Close.
type Handler interface {
	Changed(key string)     // full Redis key: written, deleted, expired or evicted
	Flushed()               // FLUSHALL or FLUSHDB; the epoch has advanced already
	Message(payload string) // of Publish; may come twice
}

// Config of a Listener. All fields but Logger are required.
type Config struct {
	// Options are how to reach the server: address, dialer, TLS, credentials,
	// timeouts. OnConnect, if any, is called on each connection.
	Options redis.Options
	// Meet says who is at the other end of a new connection. An error refuses
	// the connection.
	Meet func(ctx context.Context, cn *redis.Conn) (envelope.ID, error)
	// Standing says whom the connections lead to that data is read from, when
	// (clock.Now, before it was asked; 0: never) that one last said that it is
	// the master, and whether it is in use. It must not block.
	Standing func() (id envelope.ID, asked int64, inUse bool)
	// Prefix of all keys and channels.
	Prefix string
	// Bound is how old an answer may be.
	Bound time.Duration
	// PubSub allows Pub/Sub mode where tracking is refused.
	PubSub  bool
	Handler Handler
	Logger  *slog.Logger // nil: no log
}

// Mode is how a node hears.
type Mode int32

const (
	Connecting Mode = iota // not at present
	None                   // the server refuses; tried again every few seconds
	PubSub                 // what other nodes publish
	Tracking               // every change
)

func (m Mode) String() string {
	return [...]string{Connecting: "connecting", None: "none", PubSub: "pubsub", Tracking: "tracking"}[m]
}

const (
	firstRetry   = 50 * time.Millisecond // doubled each time, with jitter
	lastRetry    = 2 * time.Second
	refusedRetry = 5 * time.Second
)

// Listener keeps listening until it is closed. Safe for concurrent use.
type Listener struct {
	cfg     Config
	hearing Hearing
	mode    atomic.Int32
	stop    context.CancelFunc
	done    chan struct{}
	soon    chan struct{} // asks for the next heartbeat, or attempt to connect, at once

	since atomic.Int64
	best  Mode // the last mode but Connecting; of run alone
}

// Listen starts at once and returns without waiting for the server. Handler may
// be called before it returns.
func Listen(cfg Config) *Listener {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Listener{cfg: cfg, done: make(chan struct{}), soon: make(chan struct{}, 1), best: Tracking}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	go l.run(ctx)
	return l
}

// Hearing is the same for the whole life of the Listener. After Close nothing is
// fresh.
func (l *Listener) Hearing() *Hearing { return &l.hearing }

// Since is when Tracking mode began last, by clock.Now.
func (l *Listener) Since() int64 { return l.since.Load() }

// Mode is the present one.
func (l *Listener) Mode() Mode { return Mode(l.mode.Load()) }

// Close ends the connections and returns when no goroutine is left and no method
// of Handler runs. It waits for a Dialer of the user that ignores its context.
// More calls do nothing.
func (l *Listener) Close() {
	l.stop()
	<-l.done
}

func (l *Listener) run(ctx context.Context) {
	defer close(l.done)
	backoff := firstRetry
	for {
		heard, err := l.listen(ctx)
		if ctx.Err() != nil {
			return
		}
		var no *refused
		wait := backoff
		switch {
		case errors.As(err, &no):
			l.setMode(None, no.err)
			wait = refusedRetry
		case heard:
			backoff = firstRetry
			wait = backoff
			l.setMode(Connecting, err)
		default:
			backoff = min(2*backoff, lastRetry)
			if l.Mode() != None {
				l.setMode(Connecting, err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait/2 + rand.N(wait/2+1)): // a fleet does not knock in step
		case <-l.soon:
		}
	}
}

// setMode logs a change with its reason, as a warning if less is heard than
// before, or than a server may be expected to tell.
func (l *Listener) setMode(m Mode, why error) {
	if Mode(l.mode.Swap(int32(m))) == m {
		return
	}
	level := slog.LevelInfo
	if m < l.best {
		level = slog.LevelWarn
	}
	if m != Connecting {
		l.best = m
	}
	args := []any{"mode", m.String(), "addr", l.cfg.Options.Addr, "prefix", l.cfg.Prefix}
	if why != nil {
		args = append(args, "reason", why)
	}
	l.cfg.Logger.Log(context.Background(), level, "tiercache: how this node hears of changes", args...)
}

// session is the life of one connection.
type session struct {
	l   *Listener
	ctx context.Context // ends with the session, its cause is the reason
	end context.CancelCauseFunc
	ps  *redis.PubSub

	// Written while the connection is made, not after.
	id       envelope.ID // who is at the other end
	tracking bool
	refusal  error // why not

	good  atomic.Bool // an answer counted
	chain chain

	mu sync.Mutex // guards the dialler's memory, see single
}

// errOtherServer ends a connection to a server that data is not read from, which
// may have been demoted without knowing.
var errOtherServer = errors.New("this connection and those that read data lead to different servers")

// listen connects and receives until that fails. It reports whether the
// connection was of use.
func (l *Listener) listen(ctx context.Context) (heard bool, err error) {
	s := &session{l: l, chain: chain{bound: int64(l.cfg.Bound)}}
	s.ctx, s.end = context.WithCancelCause(ctx)
	client := redis.NewClient(s.listenOptions())
	s.ps = client.Subscribe(s.ctx) // dials when it is told a channel
	var beats sync.WaitGroup
	defer func() {
		s.end(err)
		l.hearing.Lose() // at once, and once more when nobody can answer any more
		beats.Wait()
		l.hearing.Lose()
		_ = s.ps.Close()
		_ = client.Close()
		err = context.Cause(s.ctx)
		heard = s.good.Load()
	}()

	if err := s.ps.Subscribe(s.ctx, l.cfg.Prefix+channelName); err != nil {
		return false, err
	}
	first, err := s.ps.ReceiveTimeout(s.ctx, patience(l.cfg.Bound))
	switch {
	case isRefusal(err):
		return false, &refused{err}
	case err != nil:
		return false, err
	}
	if _, ok := first.(*redis.Subscription); !ok {
		return false, fmt.Errorf("SUBSCRIBE was answered by %T", first)
	}
	if s.tracking {
		l.since.Store(clock.Now())
		l.setMode(Tracking, nil)
	} else {
		if err := s.ps.Subscribe(s.ctx, l.cfg.Prefix+peersName); err != nil {
			return false, err
		}
		if _, err := s.ps.ReceiveTimeout(s.ctx, patience(l.cfg.Bound)); isRefusal(err) {
			return false, &refused{err}
		} else if err != nil {
			return false, err
		}
		l.setMode(PubSub, s.refusal)
	}
	beats.Go(s.heartbeat)
	return false, s.receive()
}

// receive handles what comes, in order: when a PONG is taken in hand, everything
// that was said before it was handled.
func (s *session) receive() error {
	wait := patience(s.l.cfg.Bound)
	for {
		m, err := s.ps.ReceiveTimeout(s.ctx, wait)
		if err != nil {
			return err // half a frame may have been read: this connection is over
		}
		switch m := m.(type) {
		case *redis.Message:
			err = s.message(m.Payload)
		case *redis.Pong:
			sent, perr := strconv.ParseInt(m.Payload, 10, 64)
			if perr != nil || sent > clock.Now() {
				return fmt.Errorf("PING was answered by %.40q", m.Payload)
			}
			if s.tracking {
				err = s.pong(sent)
			}
		}
		if err != nil {
			return err
		}
	}
}

func (s *session) message(text string) error {
	prev, n, payload, ok := parseMessage(text)
	if !ok {
		s.l.cfg.Logger.Warn("tiercache: not a message of this library on its channel", "channel", s.l.cfg.Prefix+channelName)
		return s.take(outcome{lost: true})
	}
	s.l.cfg.Handler.Message(payload)
	if s.tracking {
		return nil // nothing gets lost on a connection
	}
	return s.take(s.chain.message(prev, n))
}

// pong counts an answer to a question that was sent then, if it comes from the
// server that data is read from. While that is out of use nothing is heard, and
// memory starts anew when it is back: it may hold what was loaded without Redis.
func (s *session) pong(sent int64) error {
	id, asked, inUse := s.l.cfg.Standing()
	switch {
	case !inUse || asked <= 0:
		s.l.hearing.Lose()
		return nil
	case id != s.id:
		return errOtherServer
	}
	if s.l.hearing.pong(sent, asked, s.l.cfg.Bound) {
		s.good.Store(true)
	}
	return nil
}

// Hurry makes the next heartbeat, or the next attempt to connect, come now: after a
// loss that the connection survived, when the server answers again, and when it is in
// use, so that memory serves as soon as it may.
func (l *Listener) Hurry() {
	select {
	case l.soon <- struct{}{}:
	default:
	}
}

// glanceEvery is how often a node looks whether it has to wait for others: those
// that start together with it are of its kind in a moment.
const glanceEvery = 10 * time.Millisecond

// heartbeat asks. In Pub/Sub mode the PING only shows that the connection lives.
func (s *session) heartbeat() {
	var a *asker
	if !s.tracking {
		a = s.newAsker()
		defer func() { _ = a.rdb.Close() }()
	}
	t := time.NewTicker(beatEvery(s.l.cfg.Bound))
	defer t.Stop()
	began, known := clock.Now(), false
	for {
		err := s.ps.Ping(s.ctx, strconv.FormatInt(clock.Now(), 10))
		if known = known || a != nil && s.alone(a, began); err == nil && known {
			err = s.ask(a)
		}
		if err != nil {
			s.end(err)
			return
		}
		var glance <-chan time.Time
		if a != nil && !known {
			glance = time.After(glanceEvery)
		}
		select {
		case <-s.ctx.Done():
			return
		case <-t.C:
		case <-glance:
		case <-s.l.soon:
		}
	}
}
