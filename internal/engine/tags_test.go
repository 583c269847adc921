package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/coherence"
	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/remote"
)

// A: sight, reads | the epoch ends | B: sight, reads, learns, stores | A: learns: what
// B has stored stays
func TestARecordThatWasReadInAnEarlierEpochTakesNoNewersPlace(t *testing.T) {
	t.Parallel()
	e, _ := memoryOnly(t)
	of := e.tags.of(userTag("red"))
	ear, elsewhere := new(coherence.Hearing), new(coherence.Hearing)
	born := remote.Tick{N: 7}
	record := remote.Record{Tag: remote.Tag{Nonce: envelope.NewToken(), Clock: born}}
	before := sight{of: of, ear: ear, epoch: 1}
	after := sight{of: of, ear: ear, epoch: 2}

	b := e.learn(after, record)
	require.Same(t, b, of.current.Load())
	a := e.learn(before, record)
	assert.EqualValues(t, 1, a.epoch, "A has what it read")
	assert.Equal(t, born, a.rest.Load().birth)
	assert.Same(t, b, of.current.Load())
	assert.Same(t, b, e.learn(after, record), "and a third is told the same")

	of.forget()
	e.learn(before, record)
	assert.Nil(t, of.current.Load(), "nor does it come back")
	c := e.learn(sight{of: of, moved: 1, ear: elsewhere, epoch: 1}, record)
	assert.Same(t, c, of.current.Load(), "another master counts its own epochs")
}
