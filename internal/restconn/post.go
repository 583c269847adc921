package restconn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Sizes of one request. A pipeline may be cut anywhere: it is not atomic.
const (
	mostCommands = 1000
	mostBytes    = 512 << 10
)

// pipeline sends commands, in as many requests as their size wants.
func (c *conn) pipeline(ctx context.Context, cmds []command, out []byte) ([]byte, error) {
	for len(cmds) > 0 {
		n, size := 0, 0
		for n < len(cmds) && n < mostCommands && (n == 0 || size < mostBytes) {
			for _, arg := range cmds[n] {
				size += len(arg)
			}
			n++
		}
		var err error
		if out, err = c.post(ctx, "/pipeline", cmds[:n], out); err != nil {
			return nil, err
		}
		cmds = cmds[n:]
	}
	return out, nil
}

// post makes one request and appends the answers to out: one for each command of a
// pipeline, one for a transaction. An error means that nobody knows what happened.
func (c *conn) post(ctx context.Context, path string, cmds []command, out []byte) ([]byte, error) {
	keep := make([]func([]byte) bool, len(cmds))
	body := []byte{'['}
	for i, cmd := range cmds {
		if i > 0 {
			body = append(body, ',')
		}
		cmd, keep[i] = seen(cmd)
		body = appendCommand(body, cmd)
	}
	req, err := c.request(ctx, path, bytes.NewReader(append(body, ']')))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Upstash-Encoding", "base64")
	res, err := c.session.http.Do(req)
	if err != nil {
		return nil, c.broken(ctx, err)
	}
	defer res.Body.Close()
	raw, err := c.read(res.Body)
	if err != nil {
		return nil, c.broken(ctx, err)
	}
	tx := path == "/multi-exec"
	refusal, err := c.refusal(res, raw)
	switch {
	case err != nil:
		return nil, err
	case refusal != "":
		for range cmds {
			if out = appendError(out, refusal); tx {
				break
			}
		}
		return out, nil
	}
	if s := res.Header.Get(syncToken); s != "" {
		c.d.link.sync.Store(&s)
	}
	if tx {
		out = append(strconv.AppendInt(append(out, '*'), int64(len(cmds)), 10), '\r', '\n')
	}
	p := &parser{in: raw, out: out, clean: c.d.answer}
	if err := p.items(len(cmds), func(i int) { p.keep = keep[i] }); err != nil {
		return nil, err
	}
	return p.out, nil
}

const syncToken = "Upstash-Sync-Token"

func (c *conn) request(ctx context.Context, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.d.base+path, body)
	if err != nil {
		return nil, errors.New("restconn: the URL cannot be used")
	}
	req.Header.Set("Authorization", "Bearer "+c.d.token)
	if s := c.d.link.sync.Load(); s != nil {
		req.Header.Set(syncToken, *s)
	}
	return req, nil
}

func appendCommand(body []byte, cmd command) []byte {
	body = append(body, '[')
	for i, arg := range cmd {
		if i > 0 {
			body = append(body, ',')
		}
		body = appendJSON(body, escape(arg))
	}
	return append(body, ']')
}

// read takes no more memory than the limit, whatever length is announced.
func (c *conn) read(body io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(body, c.d.maxResponse+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > c.d.maxResponse {
		return nil, fmt.Errorf("the answer is longer than %d bytes", c.d.maxResponse)
	}
	return raw, nil
}

var errHTTP = errors.New("restconn: HTTP")

// refusal is what a server answers that executed nothing. An error is a server, or
// something before it, that gives no answer.
func (c *conn) refusal(res *http.Response, raw []byte) (string, error) {
	var text []byte
	p := &parser{in: raw, clean: func(t []byte) string { text = t; return "" }}
	isError := p.next() == '{' && p.item(0) == nil && text != nil
	switch code := res.StatusCode; {
	case code == http.StatusOK && !isError:
		return "", nil
	case code == http.StatusOK:
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		answer := c.d.answer(text)
		if !shutOut(answer) && !strings.HasPrefix(answer, "NOPERM") {
			answer = "NOAUTH " + answer
		}
		return answer, nil
	case code < 400 || code > 499:
		if !isError {
			text = raw
		}
		return "", fmt.Errorf("%w %d: %s", errHTTP, code, c.d.clean(text[:min(len(text), longestText)]))
	case !isError:
		text = fmt.Appendf(nil, "ERR HTTP %d: %s", code, raw[:min(len(raw), longestText)])
	}
	return c.d.answer(text), nil
}

// broken says why there was no answer. The text of the library holds the URL and
// never the header with the token.
func (c *conn) broken(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return textual{d: c.d, err: err}
}

// textual is an error whose text has been cleaned.
type textual struct {
	d   *Dialer
	err error
}

func (t textual) Error() string { return "restconn: " + t.d.clean([]byte(t.err.Error())) }
func (t textual) Unwrap() error { return t.err }

const longestText = 500

// clean makes text of others fit for one line of a log or an error reply: short,
// printable, and without the token, should somebody quote it.
func (d *Dialer) clean(text []byte) string {
	s := strings.ReplaceAll(string(text), d.token, "(token)")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > longestText {
		s = strings.ToValidUTF8(s[:longestText], "")
	}
	return strings.TrimSpace(s)
}

// answer is clean for an error reply, which begins with a word in capitals.
func (d *Dialer) answer(text []byte) string {
	s := d.clean(unescape(text))
	word, _, _ := strings.Cut(s, " ")
	if word == "" || strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		return strings.TrimSpace("ERR " + s)
	}
	return s
}
