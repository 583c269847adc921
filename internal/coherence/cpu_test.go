package coherence

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/redistest"
)

// BenchmarkTrackingCPU is what SETs cost the server, alone and with 10 nodes that
// are told of each: one after the other, where each is a turn of the server's event
// loop and so a push to each node, and in pipelines of 100, whose pushes are merged.
func BenchmarkTrackingCPU(b *testing.B) {
	for _, batch := range []int{1, 100} {
		for _, nodes := range []int{0, 10} {
			b.Run(fmt.Sprintf("batch=%d/nodes=%d", batch, nodes), func(b *testing.B) { trackingCPU(b, batch, nodes) })
		}
	}
}

func trackingCPU(b *testing.B, batch, nodes int) {
	s := redistest.Start(b)
	c := s.Client()
	for range nodes {
		l := Listen(Config{
			Options: *c.Options(), Prefix: "p:", Bound: time.Second, Handler: indifferent{}, Logger: slog.New(slog.DiscardHandler),
			Meet:     func(context.Context, *redis.Conn) (envelope.ID, error) { return envelope.ID{}, nil },
			Standing: func() (envelope.ID, int64, bool) { return envelope.ID{}, clock.Now(), true },
		})
		b.Cleanup(l.Close)
		require.Eventually(b, func() bool { return l.Mode() == Tracking }, 10*time.Second, time.Millisecond)
	}
	before := cpu(b, c)
	b.ResetTimer()
	for i := 0; i < b.N; {
		_, err := c.Pipelined(context.Background(), func(p redis.Pipeliner) error {
			for end := i + batch; i < end; i++ {
				p.Set(context.Background(), "p:"+strconv.Itoa(i%1000), "value", 0)
			}
			return nil
		})
		require.NoError(b, err)
	}
	b.ReportMetric((cpu(b, c)-before).Seconds()*1e6/float64(b.N), "redis-µs/SET")
}

type indifferent struct{}

func (indifferent) Changed(string) {}
func (indifferent) Flushed()       {}
func (indifferent) Message(string) {}

// cpu is what the server's process has used.
func cpu(b *testing.B, c *redis.Client) (sum time.Duration) {
	info, err := c.Info(context.Background(), "cpu").Result()
	require.NoError(b, err)
	for line := range strings.Lines(info) {
		for _, name := range []string{"used_cpu_sys:", "used_cpu_user:"} {
			if text, ok := strings.CutPrefix(strings.TrimSpace(line), name); ok {
				s, err := strconv.ParseFloat(text, 64)
				require.NoError(b, err)
				sum += time.Duration(s * 1e9)
			}
		}
	}
	return sum
}
