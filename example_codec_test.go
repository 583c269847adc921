package tiercache_test

import (
	"context"
	fixed "encoding/binary"
	"fmt"
	"time"

	"github.com/tiercache/tiercache"
)

// Position is made of numbers of fixed size only.
type Position struct {
	Lat, Lon float64
	At       int64
}

// positionCodec writes a Position as 24 bytes.
type positionCodec struct{}

func (positionCodec) Append(dst []byte, p Position) ([]byte, error) {
	return fixed.Append(dst, fixed.LittleEndian, p)
}

func (positionCodec) Decode(src []byte) (p Position, err error) {
	_, err = fixed.Decode(src, fixed.LittleEndian, &p)
	return p, err
}

// A codec of one's own takes two short methods.
func ExampleCodec() {
	tiers, err := tiercache.Open(tiercache.Config{}) // or {Redis: client, Prefix: "shop:"}
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tiers.Close()
	positions, err := tiercache.New(tiers, tiercache.Options[Position]{
		Name: "positions", TTL: time.Minute,
		Codec: positionCodec{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := positions.GetOrLoad(context.Background(), "ship:7", func(context.Context) (Position, error) {
		return Position{Lat: 54.3, Lon: 10.1, At: 1_700_000_000}, nil
	})
	fmt.Println(p.Lat, p.Lon, err)
	// Output: 54.3 10.1 <nil>
}
