package tiercache

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"sync"

	"github.com/tiercache/tiercache/internal/schema"
)

// Codec turns values into the bytes that Redis stores, and back. It is called
// from many goroutines at once. What it cannot decode is a miss, counted, and
// overwritten by the next load.
type Codec[T any] interface {
	// Append appends the encoding of v to dst and returns the result. dst is not
	// empty: what is there stays.
	Append(dst []byte, v T) ([]byte, error)
	// Decode reads what Append wrote. It must neither change src nor keep it, or a
	// part of it: there is something else there soon.
	Decode(src []byte) (T, error)
}

// Compressor makes encodings shorter, see Options.Compressor. It is called from many
// goroutines at once. Package github.com/tiercache/tiercache/s2 has one.
type Compressor interface {
	// Compress appends src, compressed, to dst and returns the result.
	Compress(dst, src []byte) []byte
	// Decompress appends what Compress was given to dst and returns the result. What is
	// longer than most is an error, before room is made for it, and so are bytes that
	// Compress did not write.
	Decompress(dst, src []byte, most int) ([]byte, error)
}

// jsonCodec is encoding/json as it comes.
type jsonCodec[T any] struct{}

// jsonEncoder is an Encoder that writes behind what is in dst, without the copy that
// json.Marshal makes.
type jsonEncoder struct {
	dst []byte
	enc *json.Encoder
}

func (e *jsonEncoder) Write(p []byte) (int, error) {
	e.dst = append(e.dst, p...)
	return len(p), nil
}

var jsonEncoders = sync.Pool{New: func() any {
	e := new(jsonEncoder)
	e.enc = json.NewEncoder(e)
	return e
}}

func (jsonCodec[T]) Append(dst []byte, v T) ([]byte, error) {
	e := jsonEncoders.Get().(*jsonEncoder)
	e.dst = dst
	err := e.enc.Encode(v)
	out := e.dst
	e.dst = nil
	jsonEncoders.Put(e)
	if err != nil {
		return dst, err
	}
	return out[:len(out)-1], nil // an Encoder ends with a line feed
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

// codecOf is the codec to use.
func (o Options[T]) codecOf() Codec[T] {
	if o.Codec != nil {
		return o.Codec
	}
	if c, ok := any(bytesCodec{}).(Codec[T]); ok {
		return c
	}
	if c, ok := any(stringCodec{}).(Codec[T]); ok {
		return c
	}
	return jsonCodec[T]{}
}

// decoder is Decode, to what is stored. The default's has no copies of a value that is
// returned, and no pointer to a pointer, which encoding/json would have to follow.
func (c *Cache[T]) decoder(codec Codec[T]) func(src []byte) (any, error) {
	t := reflect.TypeFor[T]()
	_, isJSON := codec.(jsonCodec[T])
	switch {
	case isJSON && t.Kind() == reflect.Pointer && t == reflect.PointerTo(t.Elem()): // no defined type
		var null T
		return func(src []byte) (any, error) {
			if string(bytes.Trim(src, " \t\r\n")) == "null" {
				return null, nil
			}
			p := reflect.New(t.Elem()).Interface()
			return p, json.Unmarshal(src, p)
		}
	case isJSON:
		return func(src []byte) (any, error) {
			v := new(T)
			err := json.Unmarshal(src, v)
			return c.stored(v), err
		}
	}
	return func(src []byte) (any, error) {
		v, err := codec.Decode(src)
		return c.stored(&v), err
	}
}

// typeName tells types of one name in packages of one name apart.
func typeName(v any) string {
	t := reflect.TypeOf(v)
	name := t.String()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() + " " + name
}

// schemaOf is what goes, hashed, into every envelope: values of another are a miss.
// That a value is compressed is a part of it whatever Options.Schema says: a reader
// without the Compressor would take the mark before it for the value's.
func (o Options[T]) schemaOf() (name string) {
	t := reflect.TypeFor[T]()
	switch c := o.codecOf().(type) {
	case jsonCodec[T]:
		name = "json " + schema.JSON(t)
	default:
		name = typeName(c) + " " + schema.Any(t)
	}
	if o.Schema != "" {
		name = "named " + o.Schema
	}
	if o.Compressor != nil {
		name += " " + typeName(o.Compressor)
	}
	return name
}
