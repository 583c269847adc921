package engine

import (
	"bytes"
	"errors"
	"sync"

	"github.com/tiercache/tiercache/internal/envelope"
	"github.com/tiercache/tiercache/internal/flight"
)

// Compressor makes encodings shorter. Both methods append to dst.
type Compressor interface {
	Compress(dst, src []byte) []byte
	// Decompress gives an error for what would become longer than most, before it
	// makes room for it.
	Decompress(dst, src []byte, most int) ([]byte, error)
}

// With a compressor, a payload begins with one of these.
const (
	plainMark      = '-'
	compressedMark = 'c'
)

var (
	errNotAppended   = errors.New("tiercache: Codec.Append has not appended to dst, or has changed what was there")
	errNotCompressed = errors.New("tiercache: Compressor.Compress has not appended to dst, or has changed what was there")
	errNoMark        = errors.New("engine: a payload without a mark")
	errTooLong       = errors.New("engine: a payload that becomes too long")
)

// scratch has the buffers for what is needed during a call only. What goes to Redis
// is never in one: a command that its caller gave up may still be read by the
// goroutine that writes it.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// longestScratch is how long a buffer in the pool may be.
const longestScratch = 256 << 10

// giveBack returns a buffer that would have had to have room for so much. What a
// codec returned in its place is not taken: it may have a use for that.
func giveBack(b *[]byte, used int) {
	if used > cap(*b) && used <= longestScratch {
		*b = make([]byte, 0, used+used/4)
	}
	scratch.Put(b)
}

// prepare encodes a value and says how long it lives.
func (c *Cache) prepare(l *loaded, key string, call Call) (err error) {
	ttl := c.spec.TTL
	if call.TTL > 0 {
		ttl = call.TTL
	}
	if c.spec.TTLOf != nil {
		ttl = min(c.spec.TTLOf(l.value), Forever)
	}
	if c.spec.Tags != nil {
		l.names = c.spec.Tags(l.value)
		if err := checkTags(l.names); err != nil {
			return err
		}
	}
	if ttl < shortest {
		return nil
	}
	switch {
	case l.payload != nil: // the old one's
	case c.eng.remote != nil && !c.spec.MemoryOnly:
		err = c.encode(l, c.front(key, call.Tags, l.names))
	case c.spec.Cost == nil:
		err = c.measure(l)
	}
	if err != nil {
		return err
	}
	if max(l.encoded, len(l.payload)) > c.eng.largest {
		c.counts.tooLarge.Add(1)
		return nil
	}
	l.ttl = c.jittered(ttl)
	l.size = c.size(l.value, false, l.encoded)
	return nil
}

// front is how long the front of an envelope with the tags of these names will be.
func (c *Cache) front(key string, names ...[]string) int {
	n := envelope.Front()
	for i, t := range c.allTags(key, names...) {
		n += envelope.TagOverhead
		if i >= clearTags { // those of Clear have no name there
			n += len(t.name) - len(userTag(""))
		}
	}
	return n
}

// encode makes the payload of a value, with room for the front before it, so that
// the envelope is made without a copy. What does not get a tenth shorter is not
// compressed: reading it would cost more than it saves.
func (c *Cache) encode(l *loaded, front int) error {
	if c.spec.Compressor == nil {
		empty := make([]byte, front) // whatever is appended goes elsewhere
		room, err := c.spec.Encode(empty, l.value)
		switch {
		case err != nil:
			return err
		case !bytes.HasPrefix(room, empty):
			return errNotAppended
		}
		l.room, l.payload, l.encoded = room, room[front:], len(room)-front
		return nil
	}
	b := scratch.Get().(*[]byte)
	plain, err := c.spec.Encode((*b)[:0], l.value)
	if err != nil {
		return err
	}
	l.encoded = len(plain)
	room := append(make([]byte, front, front+1+len(plain)), plainMark)
	if l.encoded > c.spec.CompressAbove && l.encoded <= c.eng.largest {
		room[front] = compressedMark
		before := room
		room = c.spec.Compressor.Compress(before, plain)
		if len(room) < len(before) || room[front] != compressedMark || len(bytes.TrimLeft(room[:front], "\x00")) > 0 {
			return errNotCompressed
		}
	}
	if short := len(room) - front - 1; short == 0 || short > l.encoded-l.encoded/10 {
		room[front] = plainMark
		room = append(room[:front+1], plain...)
	}
	l.room, l.payload = room, room[front:]
	giveBack(b, len(plain))
	return nil
}

// measure is encode for what memory alone keeps: only the length counts.
func (c *Cache) measure(l *loaded) error {
	b := scratch.Get().(*[]byte)
	plain, err := c.spec.Encode((*b)[:0], l.value)
	if err == nil {
		l.encoded = len(plain)
		giveBack(b, len(plain))
	}
	return err
}

// decode is the value of a payload and the length of its encoding. A panic of the
// codec is an error: bytes that it cannot take are a miss like any other, or the key
// would fail until they expire.
func (c *Cache) decode(payload []byte) (value any, encoded int, err error) {
	err = flight.Recovering(func() error {
		plain := payload
		if c.spec.Compressor != nil {
			if len(payload) == 0 {
				return errNoMark
			}
			plain = payload[1:]
			switch payload[0] {
			case plainMark:
			case compressedMark:
				b := scratch.Get().(*[]byte)
				defer func() { giveBack(b, len(plain)) }()
				if plain, err = c.spec.Compressor.Decompress((*b)[:0], plain, c.eng.largest); err != nil {
					return err
				} else if len(plain) > c.eng.largest {
					return errTooLong
				}
			default:
				return errNoMark
			}
		}
		encoded = len(plain)
		value, err = c.spec.Decode(plain)
		return err
	})
	return value, encoded, err
}

// size is what a value costs memory, given the length of its encoding.
func (c *Cache) size(value any, absent bool, encoded int) int64 {
	if c.spec.Cost != nil && !absent {
		return max(0, c.spec.Cost(value))
	}
	return int64(encoded)
}
