package restconn

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// stream is one subscription: an HTTP answer that goes on, an event for each
// message.
type stream struct {
	channel string
	cancel  context.CancelFunc
}

func (c *conn) listens() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams) > 0
}

// subscribe opens a stream. The server's first event is the confirmation. Waiting
// for the head of the answer is bounded by ctx, the stream by the connection.
func (c *conn) subscribe(ctx context.Context, channel string) (refusal string, err error) {
	life, cancel := context.WithCancel(c.life)
	release := context.AfterFunc(ctx, cancel)
	sent := string(escape([]byte(channel)))
	req, err := c.request(life, "/subscribe/"+url.PathEscape(sent), nil)
	if err != nil {
		cancel()
		return "", err
	}
	req.Header.Set("Accept", "text/event-stream")
	res, err := c.session.http.Do(req)
	if err == nil && res.StatusCode != http.StatusOK {
		raw, rerr := c.read(res.Body)
		_ = res.Body.Close()
		cancel()
		if rerr != nil {
			return "", c.broken(ctx, rerr)
		}
		return c.refusal(res, raw)
	}
	if err != nil || !release() {
		cancel()
		if err == nil {
			_ = res.Body.Close()
		}
		return "", c.broken(ctx, err)
	}
	s := &stream{channel: channel, cancel: cancel}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.streams[channel] != nil {
		cancel()
		_ = res.Body.Close()
		return "", nil
	}
	c.streams[channel] = s
	c.running.Go(func() {
		defer res.Body.Close()
		err := c.listen(s, []byte(sent), res.Body)
		if life.Err() == nil {
			c.fail(err) // go-redis subscribes again, over a new connection
		}
		cancel()
	})
	return "", nil
}

func (c *conn) unsubscribe(cmd command, out []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	channels := cmd[1:]
	if len(channels) == 0 {
		for name := range c.streams {
			channels = append(channels, []byte(name))
		}
		if len(channels) == 0 {
			return append(appendBulks(append(out, "*3\r\n"...), "unsubscribe"), "$-1\r\n:0\r\n"...)
		}
	}
	for _, name := range channels {
		if s := c.streams[string(name)]; s != nil {
			s.cancel()
			delete(c.streams, string(name))
		}
		out = appendBulk(appendBulks(append(out, "*3\r\n"...), "unsubscribe"), name)
		out = append(strconv.AppendInt(append(out, ':'), int64(len(c.streams)), 10), '\r', '\n')
	}
	return out
}

// longestEvent bounds one line of a stream.
const longestEvent = 4 << 20

func (c *conn) listen(s *stream, sent []byte, body io.Reader) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 0, 4<<10), longestEvent)
	lines.Split(byNewline)
	e := events{channel: sent, name: []byte(s.channel)}
	for lines.Scan() {
		resp, err := e.line(lines.Bytes())
		if err != nil {
			return err
		}
		if resp != nil {
			c.push(resp)
		}
	}
	if err := lines.Err(); err != nil {
		return textual{d: c.d, err: err}
	}
	return fmt.Errorf("restconn: the stream of a channel ended: %w", io.ErrUnexpectedEOF)
}

// byNewline is bufio.ScanLines that keeps a carriage return: it may be the end of a
// payload.
func byNewline(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF {
		return len(data), nil, nil // half a line is no line
	}
	return 0, nil, nil
}

// events turns the lines of a stream into RESP. An event is
//
//	data: subscribe,CHANNEL,1
//	data: message,CHANNEL,PAYLOAD
//
// each followed by an empty line. A payload is not quoted, and nobody says what
// becomes of a line feed in it, so more than one line is an error: to miss a
// message without a word is worse than to listen anew.
type events struct {
	channel []byte // as it is written in events
	name    []byte
	crlf    bool // lines end in CR LF
	begun   bool
	open    bool // a message was the last line: no other data may follow
}

var errEvent = errors.New("restconn: the stream of a channel holds what is no event")

func (e *events) line(line []byte) ([]byte, error) {
	if !e.begun {
		e.begun, e.crlf = true, bytes.HasSuffix(line, []byte{'\r'})
	}
	if e.crlf {
		line = bytes.TrimSuffix(line, []byte{'\r'})
	}
	field, rest, found := bytes.Cut(line, []byte{':'})
	switch {
	case len(line) == 0:
		e.open = false
		return nil, nil
	case len(field) == 0: // a comment, which keeps the stream alive
		return nil, nil
	case !found:
		return nil, errEvent
	}
	switch string(field) {
	case "data":
	case "event", "id", "retry":
		return nil, nil
	default:
		return nil, errEvent
	}
	if e.open {
		return nil, errEvent
	}
	rest = bytes.TrimPrefix(rest, []byte{' '})
	kind, rest, _ := bytes.Cut(rest, []byte{','})
	var out []byte
	switch string(kind) {
	case "message":
		payload, ok := bytes.CutPrefix(rest, append(e.channel[:len(e.channel):len(e.channel)], ','))
		if !ok {
			return nil, errEvent
		}
		e.open = true
		out = appendBulk(appendBulks(append(out, "*3\r\n"...), "message"), e.name)
		return appendBulk(out, unescape(payload)), nil
	case "subscribe":
		out = appendBulk(appendBulks(append(out, "*3\r\n"...), "subscribe"), e.name)
		return append(out, ":1\r\n"...), nil
	}
	return nil, nil // of a kind that is not needed here
}
