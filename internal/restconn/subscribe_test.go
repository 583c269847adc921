package restconn

import (
	"context"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func receive[T any](t *testing.T, ps *redis.PubSub) T {
	t.Helper()
	got, err := ps.ReceiveTimeout(bg, long)
	require.NoError(t, err)
	v, ok := got.(T)
	require.True(t, ok, "%T: %v", got, got)
	return v
}

func TestMessagesArriveInOrderAmongPongs(t *testing.T) {
	t.Parallel()
	c, direct, rest := overREST(t)
	ps := c.Subscribe(bg, "ch,1", "ch 2/ü")
	defer ps.Close()
	names := []string{receive[*redis.Subscription](t, ps).Channel, receive[*redis.Subscription](t, ps).Channel}
	assert.ElementsMatch(t, []string{"ch,1", "ch 2/ü"}, names)
	assert.Equal(t, 2, rest.Streams())
	for _, payload := range []string{"x,y: z", "", "日本 \\\"", "  spaces  "} {
		require.NoError(t, c.Publish(bg, "ch,1", payload).Err())
		require.NoError(t, ps.Ping(bg, "p"+payload))
		var pong, message string
		for pong == "" || message == "" {
			got, err := ps.ReceiveTimeout(bg, long)
			require.NoError(t, err)
			switch m := got.(type) {
			case *redis.Pong:
				pong = m.Payload
			case *redis.Message:
				message = m.Channel + "=" + m.Payload
			}
		}
		assert.Equal(t, "p"+payload, pong)
		assert.Equal(t, "ch,1="+payload, message)
	}
	require.NoError(t, c.Publish(bg, "ch 2/ü", "bytes\xff\x00").Err())
	assert.Equal(t, "bytes\xff\x00", receive[*redis.Message](t, ps).Payload)
	require.NoError(t, direct.Publish(bg, "ch,1", "by TCP").Err())
	assert.Equal(t, "by TCP", receive[*redis.Message](t, ps).Payload)

	require.NoError(t, ps.Unsubscribe(bg, "ch,1"))
	assert.Equal(t, "unsubscribe", receive[*redis.Subscription](t, ps).Kind)
	soon(t, "one stream is left", func() bool { return rest.Streams() == 1 })
	require.NoError(t, ps.Close())
	soon(t, "none is left", func() bool { return rest.Streams() == 0 })
}

func TestAMessageOfSeveralLinesBreaksTheConnection(t *testing.T) {
	t.Parallel()
	c, direct, _ := overREST(t)
	ps := c.Subscribe(bg, "ch")
	defer ps.Close()
	receive[*redis.Subscription](t, ps)
	require.NoError(t, direct.Publish(bg, "ch", "one\ntwo").Err())
	for {
		if _, err := ps.ReceiveTimeout(bg, long); err != nil {
			require.ErrorIs(t, err, errEvent)
			return
		}
	}
}

func TestAStreamThatIsCutBreaksTheConnection(t *testing.T) {
	t.Parallel()
	c, _, rest := overREST(t)
	ps := c.Subscribe(bg, "ch")
	defer ps.Close()
	receive[*redis.Subscription](t, ps)
	rest.CutStreams()
	_, err := ps.ReceiveTimeout(bg, long)
	require.ErrorContains(t, err, "the stream of a channel ended")
	receive[*redis.Subscription](t, ps) // go-redis has subscribed again
	require.NoError(t, c.Publish(bg, "ch", "x").Err())
	assert.Equal(t, "x", receive[*redis.Message](t, ps).Payload)
}

func TestASubscriptionThatIsRefusedIsAnAnswer(t *testing.T) {
	t.Parallel()
	c, _, rest := overREST(t)
	require.NoError(t, c.Ping(bg).Err())
	rest.Answer(http.StatusTooManyRequests, "ERR max concurrent connections exceeded")
	ps := c.Subscribe(bg, "ch")
	defer ps.Close()
	_, err := ps.ReceiveTimeout(bg, long)
	var answer redis.Error
	require.ErrorAs(t, err, &answer)
	assert.EqualError(t, err, "ERR max concurrent connections exceeded")
}

func TestADeadlineBoundsTheBeginningOfAStream(t *testing.T) {
	t.Parallel()
	_, _, rest := overREST(t)
	rest.Hang()
	cn, err := newDialer(t, rest).DialContext(bg, "", "")
	require.NoError(t, err)
	defer cn.Close()
	require.NoError(t, cn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = cn.Write([]byte(resp("SUBSCRIBE", "ch")))
	require.NoError(t, err)
	_, err = cn.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestAStreamOutlivesTheDeadlineOfItsBeginning(t *testing.T) {
	t.Parallel()
	c, direct, _ := overREST(t)
	ps := c.Subscribe(bg, "ch")
	defer ps.Close()
	receive[*redis.Subscription](t, ps)
	_, err := ps.ReceiveTimeout(bg, 20*time.Millisecond)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	ctx, cancel := context.WithTimeout(bg, long)
	defer cancel()
	require.NoError(t, direct.Publish(ctx, "ch", "x").Err())
	assert.Equal(t, "x", receive[*redis.Message](t, ps).Payload)
}
