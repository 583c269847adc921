package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/cachehttp"
)

// The states of the double that look different, for whoever changes the page: with
// TIERCACHE_STATES=DIR each is there as a picture, light, dark and on a phone.
func TestStatesAsPictures(t *testing.T) {
	dir := os.Getenv("TIERCACHE_STATES")
	if dir == "" {
		t.Skip("TIERCACHE_STATES is not set")
	}
	for name, state := range states {
		d := startDouble(t, state)
		for suffix, v := range map[string]view{"light": desk, "dark": {width: 1280, height: 900, dark: true}, "phone": phone} {
			p := openTab(t, d.url(), v)
			p.live()
			p.shot(filepath.Join(dir, name+"-"+suffix+".png"))
		}
	}
}

var states = map[string]func() cachehttp.Snapshot{"healthy": healthy, "down": down, "idle": idle, "huge": huge, "hostile": hostile}

func (p *tab) shot(file string) {
	p.t.Helper()
	png, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	require.NoError(p.t, err)
	require.NoError(p.t, os.WriteFile(file, png, 0o644))
}
