// Package s2 compresses what tiercache keeps in Redis, with S2, a faster relative of
// Snappy:
//
//	users, err := tiercache.New(tiers, tiercache.Options[User]{
//		Name: "users", TTL: 5 * time.Minute,
//		Compressor: s2.Compressor{},
//	})
//
// It is a module of its own, so that only who compresses depends on it.
package s2

import (
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"
)

// Compressor is a tiercache.Compressor. Safe for concurrent use.
type Compressor struct{}

// Compress appends src, compressed, to dst.
func (Compressor) Compress(dst, src []byte) []byte {
	n := len(dst)
	most := s2.MaxEncodedLen(len(src))
	if most < 0 { // longer than 4 GiB: what does not fit is not shorter
		return append(dst, src...)
	}
	dst = withRoom(dst, most)
	return dst[:n+len(s2.Encode(dst[n:n+most:n+most], src))]
}

// ErrTooLong is Decompress's error: src would become longer than it may.
var ErrTooLong = errors.New("s2: longer than it may be")

// Decompress appends what Compress was given to dst. It makes room for no more than
// most bytes, whatever src says.
func (Compressor) Decompress(dst, src []byte, most int) ([]byte, error) {
	size, err := s2.DecodedLen(src)
	switch {
	case err != nil:
		return dst, fmt.Errorf("s2: %w", err)
	case size > most:
		return dst, fmt.Errorf("%w: %d bytes, not %d", ErrTooLong, size, most)
	}
	n := len(dst)
	dst = withRoom(dst, size)
	if _, err = s2.Decode(dst[n:n+size:n+size], src); err != nil {
		return dst[:n], fmt.Errorf("s2: %w", err)
	}
	return dst[:n+size], nil
}

// withRoom is dst with room for n bytes more, and if it has to be made, for no others.
func withRoom(dst []byte, n int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	return append(make([]byte, 0, len(dst)+n), dst...)
}
