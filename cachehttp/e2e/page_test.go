package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/cachehttp"
)

func TestEveryStateFitsTheDeskAndThePhone(t *testing.T) {
	for name, state := range states {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDouble(t, state)
			for _, v := range []view{desk, phone} {
				p := openTab(t, d.url(), v)
				p.live()
				assert.LessOrEqual(t, get[int64](p, `document.documentElement.scrollWidth`), v.width)
				assert.Equal(t, v.width, get[int64](p, `innerWidth`), "the page is not zoomed out to fit")
				assert.Equal(t, "", get[string](p, `Array.from(document.querySelectorAll("main *, header *"))
					.filter(e => e.checkVisibility() && !e.closest(".scroll, .hidden, #chart") && e.getBoundingClientRect().right > innerWidth)
					.map(e => e.tagName + "#" + e.id + " " + e.textContent.slice(0, 40)).join("; ")`), "sticks out of the page")
			}
		})
	}
}

func TestTheVerdictSaysInWordsWhatIsWrong(t *testing.T) {
	t.Parallel()
	with := func(change func(*cachehttp.Snapshot)) func() cachehttp.Snapshot {
		return func() cachehttp.Snapshot {
			s := healthy()
			change(&s)
			return s
		}
	}
	master := func(change func(*cachehttp.Master)) func() cachehttp.Snapshot {
		return with(func(s *cachehttp.Snapshot) { change(&s.Masters[0]) })
	}
	d := startDouble(t, healthy)
	p := openTab(t, d.url(), desk)
	for _, c := range []struct {
		name, level, word, why string
		state                  func() cachehttp.Snapshot
	}{
		{"a good hit rate", "good", "Good", "95.2 % of reads", healthy},
		{"Redis out of use", "down", "Redis is down", "318 invalidations wait", down},
		{"a fair hit rate", "fair", "Fair", "70.9 % of reads in the last 15 min", with(func(s *cachehttp.Snapshot) {
			s.Performance.Status, s.Windows[2].HitRate = "fair", 70.99
		})},
		{"a poor hit rate", "poor", "Poor", "12.0 % of reads", with(func(s *cachehttp.Snapshot) {
			s.Performance.Status, s.Windows[2].HitRate = "poor", 12
		})},
		{"one master of two out of use", "down", "Redis is down", "1 of 2 Redis masters", with(func(s *cachehttp.Snapshot) {
			s.Masters = append(s.Masters, s.Masters[0])
			s.Masters[1].State, s.Masters[1].Connected, s.Redis.Connected = "open", false, false
		})},
		{"Redis comes back", "fair", "Recovering", "told first", master(func(m *cachehttp.Master) { m.State = "replaying" })},
		{"Redis has never answered", "fair", "Connecting", "not answered yet", with(func(s *cachehttp.Snapshot) {
			s.Redis.Connected, s.Masters = false, nil
		})},
		{"Redis takes no writes", "fair", "Fair", "no writes", master(func(m *cachehttp.Master) { m.State = "read-only" })},
		{"others are not heard", "fair", "Fair", "not heard", master(func(m *cachehttp.Master) { m.Fresh = false })},
		{"nobody has read", "none", "No traffic", "Nothing was read yet. There is no Redis", idle},
		{"too few reads to judge", "none", "Starting", "Only 1 read so far", with(func(s *cachehttp.Snapshot) {
			s.Performance.Status, s.Cache.Operations = "poor", 1
		})},
	} {
		d.show(c.state)
		p.await(`document.getElementById("health").dataset.level === "` + c.level + `" && document.getElementById("why").textContent.replace(/\s/g, " ").includes("` + c.why + `")`)
		assert.Equal(t, "Status: "+c.word, p.text("status"), c.name)
		assert.Equal(t, c.word+" · Cache", get[string](p, `document.title`), c.name)
	}
}

func TestTheStreamIsTakenUpAgainWhenTheServerIsBack(t *testing.T) {
	t.Parallel()
	d := startDouble(t, healthy)
	p := openTab(t, d.url(), desk)
	p.live()
	d.stop()
	p.await(`document.getElementById("link").dataset.state === "lost"`)
	assert.Contains(t, p.text("link"), "connection lost, retrying")
	assert.Contains(t, p.text("announce"), "Connection lost")
	assert.True(t, get[bool](p, `document.body.classList.contains("stale") && getComputedStyle(document.getElementById("h-rate"), "::after").content.includes("stale")`))

	d.start()
	p.live()
	assert.Contains(t, p.text("announce"), "Connected again")
	assert.False(t, get[bool](p, `document.body.classList.contains("stale")`))
	for _, trouble := range p.expected() {
		assert.Contains(t, trouble, "network: ", "but for requests that found no server there is no trouble")
	}
}

func TestWhoFindsTheStreamFullReadsAllTheSame(t *testing.T) {
	t.Parallel()
	d := startDouble(t, healthy)
	d.refuseStreams(true)
	p := openTab(t, d.url(), desk)
	p.await(`document.getElementById("link").dataset.state === "polled"`)
	assert.Equal(t, "Status: Good", p.text("status"))
	d.refuseStreams(false)
	p.live()
	for _, trouble := range p.expected() {
		assert.Contains(t, trouble, "503")
	}
}

func TestWhatOthersHaveNamedIsShownAsText(t *testing.T) {
	t.Parallel()
	d := startDouble(t, hostile)
	p := openTab(t, d.url(), desk)
	p.live()
	for _, id := range []string{"status", "mode", "advice", "redis", "hearing", "caches", "hot", "recent", "jobs"} {
		assert.Contains(t, p.text(id), markup, id)
	}
	assert.Contains(t, p.text("caches"), `a\u{202e}b\u{a}`, "what turns or breaks text is spelled out")
	assert.Zero(t, get[int](p, `document.querySelectorAll("img, iframe, a:not(.skip)").length`))
	assert.Equal(t, 2, get[int](p, `document.scripts.length`))

	p.click(`#jobs button`)
	assert.Contains(t, p.text("confirm-text"), markup)
	p.press(escape)
	p.enter("target", markup)
	p.click(`#invalidate button`)
	assert.Contains(t, p.text("confirm-text"), markup)
	p.click(`#confirm-yes`)
	p.await(`document.getElementById("result").textContent.includes("done")`)
	assert.Contains(t, p.text("result"), markup)
	assert.Zero(t, get[int](p, `document.querySelectorAll("img").length`))
}

func TestTheVendoredChartIsTheOnePublished(t *testing.T) {
	t.Parallel()
	sums, err := os.ReadFile("../page/uplot/SHA256SUMS")
	require.NoError(t, err)
	files, err := os.ReadDir("../page/uplot")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(sums)), "\n")
	require.Len(t, lines, len(files)-1, "each file but the list is in it")
	for _, line := range lines {
		sum, name, ok := strings.Cut(line, "  ")
		require.True(t, ok, line)
		b, err := os.ReadFile("../page/uplot/" + name)
		require.NoError(t, err)
		got := sha256.Sum256(b)
		assert.Equal(t, sum, hex.EncodeToString(got[:]), name)
	}
}
