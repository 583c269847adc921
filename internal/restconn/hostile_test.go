package restconn

import (
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func served(t *testing.T, most int64, handler http.HandlerFunc) *redis.Client {
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	d, err := New(Config{URL: s.URL, Token: "secret", Transport: REST, MaxResponse: most})
	require.NoError(t, err)
	return clientOf(t, d)
}

// A server, or what stands before it, may send anything: it is an error, and takes
// no more memory than was allowed.
func TestWhateverIsSentIsAnErrorAndTakesLittleMemory(t *testing.T) {
	const most = 1 << 20
	flood := func(w http.ResponseWriter) {
		chunk := []byte(strings.Repeat("[", 64<<10))
		for range 1000 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"a page": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"empty":  func(http.ResponseWriter, *http.Request) {},
		"flood":  func(w http.ResponseWriter, _ *http.Request) { flood(w) },
		"a bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			zeros := make([]byte, 1<<20)
			for range 64 {
				_, _ = z.Write(zeros)
			}
			_ = z.Close()
		},
		"a gigabyte is announced": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1073741824")
			_, _ = io.WriteString(w, `[{"result":1`)
		},
		"somewhere else": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		},
		"too few":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `[]`) },
		"too many":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `[{"result":1},{"result":1}]`) },
		"not a list": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"result":1}`) },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `[{"result":`)
			panic(http.ErrAbortHandler)
		},
		"no content": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	} {
		t.Run(name, func(t *testing.T) {
			c := served(t, most, handler)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := c.Get(bg, "k").Err()
			runtime.ReadMemStats(&after)
			require.Error(t, err)
			require.NotErrorIs(t, err, redis.Nil)
			assert.NotContains(t, err.Error(), "secret")
			if name != "a bomb" && name != "flood" { // there the server is in this process too
				assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16*most))
			}
		})
	}
}

func TestAnErrorBodyOfAnyKindIsOneShortLine(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"text":  "no\r\n\r\nsecret \xff " + strings.Repeat("x", 100_000),
		"JSON":  `{"error":"no\r\nsecret ` + strings.Repeat("y", 100_000) + `"}`,
		"empty": "",
	} {
		for _, status := range []int{400, 401, 429, 499, 500, 599, 302} {
			c := served(t, 0, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body)
			})
			err := c.Get(bg, "k").Err()
			require.Error(t, err, "%s %d", name, status)
			assert.NotContains(t, err.Error(), "secret")
			assert.NotContains(t, err.Error(), "\n")
			assert.Less(t, len(err.Error()), 700)
		}
	}
}

func TestAServerThatCannotBeReachedIsAnErrorWithoutTheToken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	d, err := New(Config{URL: "http://" + l.Addr().String(), Token: "secret", Transport: REST})
	require.NoError(t, err)
	err = clientOf(t, d).Get(bg, "k").Err()
	require.ErrorContains(t, err, "refused")
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, d, d), "secret")
}
