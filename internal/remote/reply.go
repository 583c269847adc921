package remote

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/envelope"
)

// ErrUnavailable is the error of an operation that was not tried, because its
// master is out of use or not known yet.
var ErrUnavailable = errors.New("tiercache: Redis is unavailable")

// Reply is what stood under a key, and the incarnation of the master that said
// so, read after the answer: a connection learns it before it carries its first
// command, so a value never passes under the stamp of an earlier server.
type Reply struct {
	Raw   []byte // nil: nothing; empty: something that is not a string
	Stamp envelope.ID
}

func (r Reply) Absent() bool { return r.Raw == nil }

var notAString = []byte{}

// bytesOf is text without a copy, as go-redis's own Bytes is. Nobody changes what
// Redis answered.
func bytesOf(text string) []byte {
	if text == "" {
		return []byte{} // never nil, which says absent
	}
	return unsafe.Slice(unsafe.StringData(text), len(text))
}

// news is what the result of an operation says about the server.
type news int

const (
	none     news = iota // the caller gave up, no connection was free, or a life of the server ended
	answered             // whatever it answered
	full                 // it takes no writes, or no more requests
	slow                 // it did not, in time
	dead                 // the connection broke
	refusing             // it lets nobody in, or says that it cannot serve
)

// Over is the reason why the caller waits no more, nil if he does. The deadline
// of ctx is that of the socket too, which may tell first: by a timeout that is
// news of the caller and not of the server.
func Over(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if at, ok := ctx.Deadline(); ok && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	return nil
}

func newsOf(ctx context.Context, err error) news {
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		return answered
	case errors.As(err, new(untold)):
		return none
	case errors.Is(err, errReplica), errors.As(err, new(errUnusable)):
		return refusing
	case answer(err) != "":
		return newsIn(inner(answer(err)))
	case Over(ctx) != nil, errors.Is(err, redis.ErrClosed), errors.Is(err, errOvertaken), errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return none // those that hold the connections will tell
	case isTimeout(err):
		return slow
	case errors.As(err, new(dialError)):
		return refusing
	}
	return dead
}

// newsIn is what an answer that is an error says, by how it begins: what follows
// may quote keys.
func newsIn(text string) news {
	begins := func(with ...string) bool {
		return slices.ContainsFunc(with, func(p string) bool { return strings.HasPrefix(text, p) })
	}
	switch {
	case begins("LOADING", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "NOAUTH", "WRONGPASS", "BUSY "):
		return refusing
	case begins("OOM ", "MISCONF ", "NOREPLICAS "):
		return full
	case begins("ERR max number of clients", "ERR max concurrent connections"):
		return dead // others' connections may live
	case begins("ERR max request", "ERR max daily request", "ERR DB capacity", "ERR max commands", "ERR quota"):
		// Hosted ones say "… limit exceeded" or "… quota exceeded" of the account, and
		// "… size exceeded" of one command.
		what, _, _ := strings.Cut(text, ".")
		if strings.Contains(what, "limit exceeded") || strings.Contains(what, "quota") {
			return full
		}
	}
	return answered
}

// inner is what a command in a script answered: servers before 7 wrap it.
//
//	ERR Error running script (call to f_…): @user_script:7: @user_script: 7: -OOM command not allowed …
func inner(text string) string {
	if strings.HasPrefix(text, "ERR Error running script") {
		if _, said, ok := strings.Cut(text, ": -"); ok {
			return said
		}
	}
	return text
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// moved tells that the slot of the key lives elsewhere: the command was not
// executed, and its token is unspent.
func moved(err error) bool {
	text := answer(err)
	return strings.HasPrefix(text, "MOVED ") || strings.HasPrefix(text, "ASK ") || strings.HasPrefix(text, "TRYAGAIN")
}

func wrongType(err error) bool { return strings.HasPrefix(answer(err), "WRONGTYPE") }

// forbidden tells that the user may not do that, by itself or in a script.
func forbidden(err error) bool {
	text := answer(err)
	return strings.Contains(text, "NOPERM") || strings.Contains(text, "The user executing the script can't")
}
