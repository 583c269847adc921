package memory

// Policy decides which hashes are worth the place of their items. It is told of changes
// and reads from one goroutine at a time, and knows no items: of one that takes the place
// of another of the same cost it hears nothing.
type Policy interface {
	// Apply tells of changes, each of another hash; an item was asked for once. It returns
	// the hashes that have lost their place, or got none, and have none when it returns.
	// The slice holds until the next call.
	Apply([]Change) []Left
	// Touch tells which hashes were hit, in the order in which they were, each as often
	// as it was. They are the caller's when it returns.
	Touch(hashes []uint64)
	// Close frees what it has. Nothing is called afterwards.
	Close()
}

// Change is what the item that stands under a hash costs now; 0: none does.
type Change struct {
	Hash uint64
	Cost int64
}

// Left is a hash without a place; Evicted: it had one.
type Left struct {
	Hash    uint64
	Evicted bool
}

// Make makes a policy that keeps to maxBytes, and expects so many items to fit.
type Make func(maxBytes, items int64) (Policy, error)
