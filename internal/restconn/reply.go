package restconn

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
)

var errBody = errors.New("restconn: what the server sent is not an answer of the REST API")

// deepest is how far arrays may be nested. A script's answer may be 7 deep.
const deepest = 32

// parser turns JSON into RESP in one pass. It keeps no tree: a hostile answer
// takes no more memory than twice its length.
type parser struct {
	in    []byte
	at    int
	out   []byte
	clean func([]byte) string // makes the text of an error fit to be shown

	// keep, if set, drops strings at the level of a SCAN's keys.
	keep func(key []byte) bool
}

// items reads [{"result":…},{"error":…},…]. each is told the index before an item
// is read.
func (p *parser) items(want int, each func(i int)) error {
	n := 0
	if err := p.list('[', ']', func() error {
		if n == want {
			return errBody
		}
		each(n)
		n++
		return p.item(0)
	}); err != nil {
		return err
	}
	if p.space(); n != want || p.at != len(p.in) {
		return errBody
	}
	return nil
}

// item reads {"result": value} or {"error": text}. Of several fields the last one
// counts, as in every JSON reader; other names are an error.
func (p *parser) item(depth int) error {
	if depth > deepest {
		return errBody
	}
	begin, found := len(p.out), false
	err := p.list('{', '}', func() error {
		name, err := p.text()
		if err != nil {
			return err
		}
		if !p.is(':') {
			return errBody
		}
		p.out, found = p.out[:begin], true
		switch string(name) {
		case "result":
			return p.value(depth)
		case "error":
			if p.next() != '"' {
				return errBody
			}
			text, err := p.text()
			if err != nil {
				return err
			}
			p.out = appendError(p.out, p.clean(text))
			return nil
		}
		return errBody
	})
	if err == nil && !found {
		return errBody
	}
	return err
}

func (p *parser) value(depth int) error {
	switch c := p.next(); {
	case c == '"':
		text, err := p.text()
		if err != nil {
			return err
		}
		p.str(text, depth)
		return nil
	case c == '[':
		return p.array(depth)
	case c == '{': // an error within an array
		return p.item(depth + 1)
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	}
	for _, w := range literals {
		if bytes.HasPrefix(p.in[p.at:], []byte(w.json)) {
			p.at += len(w.json)
			p.out = append(p.out, w.resp...)
			return nil
		}
	}
	return errBody
}

var literals = [...]struct{ json, resp string }{{"null", "$-1\r\n"}, {"true", ":1\r\n"}, {"false", ":0\r\n"}}

// str appends a string. All strings are base64 but the answer OK. What is not is
// taken as it is, as the vendor's own clients do.
func (p *parser) str(text []byte, depth int) {
	if string(text) == "OK" && depth == 0 {
		p.out = append(p.out, "+OK\r\n"...)
		return
	}
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	if n, err := base64.StdEncoding.Strict().Decode(raw, text); err == nil {
		text = raw[:n]
	}
	text = unescape(text)
	if depth == 2 && p.keep != nil && !p.keep(text) {
		return
	}
	p.out = appendBulk(p.out, text)
}

func (p *parser) array(depth int) error {
	if depth > deepest {
		return errBody
	}
	begin, n := len(p.out), 0
	err := p.list('[', ']', func() error {
		before := len(p.out)
		err := p.value(depth + 1)
		if len(p.out) > before { // else it was not kept
			n++
		}
		return err
	})
	head := append(strconv.AppendInt([]byte{'*'}, int64(n), 10), '\r', '\n')
	p.out = slices.Insert(p.out, begin, head...)
	return err
}

func (p *parser) number() error {
	begin := p.at
	for p.at < len(p.in) && bytes.IndexByte([]byte("+-.0123456789eE"), p.in[p.at]) >= 0 {
		p.at++
	}
	text := p.in[begin:p.at]
	if !json.Valid(text) {
		return errBody
	}
	if _, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		p.out = append(append(append(p.out, ':'), text...), '\r', '\n')
		return nil
	}
	p.out = appendBulk(p.out, text)
	return nil
}

// list reads what stands between brackets, parted by commas.
func (p *parser) list(open, end byte, element func() error) error {
	if !p.is(open) {
		return errBody
	}
	if p.is(end) {
		return nil
	}
	for {
		if p.space(); p.at == len(p.in) {
			return errBody
		}
		if err := element(); err != nil {
			return err
		}
		if p.is(end) {
			return nil
		}
		if !p.is(',') {
			return errBody
		}
	}
}

// text reads a string. It points into the input if nothing in it is escaped.
func (p *parser) text() ([]byte, error) {
	if p.next() != '"' {
		return nil, errBody
	}
	begin, escaped := p.at, false
	for p.at++; p.at < len(p.in) && p.in[p.at] != '"'; p.at++ {
		if p.in[p.at] == '\\' {
			escaped = true
			p.at++
		}
	}
	if p.at >= len(p.in) {
		return nil, errBody
	}
	p.at++
	if !escaped {
		return p.in[begin+1 : p.at-1], nil
	}
	var s string
	if err := json.Unmarshal(p.in[begin:p.at], &s); err != nil {
		return nil, errBody
	}
	return []byte(s), nil
}

func (p *parser) space() {
	for p.at < len(p.in) && bytes.IndexByte([]byte(" \t\r\n"), p.in[p.at]) >= 0 {
		p.at++
	}
}

// next is the next byte that is no space, 0 at the end.
func (p *parser) next() byte {
	if p.space(); p.at < len(p.in) {
		return p.in[p.at]
	}
	return 0
}

// is takes c, if that comes next.
func (p *parser) is(c byte) bool {
	if p.next() != c {
		return false
	}
	p.at++
	return true
}

func appendBulk(dst, s []byte) []byte {
	dst = append(strconv.AppendInt(append(dst, '$'), int64(len(s)), 10), '\r', '\n')
	return append(append(dst, s...), '\r', '\n')
}

func appendBulks(dst []byte, words ...string) []byte {
	for _, w := range words {
		dst = appendBulk(dst, []byte(w))
	}
	return dst
}

func appendError(dst []byte, text string) []byte {
	return append(append(append(dst, '-'), text...), '\r', '\n')
}
