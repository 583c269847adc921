package redistest

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whatever happens to a connection, what comes out of it is what went in, from
// the beginning and without a hole, on both sides.
func TestNoFaultMakesAHoleInAStream(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := startPeer(t)
	p := StartProxy(t, s.l.Addr().String())
	var running sync.WaitGroup
	var echoed atomic.Int64
	stop := make(chan struct{})
	running.Go(func() {
		for {
			conn, err := s.l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				counts(t, conn, func(n uint32) error { return put(conn, n) })
			})
		}
	})
	for range 2 {
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				conn, err := net.Dial("tcp", p.Addr())
				if err != nil {
					continue // refused, or cut as soon as it was made
				}
				var both sync.WaitGroup
				both.Go(func() {
					for n := uint32(0); put(conn, n) == nil; n++ {
					}
				})
				_ = conn.SetDeadline(time.Now().Add(50 * time.Millisecond))
				counts(t, conn, func(uint32) error { echoed.Add(1); return nil })
				both.Wait()
				_ = conn.Close()
			}
		})
	}
	faults := []func(){p.Pass, p.Drop, p.Refuse, p.HalfOpen, p.Reset, p.CutAll, func() { p.Delay(5 * time.Millisecond) }}
	for range 60 {
		faults[random.IntN(len(faults))]()
		before := echoed.Load()
		p.mu.Lock()
		passing := p.fault == passing
		p.mu.Unlock()
		if passing {
			eventually(t, func() bool { return echoed.Load() > before+int64(random.IntN(100)) })
		}
	}
	close(stop)
	p.Reset()
	require.NoError(t, s.l.Close())
	p.Refuse()
	running.Wait()
}

// counts reads numbers until there are no more, each of which must be one more
// than that before.
func counts(t *testing.T, from io.Reader, each func(uint32) error) {
	var b [4]byte
	for want := uint32(0); ; want++ {
		if _, err := io.ReadFull(from, b[:]); err != nil {
			return
		}
		if !assert.Equal(t, want, binary.BigEndian.Uint32(b[:])) || each(want) != nil {
			return
		}
	}
}

func put(to io.Writer, n uint32) error {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	_, err := to.Write(b[:])
	return err
}
