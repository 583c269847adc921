package memory

// Policy decides which items are worth their place. It is told of changes and reads
// from one goroutine at a time. What it lets go of it gives to Gone, from any
// goroutine.
type Policy[M any] interface {
	// Apply tells of changes, each of another hash; an item was asked for once. When it returns, every item
	// among them has its place or was given to Gone, and so was what had to go to
	// make room for it.
	Apply([]Change[M])
	// Touch tells which hashes were hit, in the order in which they were, each as often
	// as it was. They are the caller's when it returns.
	Touch(hashes []uint64)
	// Close frees what it has. Nothing is called afterwards.
	Close()
}

// Change is what is to stand under a hash: an item of that cost, or nil for nothing.
type Change[M any] struct {
	Hash uint64
	Item *Item[M]
	Cost int64
}

// Make makes a policy that keeps to maxBytes, and expects so many items to fit.
type Make[M any] func(maxBytes, items int64, gone Gone[M]) (Policy[M], error)

// Gone takes an item that has lost its place; evicted: after it had one.
type Gone[M any] func(it *Item[M], evicted bool)
