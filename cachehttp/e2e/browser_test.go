// Package e2e tests the dashboard in a real browser: Debian's chromium, or what
// CHROMIUM names.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const patience = 30 * time.Second

// browser is one Chromium for all tests; each has a tab of its own.
var browser context.Context

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	path := os.Getenv("CHROMIUM")
	if path == "" {
		path, _ = exec.LookPath("chromium")
	}
	if path == "" {
		return m.Run()
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path),
		// Chromium refuses to run as root in its sandbox, and machines that run tests
		// are root more often than not. It loads nothing but this repository's page.
		chromedp.NoSandbox)
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	defer cancel()
	browser, cancel = chromedp.NewContext(allocator)
	defer cancel()
	if err := chromedp.Do(browser); err != nil {
		fmt.Fprintln(os.Stderr, "chromium does not start:", err)
		return 1
	}
	return m.Run()
}

// tab is a page in the browser, and what went wrong in it.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex // guards troubles
	troubles []string
}

// view is how a page is looked at.
type view struct {
	width, height int64
	dark          bool
}

var desk, phone = view{width: 1280, height: 900}, view{width: 380, height: 800}

// openTab opens url, and fails the test at its end if the page had an error in its
// console, an exception, or anything that its policy refused; a test that expects some takes
// them by tab.expected.
func openTab(t testing.TB, url string, v view) *tab {
	t.Helper()
	if browser == nil {
		if os.Getenv("TIERCACHE_REQUIRE_CHROMIUM") != "" {
			t.Fatal("chromium is not on PATH: apt-get install chromium, or name it in CHROMIUM")
		}
		t.Skip("chromium is not on PATH")
	}
	p := &tab{t: t}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithListener(p.hear))
	require.NoError(t, chromedp.Do(ctx)) // the tab would end with the deadline otherwise
	ctx, stop := context.WithTimeout(ctx, 2*patience)
	p.ctx = ctx
	t.Cleanup(func() {
		assert.Empty(t, p.expected(), "troubles of the page")
		stop()
		cancel()
	})
	scheme := "light"
	if v.dark {
		scheme = "dark"
	}
	call(p, log.Enable, cdp.Empty{})
	call(p, runtime.Enable, cdp.Empty{})
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: v.width, Height: v.height, DeviceScaleFactor: 1, Mobile: v.width < 500})
	p.run(chromedp.Navigate(url))
	return p
}

func (p *tab) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Source == log.EntrySourceSecurity {
			p.troubles = append(p.troubles, fmt.Sprint(e.Entry.Source, ": ", e.Entry.Text, " ", e.Entry.URL))
		}
	case *runtime.EventExceptionThrown:
		p.troubles = append(p.troubles, fmt.Sprintf("exception: %s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			p.troubles = append(p.troubles, fmt.Sprint("console: ", string(e.Args[0].Value)))
		}
	case *page.EventJavascriptDialogOpening:
		p.troubles = append(p.troubles, "alert: "+e.Message)
	}
}

// expected takes the troubles that there have been.
func (p *tab) expected() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	troubles := p.troubles
	p.troubles = nil
	return troubles
}

func (p *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, actions...))
}

// get is what a JavaScript expression gives.
func get[V any](p *tab, expression string) V {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[V](expression))
	require.NoError(p.t, err, expression)
	return v
}

func call[P, R any](p *tab, command cdp.Command[P, R], params P) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, command, params)
	require.NoError(p.t, err)
}

// text of the element with an id, as it is read: with plain spaces.
func (p *tab) text(id string) string {
	p.t.Helper()
	return strings.Join(strings.Fields(get[string](p, fmt.Sprintf("document.getElementById(%q).innerText", id))), " ")
}

// await waits until a JavaScript expression is true.
func (p *tab) await(expression string) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for !get[bool](p, expression) {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain for %s; status %q, link %q, troubles %q", expression, p.text("status"), p.text("link"), p.expected())
		}
		pause(p.ctx)
	}
}

// live waits for the first figures.
func (p *tab) live() {
	p.t.Helper()
	p.await(`document.getElementById("link")?.dataset.state === "live"`)
}

// pause between two looks at something that has no event to wait for.
func pause(ctx context.Context) {
	select {
	case <-time.After(20 * time.Millisecond):
	case <-ctx.Done():
	}
}
