package s2_test

import (
	"fmt"
	"time"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/s2"
)

func ExampleCompressor() {
	tiers, err := tiercache.Open(tiercache.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tiers.Close()
	_, err = tiercache.New(tiers, tiercache.Options[[]byte]{
		Name: "pages", TTL: time.Minute,
		Compressor: s2.Compressor{}, CompressAbove: 4 << 10,
	})
	fmt.Println(err)
	// Output: <nil>
}
