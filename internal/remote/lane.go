package remote

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// laneLife is for how long a connection is kept out of its pool.
const laneLife = 100 * time.Millisecond

// lanes are connections that lone reads take turns on. To take one from go-redis's pool,
// which asks the kernel whether it is alive, and to give it back takes a twentieth of a read.
// So they are kept, all for the same while, and then given back: what the pool knows of their
// age, of what has become of their server and of new credentials it acts on then.
//
// If the server, or a proxy, closes those that are idle, all at once, the first read that
// meets one fails, and all are given back. The others must not:
//
//	A, B, C: idle | server: closes them | A: EOF | B: EOF | C: EOF, the circuit opens
//
// The pool throws one away that has said more than it was asked for. Here the next read would
// get that, so there are no writes on lanes: a value says which key it is of and is refused
// under another, and whose turn it is to refresh one is a hint.
//
// A redis.Conn has the user's hooks wrapped around it anew, so with hooks there are none.
//
// All of it is guarded by the mu of the gather.
type lanes struct {
	most  int // so many at a time
	free  []*lane
	n     int         // of this while, free or not
	while int         // a number
	timer *time.Timer // ends it; nil before the first
}

// lane is one, without a connection before its first read.
type lane struct {
	conn  *redis.Conn
	while int
}

// take is a lane that is the caller's until he gives it back; nil: there is none.
func (l *lanes) take(end func()) *lane {
	if n := len(l.free); n > 0 {
		ln := l.free[n-1]
		l.free = l.free[:n-1]
		return ln
	}
	if l.n >= l.most {
		return nil
	}
	if l.n++; l.n == 1 {
		if l.timer == nil {
			l.timer = time.AfterFunc(laneLife, end)
		} else {
			l.timer.Reset(laneLife)
		}
	}
	return &lane{while: l.while}
}

// back takes a lane, nil for none, after a read with that error, and returns those that are
// to be closed: then the pool has their connections again.
func (l *lanes) back(ln *lane, err error) (ended []*lane) {
	switch {
	case ln == nil:
		return nil
	case ln.while != l.while:
	case err == nil, err == redis.Nil:
		l.free = append(l.free, ln)
		return nil
	case isAnswer(err): // after some go-redis gives the connection up
		l.n--
	default:
		ended = l.end()
	}
	return append(ended, ln)
}

// end ends the while, and returns those that are to be closed. The others are when they
// are given back.
func (l *lanes) end() (ended []*lane) {
	if l.timer != nil {
		l.timer.Stop()
	}
	ended, l.free = l.free, nil
	l.n = 0
	l.while++
	return ended
}

func closeAll(ended []*lane) {
	for _, ln := range ended {
		if ln.conn != nil {
			_ = ln.conn.Close()
		}
	}
}
