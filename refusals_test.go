package tiercache_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
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

// What a cache cannot do without is found out at first contact: nothing is stored
// that could not be invalidated, and the log says why.
func TestARedisThatRefusesWhatACacheNeedsIsNotUsedAndSaysSo(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"eval", "evalsha", "get", "getrange", "set", "setrange", "pexpire", "unlink", "time"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			var log lines
			cfg := patient(user(t, s, "-"+command))
			cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
			tiers := open(t, cfg)
			cache := newCache(t, tiers, tiercache.Options[int]{})
			for v := range 3 {
				require.NoError(t, cache.Delete(bg, "k"))
				got, err := cache.GetOrLoad(bg, "k", value(v))
				require.NoError(t, err)
				require.Equal(t, v, got)
			}
			soon(t, "said", func() bool {
				return bytes.Contains([]byte(log.String()), []byte("this Redis cannot be used"))
			})
			assert.False(t, tiers.Health().Connected)
			assert.Zero(t, s.Client().Exists(bg, "t:k").Val())
			assert.Positive(t, tiers.Health().Queued, "the Deletes")
		})
	}
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
