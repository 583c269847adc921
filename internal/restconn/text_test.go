package restconn

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var someBytes = []string{
	"", "text", "日本", "\x00\x01\r\n\"\\\u2028<>&\x7f", "\xff", "\x80\xfe", "a\xffb", "\xe6\x97", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80",
	"\uEF7F\uEF80\uEFFF\uF000", "x\uEFC3", "\xee\xbe", "\xee", "\uFFFD",
}

func TestEveryStringOfBytesComesBackFromItsWrittenForm(t *testing.T) {
	t.Parallel()
	for _, s := range someBytes {
		w := escape([]byte(s))
		assert.True(t, utf8.Valid(w), "%q", s)
		assert.Equal(t, s, string(unescape(w)))
	}
}

func TestTextIsWrittenAsItIsAndNotCopied(t *testing.T) {
	t.Parallel()
	s := []byte(`tc1V and {"name":"日本"}`)
	assert.Same(t, &s[0], &escape(s)[0])
	assert.Same(t, &s[0], &unescape(s)[0])
}

func TestTextBeforeBytesStaysAtItsOffset(t *testing.T) {
	t.Parallel()
	head := "tc1V0123456789abcdefghijklmnopqrstuvwxyz"
	assert.True(t, bytes.HasPrefix(escape([]byte(head+"\xff\x00\xfe")), []byte(head)))
}

func TestTheWrittenFormOfAConcatenationIsThatOfItsParts(t *testing.T) {
	t.Parallel()
	for _, a := range []string{"user:", "日", "x"} { // whole characters
		for _, b := range someBytes {
			assert.Equal(t, string(escape([]byte(a)))+string(escape([]byte(b))), string(escape([]byte(a+b))), "%q %q", a, b)
			assert.True(t, bytes.HasSuffix(escape([]byte(b+a)), []byte(a)), "%q %q", b, a)
		}
	}
}

func TestJSONStringsAreReadBack(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		s := make([]byte, random.IntN(100))
		for i := range s {
			s[i] = byte(random.Uint32())
		}
		var back string
		require.NoError(t, json.Unmarshal(appendJSON(nil, escape(s)), &back))
		assert.Equal(t, string(s), string(unescape([]byte(back))))
	}
}

func FuzzText(f *testing.F) {
	for _, s := range someBytes {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		w := escape(s)
		if !utf8.Valid(w) {
			t.Fatalf("%q is written as %q", s, w)
		}
		if back := unescape(w); !bytes.Equal(back, s) {
			t.Fatalf("%q came back as %q", s, back)
		}
		var text string
		if err := json.Unmarshal(appendJSON(nil, w), &text); err != nil || text != string(w) {
			t.Fatalf("%q: %q, %v", w, text, err)
		}
		unescape(s) // whatever a server sends
	})
}
