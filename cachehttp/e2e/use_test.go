package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/cachehttp"
)

const firstColumn = `Array.from(document.querySelectorAll("#caches tbody th"), e => e.textContent).join(" ")`

func TestCachesAreSortedByTheKeyboard(t *testing.T) {
	t.Parallel()
	d := startDouble(t, healthy)
	p := openTab(t, d.url(), desk)
	p.live()
	assert.Equal(t, "users inquiries analytics sessions", get[string](p, firstColumn), "by reads at first")
	sorted := func() string {
		return get[string](p, `document.activeElement.closest("th").ariaSort`)
	}
	p.tabTo("Cache")
	assert.Equal(t, "none", sorted())
	p.press(enter)
	assert.Equal(t, "ascending", sorted())
	assert.Equal(t, "analytics inquiries sessions users", get[string](p, firstColumn))
	p.press(space)
	assert.Equal(t, "descending", sorted())
	assert.Equal(t, "users sessions inquiries analytics", get[string](p, firstColumn))
	p.tabTo("Hit rate")
	p.press(enter)
	assert.Equal(t, "descending", sorted())
	p.press(enter)
	assert.Equal(t, "ascending", sorted())
	assert.Equal(t, "sessions analytics inquiries users", get[string](p, firstColumn))
	assert.Equal(t, 1, get[int](p, `document.querySelectorAll("#caches th[aria-sort$=cending]").length`))

	p.nextFigures()
	assert.Equal(t, "Hit rate", get[string](p, `document.activeElement.textContent`), "new figures leave the focus where it is")
	assert.Equal(t, "sessions analytics inquiries users", get[string](p, firstColumn), "and the order")
}

func TestWhatTheKeyboardReachesIsSeen(t *testing.T) {
	t.Parallel()
	d := startDouble(t, healthy)
	p := openTab(t, d.url(), desk)
	p.live()
	reached := make(map[string]bool)
	for range 60 {
		p.press(tabulator)
		at := get[string](p, `(e => e === document.body ? "" : e.tagName + "#" + e.id + " " + e.textContent.slice(0, 30))(document.activeElement)`)
		if at == "" {
			break
		}
		reached[at] = true
		assert.Equal(t, "solid", get[string](p, `getComputedStyle(document.activeElement).outlineStyle`), at)
	}
	for _, want := range []string{"SUMMARY# Figures of the chart", "BUTTON# Cache", "BUTTON# Run…", "SELECT#kind", "INPUT#target ", "BUTTON# Invalidate…", "BUTTON#clear Clear all caches…"} {
		assert.Condition(t, func() bool {
			for at := range reached {
				if len(at) >= len(want) && at[:len(want)] == want {
					return true
				}
			}
			return false
		}, "%s among %v", want, reached)
	}
}

func TestAnActionIsConfirmedFirstAndTheFocusReturns(t *testing.T) {
	t.Parallel()
	d := startDouble(t, healthy)
	p := openTab(t, d.url(), phone)
	p.live()
	p.tabTo("Clear all caches…")
	p.press(enter)
	require.True(t, get[bool](p, `document.getElementById("confirm").matches(":modal")`))
	assert.Equal(t, "confirm-cancel", get[string](p, `document.activeElement.id`), "Enter by habit changes nothing")
	assert.Contains(t, p.text("confirm-text"), "Every entry of every cache")
	p.press(escape)
	p.await(`!document.getElementById("confirm").open`)
	assert.Equal(t, "clear", get[string](p, `document.activeElement.id`))
	assert.Empty(t, d.asked())

	p.press(enter)
	p.press(enter) // on Cancel
	p.await(`!document.getElementById("confirm").open`)
	assert.Empty(t, d.asked())

	p.press(enter)
	p.press(tabulator)
	p.press(enter)
	p.await(`document.getElementById("result").textContent === "Clear: done, 3 keys removed from Redis."`)
	assert.Equal(t, "clear", get[string](p, `document.activeElement.id`))
	assert.Equal(t, []string{"clear {}"}, d.asked())

	p.click(`#invalidate button`)
	assert.False(t, get[bool](p, `document.getElementById("confirm").open`), "without a target there is nothing to confirm")
	for _, kind := range []string{"key", "tag", "pattern"} {
		p.choose("kind", kind)
		p.enter("target", "a:*")
		p.press(enter)
		assert.Contains(t, p.text("confirm-title")+p.text("confirm-text"), kind)
		assert.Contains(t, p.text("confirm-text"), "“a:*”")
		p.click(`#confirm-yes`)
		want := fmt.Sprintf(`invalidate {"kind":%q,"target":"a:*"}`, kind)
		// The result of the one before says "done" until this one is sent.
		require.Eventually(t, func() bool { return slices.Contains(d.asked(), want) }, 10*time.Second, 10*time.Millisecond, want)
		p.await(`document.getElementById("result").dataset.state === "done"`)
	}
}

func TestWhoMayOnlyReadIsShownNoActions(t *testing.T) {
	t.Parallel()
	d := startDouble(t, func() cachehttp.Snapshot {
		s := healthy()
		s.Allowed = []string{}
		return s
	})
	p := openTab(t, d.url(), desk)
	p.live()
	assert.Equal(t, "", get[string](p, `Array.from(document.querySelectorAll("#actions button, #actions input, #jobs button")).filter(e => e.checkVisibility()).map(e => e.outerHTML).join()`))
	assert.Contains(t, p.text("actions"), "You may read here, and change nothing.")
}

func TestAScreenReaderHearsOfChangesAndNotOfFigures(t *testing.T) {
	t.Parallel()
	d := startDouble(t, healthy)
	p := openTab(t, d.url(), desk)
	p.live()
	get[bool](p, `window.said = [], new MutationObserver(() => said.push(document.getElementById("announce").textContent)).observe(document.getElementById("announce"), {childList: true, characterData: true, subtree: true}), true`)
	p.nextFigures()
	p.nextFigures()
	assert.Zero(t, get[int](p, `said.length`))
	d.show(down)
	p.await(`said.length > 0`)
	assert.Contains(t, get[string](p, `said.join("|")`), "Status: Redis is down.")
	assert.Equal(t, "announce result", get[string](p, `Array.from(document.querySelectorAll("[role=status], [aria-live], [role=alert]"), e => e.id).join(" ")`))
}

func TestTheFiguresOfTheChartAreATableToo(t *testing.T) {
	t.Parallel()
	d := startDouble(t, healthy)
	p := openTab(t, d.url(), desk)
	p.live()
	p.click(`#chart-details summary`)
	p.nextFigures()
	assert.Positive(t, get[float64](p, `Number(document.querySelector("#chart-table tbody td").textContent.replace(",", ""))`))
	assert.Positive(t, get[int](p, `(c => c.getContext("2d").getImageData(0, 0, c.width, c.height).data.filter(x => x > 0).length)(document.querySelector("#chart canvas"))`), "something is drawn")
}

func TestDarkIsDarkAndBothCanBeRead(t *testing.T) {
	t.Parallel()
	d := startDouble(t, healthy)
	for _, dark := range []bool{false, true} {
		for _, state := range []func() cachehttp.Snapshot{healthy, down, idle} {
			d.show(state)
			p := openTab(t, d.url(), view{width: 1280, height: 900, dark: dark})
			p.live()
			light := get[float64](p, contrasts+`; luminance(getComputedStyle(document.body).backgroundColor)`)
			assert.Equal(t, dark, light < 0.5)
			assert.Equal(t, "", get[string](p, contrasts+`; faint(4.5)`), "dark: %v", dark)
		}
	}
}

func TestNothingMovesForWhoWantsNoMotion(t *testing.T) {
	t.Parallel()
	d := startDouble(t, healthy)
	p := openTab(t, d.url(), desk)
	p.live()
	moving := `Array.from(document.querySelectorAll("*")).filter(e => getComputedStyle(e).transitionDuration !== "0s" || getComputedStyle(e).animationName !== "none").length`
	assert.Positive(t, get[int](p, moving))
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}})
	assert.Zero(t, get[int](p, moving))
}

func TestTheBasicsOfAccessibilityHold(t *testing.T) {
	t.Parallel()
	for name, state := range states {
		d := startDouble(t, state)
		p := openTab(t, d.url(), phone)
		p.live()
		assert.Equal(t, "", get[string](p, basics), name)
		p.click(`#clear:not([hidden] *), summary`)
		assert.Equal(t, "", get[string](p, basics), "%s, with what a click opens", name)
	}
}
