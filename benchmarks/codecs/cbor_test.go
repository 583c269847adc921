package codecs

import (
	"context"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/tiercache/tiercache"
)

// cborMode keeps the nanoseconds of a time, which CBOR's default drops. Names come
// from tags of JSON where there are none of CBOR.
var cborMode = func() cbor.EncMode {
	mode, err := cbor.EncOptions{Time: cbor.TimeRFC3339Nano}.EncMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

// cborCodec is a tiercache.Codec.
type cborCodec[T any] struct{}

func (cborCodec[T]) Append(dst []byte, v T) ([]byte, error) {
	b, err := cborMode.Marshal(v)
	return append(dst, b...), err
}

func (cborCodec[T]) Decode(src []byte) (v T, err error) {
	err = cbor.Unmarshal(src, &v)
	return v, err
}

func Example() {
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tiers.Close()
	rows, err := tiercache.New(tiers, tiercache.Options[[]row]{
		Name: "rows", TTL: time.Minute,
		Codec: cborCodec[[]row]{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	page, err := rows.GetOrLoad(context.Background(), "page:1", func(context.Context) ([]row, error) { return page()[:2], nil })
	fmt.Println(len(page), err)
	// Output: 2 <nil>
}
