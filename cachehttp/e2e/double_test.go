package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/cachehttp"
)

// double stands in for the handler where a test needs a state that real tiers do not
// come to in seconds, or at will: it shows whatever snapshot it is given.
type double struct {
	t        testing.TB
	snapshot func() cachehttp.Snapshot
	addr     string
	server   *httptest.Server

	mu   sync.Mutex // guards full
	full bool       // the stream is refused, as to one reader too many
}

// policy is as strict as the handler's: what it refuses here it refuses there.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func startDouble(t testing.TB, snapshot func() cachehttp.Snapshot) *double {
	d := &double{t: t, snapshot: snapshot, addr: "127.0.0.1:0"}
	d.start()
	t.Cleanup(d.stop)
	return d
}

func (d *double) url() string { return "http://" + d.addr + "/cache/" }

// start listens at the same address each time.
func (d *double) start() {
	listener, err := net.Listen("tcp", d.addr)
	require.NoError(d.t, err)
	d.addr = listener.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cache/{$}", d.index)
	mux.HandleFunc("GET /cache/stream", d.stream)
	mux.Handle("GET /cache/page/", http.StripPrefix("/cache/page/", http.FileServerFS(os.DirFS("../page"))))
	d.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux}}
	d.server.Start()
}

func (d *double) stop() {
	d.server.CloseClientConnections()
	d.server.Close()
}

func (d *double) refuseStreams(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

func (d *double) index(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(d.snapshot())
		return
	}
	w.Header().Set("Content-Security-Policy", policy)
	http.ServeFileFS(w, r, os.DirFS("../page"), "index.html")
}

func (d *double) stream(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	full := d.full
	d.mu.Unlock()
	if full {
		http.Error(w, "too many read the stream", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		event, err := json.Marshal(d.snapshot())
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(w, "data: %s\n\n", event)
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// healthy is a service at work. Its traffic follows the clock.
func healthy() cachehttp.Snapshot {
	var s cachehttp.Snapshot
	s.At = time.Now()
	wave := func(period float64) float64 { return math.Sin(float64(s.At.UnixMilli()) / 1000 / period) }
	s.Cache.Hits, s.Cache.Misses, s.Cache.Operations, s.Cache.HitRate, s.Cache.AvgTime = 1_172_113, 61_200, 1_233_313, 95.03, 0.84
	s.Redis.Mode, s.Redis.Connected, s.Redis.PingMs = "single", true, 0.31
	s.Performance.Status, s.Performance.Recommendation = "good", "Nothing to change."
	for _, w := range []struct {
		name    string
		seconds float64
	}{{"now", 1}, {"1m", 60}, {"15m", 900}} {
		v := cachehttp.Window{Name: w.name, Seconds: w.seconds, HitRate: 95.21, MemoryRate: 88.6, RedisRate: 6.61}
		v.PerSecond.Memory, v.PerSecond.Redis, v.PerSecond.Load = 1200+180*wave(7)+60*wave(1.3), 92+20*wave(5), 61+14*wave(3)
		v.MemoryTime = cachehttp.Times{P50: 0.00042, P95: 0.0011, P99: 0.0032}
		v.RedisTime = cachehttp.Times{P50: 0.35, P95: 0.81, P99: 2.4}
		v.LoadTime = cachehttp.Times{P50: 38, P95: 112, P99: 240}
		v.Loads, v.LoadsSaved = int64(61*w.seconds), int64(1290*w.seconds)
		v.TimeSaved = float64(v.LoadsSaved) * 41
		s.Windows = append(s.Windows, v)
	}
	s.Total = row("", 1_233_313, 95.03)
	s.Caches = []cachehttp.Row{row("users", 801_220, 97.4), row("inquiries", 310_004, 93.1), row("analytics", 98_771, 88.2), row("sessions", 23_318, 61.7)}
	s.Memory.Entries, s.Memory.Bytes, s.Memory.Budget, s.Memory.Evictions = 48_210, 41_300_000, 64<<20, 1204
	s.Masters = []cachehttp.Master{master("127.0.0.1:6379")}
	s.Hot = []cachehttp.Hot{{Cache: "users", Key: "user:4…2", Share: 11.4}, {Cache: "users", Key: "user:1…7", Share: 4.2}, {Cache: "analytics", Key: "range:2…w", Share: 2.9}, {Cache: "inquiries", Key: "inq:op…n", Share: 1.1}}
	s.Invalidations = []cachehttp.Invalidation{
		{At: s.At.Add(-4 * time.Second), Kind: "key", Target: "user:4…2", Count: 1, Keys: 1},
		{At: s.At.Add(-31 * time.Second), Kind: "tag", Target: "team:7", Count: 1, Heard: true},
		{At: s.At.Add(-6 * time.Minute), Kind: "pattern", Target: "inquiries:*", Count: 1, Keys: 1204},
		{At: s.At.Add(-2 * time.Hour), Kind: "key", Target: "user:9…1", Count: 14, Keys: 11, Expire: true},
	}
	s.Jobs = []cachehttp.Job{
		{Name: "profiles", Running: true, Runs: 12, Total: 5000, Done: 3100 + int(400*wave(11)), Failed: 3, EtaMs: 14_200, Started: s.At.Add(-22 * time.Second), Ended: s.At.Add(-31 * time.Minute)},
		{Name: "analytics ranges", Runs: 4, Total: 24, Done: 24, Ended: s.At.Add(-12 * time.Minute), Next: s.At.Add(17 * time.Minute)},
	}
	s.Recommendations = []cachehttp.Recommendation{{
		Rule: "short-ttl", Cache: "sessions", Option: "Options.TTL",
		Text: "38.3 % of 23,318 reads missed, and 71 % of these misses were for entries past their TTL of 30 s. A longer TTL would answer most of them.",
	}}
	s.Allowed = []string{"clear", "invalidate", "warm"}
	return s
}

func row(name string, operations int64, rate cachehttp.Percent) cachehttp.Row {
	r := cachehttp.Row{Name: name, Operations: operations, HitRate: rate}
	hits := int64(float64(operations) * float64(rate) / 100)
	misses := operations - hits
	r.MemoryHits, r.RedisHits = hits*9/10, hits-hits*9/10
	r.Misses.Expired, r.Misses.Invalidated, r.Misses.Evicted = misses/2, misses/5, misses/50
	r.Misses.Cold = misses - r.Misses.Expired - r.Misses.Invalidated - r.Misses.Evicted
	r.Loads, r.LoadErrors, r.Coalesced, r.Refreshes = misses*4/5, misses/900, misses/5, misses/40
	r.Entries, r.Bytes, r.Evictions = operations/25, operations*33, misses/50
	r.LoadTime = cachehttp.Times{P50: 38, P95: 112, P99: 240}
	r.LoadsSaved = operations - r.Loads
	r.TimeSaved = float64(r.LoadsSaved) * 41
	return r
}

func master(addr string) cachehttp.Master {
	m := cachehttp.Master{Addr: addr, Connected: true, State: "closed", PingMs: 0.31, Hearing: "tracking", Fresh: true, LagMs: 112, Losses: 1, Epoch: 2}
	m.Pool.Total, m.Pool.Idle = 12, 9
	return m
}

// down is a service whose only Redis is away.
func down() cachehttp.Snapshot {
	s := healthy()
	s.Redis.Connected, s.Redis.PingMs, s.Queued = false, 0, 318
	m := &s.Masters[0]
	m.Connected, m.State, m.PingMs, m.NextProbe, m.Opens, m.Fresh, m.LagMs, m.Hearing = false, "open", 0, 1840, 3, false, 41_000, "connecting"
	return s
}

// idle is a process that nobody has asked for anything. Its lists are null in JSON.
func idle() cachehttp.Snapshot {
	var s cachehttp.Snapshot
	s.At = time.Now()
	s.Redis.Mode, s.Performance.Status = "memory", "good"
	return s
}

// huge has every figure as large as it gets, and names as long.
func huge() cachehttp.Snapshot {
	s := healthy()
	const most = math.MaxInt64
	long := strings.Repeat("a-very-long-name-without-a-break", 40)
	for i := range s.Windows {
		w := &s.Windows[i]
		w.PerSecond.Memory, w.PerSecond.Redis, w.PerSecond.Load = 9e12, 8e12, 7e12
		w.Loads, w.LoadsSaved, w.TimeSaved, w.LoadTime.P99, w.MemoryTime.P50 = most, most, 1e18, 1e12, 1e-6
	}
	for i := range s.Caches {
		r := &s.Caches[i]
		r.Name = fmt.Sprint(i, long)
		r.Operations, r.MemoryHits, r.Loads, r.Entries, r.Bytes, r.TimeSaved, r.Misses.Cold = most, most, most, most, most, 1e18, most
	}
	s.Memory.Bytes, s.Memory.Entries, s.Queued = most, most, 1<<40
	for i := range 12 {
		s.Masters = append(s.Masters, master(fmt.Sprintf("redis-%d.%s.example.com:6379", i, long)))
	}
	s.Hot[0].Key, s.Hot[0].Cache, s.Invalidations[0].Target, s.Jobs[0].Name, s.Jobs[0].Error = long, long, long, long, long
	s.Jobs[0].Done, s.Jobs[0].Total, s.Jobs[0].EtaMs = math.MaxInt, math.MaxInt, 1e15
	s.Recommendations[0].Text = long
	return s
}

const markup = `<img src=x onerror=alert(1)>`

// hostile has markup wherever somebody else chooses the text, and a name that turns the
// direction of what follows.
func hostile() cachehttp.Snapshot {
	s := healthy()
	s.Caches[0].Name, s.Caches[1].Name = markup, "a\u202Eb\n"
	s.Hot[0].Key, s.Hot[0].Cache = markup, markup
	s.Invalidations[0].Target, s.Invalidations[0].Kind = markup, markup
	s.Jobs[0].Name, s.Jobs[0].Error, s.Jobs[0].Running = markup, markup, false
	s.Masters[0].Addr, s.Masters[0].State, s.Masters[0].Hearing = markup, markup, markup
	s.Recommendations[0] = cachehttp.Recommendation{Rule: `"><script>alert(1)</script>`, Cache: markup, Text: markup, Option: "javascript:alert(1)"}
	s.Redis.Mode, s.Performance.Status, s.Performance.Recommendation = markup, markup, markup
	return s
}
