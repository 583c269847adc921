package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/envelope"
)

// The command of the first key may have been given up, and its bytes not be written
// yet, when the second key's is made.
func TestTheEnvelopeOfASecondKeyLeavesThatOfTheFirstAlone(t *testing.T) {
	t.Parallel()
	front := envelope.Front()
	room := append(make([]byte, front), "payload"...)
	l := loaded{room: room, payload: room[front:]}
	body := envelope.Body{Created: time.Now(), FreshUntil: time.Now(), Payload: l.payload}
	head := envelope.Head{Kind: envelope.Value}
	first, err := l.seal("k1", head, body)
	require.NoError(t, err)
	assert.Same(t, &room[0], &first[0], "where the payload is")
	second, err := l.seal("k2", head, body)
	require.NoError(t, err)
	for key, raw := range map[string][]byte{"k1": first, "k2": second} {
		_, got, err := envelope.Open(key, raw, nil)
		require.NoError(t, err, key)
		assert.Equal(t, "payload", string(got.Payload))
	}
}
