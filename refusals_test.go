package tiercache_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

// lines is a log that can be read while it is written.
type lines struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func TestClocksAQuarterOfAnHourApartChangeNothing(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"behind": -15 * time.Minute, "ahead": 15 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := miniredis.RunT(t)
			m.SetTime(time.Now().Add(off)) // the nodes' clocks against the server's
			a, b := open(t, patient(client(t, m.Addr()))), open(t, patient(client(t, m.Addr())))
			opts := tiercache.Options[int]{TTL: 5 * time.Minute, Jitter: -1}
			first, second := newCache(t, a, opts), newCache(t, b, opts)
			hear(t, a, b)
			_, err := first.GetOrLoad(bg, "k", value(1))
			require.NoError(t, err)
			inMemory(t, second, "k")
			v, err := second.GetOrLoad(bg, "k", unwanted[int](t))
			require.NoError(t, err)
			require.Equal(t, 1, v)
			require.NoError(t, first.Delete(bg, "k"))
			soon(t, "heard", func() bool { _, ok, err := second.Get(bg, "k"); return err == nil && !ok })
			_, err = a.Mutate(bg, func(ctx context.Context) error {
				_, err := second.GetOrLoad(ctx, "k", value(2))
				return err
			}, tiercache.Key("k"))
			require.NoError(t, err)
			assert.False(t, m.Exists("t:k"), "nothing was stored under the marker, and it is gone")
		})
	}
}

func TestANilLoaderIsAnErrorThatSaysSo(t *testing.T) {
	t.Parallel()
	c := newCache(t, open(t, tiercache.Config{}), tiercache.Options[int]{TTL: time.Minute})
	for name, read := range map[string]func() (int, error){
		"GetOrLoad": func() (int, error) { return c.GetOrLoad(bg, "k", nil) },
		"Refresh":   func() (int, error) { return c.Refresh(bg, "k", nil) },
	} {
		_, err := read()
		assert.EqualError(t, err, "tiercache: the loader is nil", name)
	}
	assert.Zero(t, c.Stats().Operations, "what is refused is no operation")
	require.NoError(t, c.Set(bg, "k", 1))
	_, err := c.GetOrLoad(bg, "k", nil)
	assert.EqualError(t, err, "tiercache: the loader is nil", "a hit does not hide the mistake")
}
