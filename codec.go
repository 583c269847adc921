package tiercache

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Codec turns values into the bytes that Redis stores, and back. It is called
// from many goroutines at once. What it cannot decode is a miss, counted, and
// overwritten by the next load.
type Codec[T any] interface {
	// Append appends the encoding of v to dst and returns the result.
	Append(dst []byte, v T) ([]byte, error)
	// Decode reads what Append wrote. It must not keep src.
	Decode(src []byte) (T, error)
}

// jsonCodec is encoding/json as it comes.
type jsonCodec[T any] struct{}

func (jsonCodec[T]) Append(dst []byte, v T) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return dst, err
	}
	if dst == nil {
		return b, nil
	}
	return append(dst, b...), nil
}

func (jsonCodec[T]) Decode(src []byte) (v T, err error) {
	err = json.Unmarshal(src, &v)
	return v, err
}

// bytesCodec passes []byte through, stringCodec string.
type (
	bytesCodec  struct{}
	stringCodec struct{}
)

func (bytesCodec) Append(dst []byte, v []byte) ([]byte, error)  { return append(dst, v...), nil }
func (bytesCodec) Decode(src []byte) ([]byte, error)            { return slices.Clone(src), nil }
func (stringCodec) Append(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil }
func (stringCodec) Decode(src []byte) (string, error)           { return string(src), nil }

// codecOf is the codec to use and the name that goes into every envelope.
func codecOf[T any](given Codec[T]) (Codec[T], string) {
	if given != nil {
		return given, fmt.Sprintf("%T", given)
	}
	if c, ok := any(bytesCodec{}).(Codec[T]); ok {
		return c, "bytes"
	}
	if c, ok := any(stringCodec{}).(Codec[T]); ok {
		return c, "string"
	}
	return jsonCodec[T]{}, "json"
}
