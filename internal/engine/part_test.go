package engine

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tiercache/tiercache/internal/batch"
)

// A caller's ctx ends while its key's load comes back and wants a slot again: the end
// is first, and nobody would give the slot back.
func TestAPartThatHasEndedKeepsNoSlot(t *testing.T) {
	t.Parallel()
	nothing := func(context.Context, []string) (map[string]any, error) { return nil, nil }
	of := batch.New(t.Context(), []string{"k"}, nothing, func(int) {})
	p := part{of: &of[0], slots: make(chan struct{}, 2)}
	p.resume(t.Context())
	assert.Len(t, p.slots, 1)
	p.resume(t.Context())
	assert.Len(t, p.slots, 1, "one is enough")
	p.end()
	assert.Empty(t, p.slots)
	p.resume(t.Context())
	assert.Empty(t, p.slots)
}
