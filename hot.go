package tiercache

// HotKey is a key that is read often.
type HotKey struct {
	Cache, Key string
	Share      float64 // of the reads that memory answers in this process, estimated; 0 to 1
}

// HotKeys are the n keys that memory answers most often, the hottest first; fewer if
// fewer are known. They are found by sampling.
func (t *Tiers) HotKeys(n int) []HotKey { panic("shape") }
