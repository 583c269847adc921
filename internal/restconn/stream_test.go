package restconn

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

func readEvents(text string) (out []string, err error) {
	e := events{channel: []byte("a,b"), name: []byte("a,b")}
	for _, line := range bytes.Split([]byte(text), []byte("\n")) {
		resp, err := e.line(line)
		if err != nil {
			return out, err
		}
		if resp != nil {
			out = append(out, string(resp))
		}
	}
	return out, nil
}

func message(payload string) string {
	return string(appendBulk(appendBulks([]byte("*3\r\n"), "message", "a,b"), []byte(payload)))
}

func TestEventsBecomeRESP(t *testing.T) {
	t.Parallel()
	confirmed := "*3\r\n$9\r\nsubscribe\r\n$3\r\na,b\r\n:1\r\n"
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"confirmed":                  {"data: subscribe,a,b,1\n\n", []string{confirmed}},
		"a message":                  {"data: message,a,b,x,y: z\n\n", []string{message("x,y: z")}},
		"an empty one":               {"data: message,a,b,\n\n", []string{message("")}},
		"no space":                   {"data:message,a,b,x\n\n", []string{message("x")}},
		"two spaces are of the text": {"data: message,a,b,  x\n\n", []string{message("  x")}},
		"bytes":                      {"data: message,a,b," + string(escape([]byte("\xff\x00"))) + "\n\n", []string{message("\xff\x00")}},
		"several":                    {"data: message,a,b,1\n\ndata: message,a,b,2\n\n", []string{message("1"), message("2")}},
		"CR LF":                      {"data: message,a,b,1\r\n\r\ndata: message,a,b,2\r\r\n\r\n", []string{message("1"), message("2\r")}},
		"a CR of the text":           {"data: subscribe,a,b,1\n\ndata: message,a,b,1\r\n\n", []string{confirmed, message("1\r")}},
		"comments and fields":        {": alive\n\nid: 7\nevent: x\nretry: 5\ndata: message,a,b,1\n\n", []string{message("1")}},
		"another kind":               {"data: ping\n\ndata: message,a,b,1\n\n", []string{message("1")}},
	} {
		got, err := readEvents(c.in)
		assert.NoError(t, err, name)
		assert.Equal(t, c.want, got, name)
	}
}

var noEvents = []string{
	"data: message,other,x\n\n", "data: message\n\n", "data: message,a,b\n\n", "nonsense\n", "data\n", "x: y\n",
	"data: message,a,b,1\ndata: 2\n\n", "data: message,a,b,1\nsecond line\n", "data: message,a,b,1\ndata: message,a,b,2\n",
}

func TestWhatIsNoEventIsAnError(t *testing.T) {
	t.Parallel()
	for _, s := range noEvents {
		_, err := readEvents(s)
		assert.ErrorIs(t, err, errEvent, "%q", s)
	}
}

func FuzzEvents(f *testing.F) {
	for _, s := range noEvents {
		f.Add(s)
	}
	f.Add("data: subscribe,a,b,1\n\ndata: message,a,b,x\r\n\n: c\n")
	f.Fuzz(func(t *testing.T, in string) {
		got, _ := readEvents(in)
		for _, r := range got {
			if rest, ok := skipRESP(r); !ok || rest != "" {
				t.Fatalf("%q became %q", in, r)
			}
		}
	})
}
