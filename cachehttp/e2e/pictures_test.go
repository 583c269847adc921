package e2e

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
)

const largestPicture = 300 << 10

// With TIERCACHE_PICTURES=DIR the pictures of the documentation are taken anew, of a
// service that two processes' worth of tiers share for a minute and a half.
func TestPicturesForTheDocumentation(t *testing.T) {
	dir := os.Getenv("TIERCACHE_PICTURES")
	if dir == "" {
		t.Skip("TIERCACHE_PICTURES is not set")
	}
	s := startService(t, fewKeys)
	s.busy()
	var taken sync.WaitGroup
	for name, v := range map[string]view{"light": desk, "dark": {width: 1280, height: 900, dark: true}, "phone": phone} {
		p := openTab(t, s.url(), v)
		p.live()
		p.patience = 3 * time.Minute
		taken.Go(func() {
			p.await(`performance.now() > 90_000`)
			p.picture(filepath.Join(dir, "dashboard-"+name+".png"))
		})
	}
	taken.Wait()
}

// busy adds what a real service has: caches that differ, a slow source, a neighbour that
// loads and changes the same keys, and a job that takes its time.
func (s *service) busy() {
	neighbour, err := tiercache.Open(tiercache.Config{Redis: s.redis.Client(), Prefix: "e2e:"})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { assert.NoError(s.t, neighbour.Close()) })
	for _, c := range []struct {
		name, key string
		ttl, load time.Duration
		keys      int
		pause     time.Duration
	}{
		{"inquiries", "inquiry:%d", time.Minute, 22 * time.Millisecond, 4000, 4 * time.Millisecond},
		{"analytics", "range:2026-%02d", 5 * time.Minute, 140 * time.Millisecond, 12, 9 * time.Millisecond},
		{"sessions", "session:%d", 3 * time.Second, 3 * time.Millisecond, 60, 11 * time.Millisecond},
	} {
		for i, tiers := range []*tiercache.Tiers{s.tiers, neighbour} {
			cache, err := tiercache.New(tiers, tiercache.Options[string]{Name: c.name, TTL: c.ttl})
			require.NoError(s.t, err)
			some := rand.NewZipf(rand.New(rand.NewPCG(uint64(i), 7)), 1.3, 4, uint64(c.keys-1))
			s.while(func(ctx context.Context) {
				for ctx.Err() == nil {
					key := fmt.Sprintf(c.key, 1+some.Uint64())
					_, _ = cache.GetOrLoad(ctx, key, func(ctx context.Context) (string, error) {
						sleep(ctx, c.load)
						return "value of " + key, nil
					})
					if rand.IntN(400) == 0 {
						_, _ = tiers.Invalidate(ctx, tiercache.Key(key))
					}
					if i == 1 && rand.IntN(4000) == 0 {
						_, _ = tiers.Invalidate(ctx, tiercache.Tag("team:7"))
					}
					sleep(ctx, c.pause)
				}
			})
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (p *tab) picture(file string) {
	full, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	require.NoError(p.t, err)
	shown, err := png.Decode(bytes.NewReader(full))
	require.NoError(p.t, err)
	var small bytes.Buffer
	require.NoError(p.t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, inFewColours(shown)))
	require.Less(p.t, small.Len(), largestPicture, file)
	require.NoError(p.t, os.WriteFile(file, small.Bytes(), 0o644))
}

// inFewColours has of a picture the 256 commonest colours, and the nearest of these for
// the rest, which are shades at the edges of letters.
func inFewColours(shown image.Image) image.Image {
	often := make(map[color.RGBA]int)
	bounds := shown.Bounds()
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(shown.At(x, y)).(color.RGBA) }
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			often[at(x, y)]++
		}
	}
	commonest := slices.SortedFunc(maps.Keys(often), func(a, b color.RGBA) int { return cmp.Compare(often[b], often[a]) })
	var palette color.Palette
	for _, c := range commonest[:min(256, len(commonest))] {
		palette = append(palette, c)
	}
	few := image.NewPaletted(bounds, palette)
	nearest := make(map[color.RGBA]uint8)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := at(x, y)
			i, ok := nearest[c]
			if !ok {
				i = uint8(palette.Index(c))
				nearest[c] = i
			}
			few.SetColorIndex(x, y, i)
		}
	}
	return few
}
