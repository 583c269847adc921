package restconn

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func parse(in string, want int) (string, error) {
	p := &parser{in: []byte(in), clean: func(s []byte) string { return (&Dialer{token: "secret"}).answer(s) }}
	err := p.items(want, func(int) {})
	return string(p.out), err
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestAnswersBecomeRESP(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		json, resp string
	}{
		"null":               {`{"result":null}`, "$-1\r\n"},
		"OK":                 {`{"result":"OK"}`, "+OK\r\n"},
		"a string":           {`{"result":"` + b64("a\r\nb") + `"}`, "$4\r\na\r\nb\r\n"},
		"an empty string":    {`{"result":""}`, "$0\r\n\r\n"},
		"bytes":              {`{"result":"` + b64("\xff\x00") + `"}`, "$2\r\n\xff\x00\r\n"},
		"bytes as text":      {`{"result":"` + b64(string(escape([]byte("a\xff")))) + `"}`, "$2\r\na\xff\r\n"},
		"text not in base64": {`{"result":"what?"}`, "$5\r\nwhat?\r\n"},
		"escaped":            {`{"result":"YQ\u003d="}`, "$1\r\na\r\n"},
		"a number":           {`{"result":-7}`, ":-7\r\n"},
		"a fraction":         {`{"result":1.5e3}`, "$5\r\n1.5e3\r\n"},
		"a large number":     {`{"result":9223372036854775808}`, "$19\r\n9223372036854775808\r\n"},
		"true":               {`{"result":true}`, ":1\r\n"},
		"an array":           {`{"result":["` + b64("a") + `",null,1,[],["T0s="],"OK"]}`, "*6\r\n$1\r\na\r\n$-1\r\n:1\r\n*0\r\n*1\r\n$2\r\nOK\r\n$2\r\nOK\r\n"},
		"an error in it":     {`{"result":[{"error":"ERR no"}]}`, "*1\r\n-ERR no\r\n"},
		"an error":           {`{"error":"WRONGTYPE no\r\nway"}`, "-WRONGTYPE no  way\r\n"},
		"an odd error":       {`{"error":"nope"}`, "-ERR nope\r\n"},
		"an empty error":     {`{"error":""}`, "-ERR\r\n"},
		"a quoted token":     {`{"error":"ERR secret is wrong"}`, "-ERR (token) is wrong\r\n"},
		"spaces":             {" {\n\"result\" :\t1 } ", ":1\r\n"},
		"the last counts":    {`{"result":[1,2],"error":"ERR x"}`, "-ERR x\r\n"},
	} {
		got, err := parse("["+c.json+"]", 1)
		if assert.NoError(t, err, name) {
			assert.Equal(t, c.resp, got, name)
		}
	}
}

var noAnswers = []string{
	``, `[`, `[]`, `[{}]`, `[{"result":1}`, `[{"result":1},{"result":1}]`, `[{"result":1}]x`, `{"result":1}`, `[{"result"}]`, `[{"result":}]`, `[1]`, `[{"x":1}]`,
	`[{"error":1}]`, `[{"result":"}]`, `[{"result":"\`, `[{"result":"\x"}]`, `[{"result":nul}]`, `[{"result":[1,]}]`, `[{"result":[1 2]}]`, `[{"result":--1}]`,
	`[{"result":1.}]`, `[{"result":01}]`, `<html>`, `[{"result":{"a":1}}]`,
}

func TestWhatIsNoAnswerIsAnError(t *testing.T) {
	t.Parallel()
	for _, s := range noAnswers {
		_, err := parse(s, 1)
		assert.ErrorIs(t, err, errBody, "%q", s)
	}
	_, err := parse(`[{"result":1}]`, 2)
	assert.ErrorIs(t, err, errBody)
}

func TestAnswersThatAreNestedWithoutEndAreAnError(t *testing.T) {
	t.Parallel()
	const deep = 1 << 20
	for _, in := range []string{
		`[{"result":` + strings.Repeat("[", deep),
		`[{"result":` + strings.Repeat(`[{"result":`, deep),
		`[{"result":` + strings.Repeat("[", deep) + strings.Repeat("]", deep) + "}]",
	} {
		_, err := parse(in, 1)
		assert.ErrorIs(t, err, errBody)
	}
}

// What is JSON and no object is an answer, and what comes out is RESP in any case.
func FuzzReplies(f *testing.F) {
	for _, s := range noAnswers {
		f.Add([]byte(s), true)
	}
	for _, s := range []string{`["YQ==",null,1,[],["OK"],{"error":"ERR x"},true,-1.5]`, `"\ud800"`, `1e999`, `-0`, " [ ] "} {
		f.Add([]byte(s), false)
	}
	f.Add([]byte(`[{"error":"ERR x"}]`), true)
	f.Fuzz(func(t *testing.T, in []byte, whole bool) {
		body := string(in)
		if !whole {
			body = `[{"result":` + body + `}]`
		}
		got, err := parse(body, 1)
		if len(got) > 8*len(body)+16 {
			t.Fatalf("%d bytes became %d", len(body), len(got))
		}
		if err != nil {
			if !whole && json.Valid(in) && !bytes.ContainsRune(in, '{') && bytes.Count(in, []byte("[")) < deepest {
				t.Fatalf("%q was refused: %v", body, err)
			}
			return
		}
		if rest, ok := skipRESP(got); !ok || rest != "" {
			t.Fatalf("%q became %q", body, got)
		}
	})
}

// skipRESP takes one reply off.
func skipRESP(s string) (rest string, ok bool) {
	line, rest, ok := strings.Cut(s, "\r\n")
	if !ok || line == "" {
		return "", false
	}
	n := 0
	for _, c := range line[1:] {
		n = n*10 + int(c-'0')
	}
	switch line[0] {
	case '+', '-', ':':
		return rest, true
	case '$':
		if line == "$-1" {
			return rest, true
		}
		if n < 0 || n+2 > len(rest) {
			return "", false
		}
		return rest[n+2:], rest[n:n+2] == "\r\n"
	case '*':
		for range n {
			if rest, ok = skipRESP(rest); !ok {
				return "", false
			}
		}
		return rest, true
	}
	return "", false
}
