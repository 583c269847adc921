package restconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"
)

// restFor is how long REST is used before TCP is tried again.
const restFor = time.Minute

// choice is what Auto has found out.
//
//	unknown  a dial tries TCP, then REST; so does the next one if neither answers
//	tcp      dials go there; one that fails makes it unknown
//	rest     dials go there; once in restFor TCP is tried beside them
//
// REST takes the place of TCP only if it answers: in an outage of both nothing is
// learnt, and the first to be tried when it is over is TCP, which hears more.
type choice struct {
	mu     sync.Mutex // guards the fields below; held for no call
	made   Transport  // "": unknown
	again  time.Time  // when TCP is due, if made is REST
	trying bool       // somebody tries TCP beside REST
	budget time.Duration
}

const defaultBudget = time.Second // of one attempt, where the caller has no deadline

// dialEither leaves TCP half of the time: a port that swallows packets must not
// use up what REST needs.
func (d *Dialer) dialEither(ctx context.Context) (net.Conn, error) {
	budget := defaultBudget
	if at, ok := ctx.Deadline(); ok {
		budget = time.Until(at) / 2
	}
	d.choice.mu.Lock()
	made := d.choice.made
	d.choice.budget = budget
	d.choice.mu.Unlock()
	switch made {
	case REST:
		return newConn(d), nil
	case TCP:
		c, err := d.dialTLS(ctx)
		if err != nil {
			d.choice.forget(TCP)
		}
		return c, err
	}
	half, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	c, err := d.dialRedis(half)
	if err == nil {
		d.choose(TCP, nil)
		return c, nil
	}
	over := newConn(d)
	if refused := over.ping(ctx); refused != nil {
		over.fail(refused) // what was being connected is kept for the next dial
		_ = over.Close()
		return nil, fmt.Errorf("neither TLS (%w) nor REST (%w)", err, refused)
	}
	d.choose(REST, err)
	return over, nil
}

func (c *choice) forget(t Transport) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == t {
		c.made = ""
	}
}

func (d *Dialer) choose(t Transport, why error) {
	c := &d.choice
	c.mu.Lock()
	was := c.made
	c.made = t
	c.again = time.Now().Add(restFor)
	c.mu.Unlock()
	switch {
	case was == t:
	case t == TCP:
		slog.Info("tiercache: Upstash is reached by TLS", "addr", d.addr)
	default:
		slog.Warn("tiercache: Upstash is reached over REST, which hears less and takes longer", "host", d.host, "reason", d.clean([]byte(why.Error())))
	}
}

// dialRedis is dialTLS for a server that is not known yet. A handshake is not
// enough: whatever listens there may be something else, and a token can be good
// for REST alone (that of an ACL user is not his password). The server has to
// take the token, and answer.
func (d *Dialer) dialRedis(ctx context.Context) (net.Conn, error) {
	c, err := d.dialTLS(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.greet(ctx, c); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

func (d *Dialer) greet(ctx context.Context, c net.Conn) error {
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	ask := append([]byte("*3\r\n"), appendBulks(nil, "AUTH", User, d.token)...)
	ask = append(append(ask, "*1\r\n"...), appendBulks(nil, "PING")...)
	if _, err := c.Write(ask); err != nil {
		return err
	}
	for _, want := range []string{"+OK", "+PONG"} {
		got, err := readLine(c)
		switch {
		case err != nil:
			return err
		case got != want:
			return errors.New("the server does not take the token for a password: " + d.clean([]byte(got)))
		}
	}
	if ctx.Err() != nil { // the deadline may be on the connection already
		return ctx.Err()
	}
	return nil
}

// readLine reads no byte more than the line.
func readLine(c io.Reader) (string, error) {
	var b [1]byte
	var line strings.Builder
	for line.Len() < 512 {
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return "", err
		}
		if b[0] == '\n' {
			break
		}
		line.WriteByte(b[0])
	}
	return strings.TrimSuffix(line.String(), "\r"), nil
}

// ping asks the API whether it lets us in.
func (c *conn) ping(ctx context.Context) error {
	out, err := c.post(ctx, "/pipeline", []command{{[]byte("PING")}}, nil)
	if err != nil {
		return err
	}
	if text := string(out[1:]); out[0] == '-' && shutOut(text) {
		return errors.New(strings.TrimSpace(text))
	}
	return nil // whatever it says, a quota used up included: it is there
}

func shutOut(text string) bool {
	return strings.HasPrefix(text, "NOAUTH") || strings.HasPrefix(text, "WRONGPASS")
}

// beforeRequest tries TCP again when that is due, beside the request, so that
// nobody waits for it.
func (d *Dialer) beforeRequest(by *conn) {
	if d.transport != Auto {
		return
	}
	c := &d.choice
	c.mu.Lock()
	due := c.made == REST && !c.trying && time.Now().After(c.again)
	c.trying = c.trying || due
	budget := c.budget
	c.mu.Unlock()
	if due {
		go d.tryAgain(by.session.life, budget)
	}
}

// tryAgain ends with the last connection at the latest.
func (d *Dialer) tryAgain(ctx context.Context, budget time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, max(budget, defaultBudget/10))
	defer cancel()
	sock, err := d.dialRedis(ctx)
	d.choice.mu.Lock()
	d.choice.trying = false
	d.choice.again = time.Now().Add(restFor)
	d.choice.mu.Unlock()
	if err != nil {
		return
	}
	_ = sock.Close()
	d.choose(TCP, nil)
	for _, c := range d.link.all() {
		c.retire()
	}
}
