package main

import (
	"context"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

const requestTimeout = 60 * time.Second

// connections bounds those open at a time, and all of them are kept: past this
// many requests under way the next waits for a connection, and its waiting
// counts. Unbounded, an overload would open and drop connections until the
// machine has no port left.
const connections = 1000

// run is what one attack measured.
type run struct {
	latencies [routes][]time.Duration
	pages     []time.Duration
	requests  int
	errors    int
	firstErr  string
	rate      float64 // asked for, per second; 0 for as fast as possible
	achieved  float64 // requests begun per second
	early     []time.Duration
	late      []time.Duration // latencies of the first and the last third
	finished  int             // responses that came within the time
	took      time.Duration   // the time
	slow      int             // responses that took longer than sustainedP99
}

// attack sends the sequence, from its start and round again if it is too short,
// at rate requests per second for d: an open model, in which a request's time
// does not depend on how the ones before it fare. A rate of 0 is a closed model
// of that many workers, which measures capacity.
//
// With strict, it ends as soon as it is certain that the rate is not sustained.
func attack(ctx context.Context, base string, seq []request, rate float64, workers uint64, d time.Duration, strict bool) run {
	opts := []func(*vegeta.Attacker){
		vegeta.Timeout(requestTimeout), vegeta.KeepAlive(true), vegeta.MaxBody(0),
		vegeta.Connections(connections), vegeta.MaxConnections(connections),
	}
	var pacer vegeta.Pacer = vegeta.ConstantPacer{Freq: int(rate * 1000), Per: 1000 * time.Second}
	if rate == 0 {
		pacer = vegeta.ConstantPacer{}
		opts = append(opts, vegeta.Workers(workers), vegeta.MaxWorkers(workers))
	}
	attacker := vegeta.NewAttacker(opts...)
	stop := context.AfterFunc(ctx, func() { attacker.Stop() })
	defer stop()

	var next atomic.Int64
	targeter := func(t *vegeta.Target) error {
		i := int(next.Add(1) - 1)
		q := seq[i%len(seq)]
		t.Method, t.URL, t.Header = "GET", tag(base+q.path, i), q.header
		return nil
	}
	began := time.Now()
	c := collector{seq: seq, began: began, d: d, run: run{rate: rate, took: d}, visits: map[int]*visit{}}
	for result := range attacker.Attack(targeter, pacer, d, "") {
		c.add(result)
		if strict && c.hopeless() {
			attacker.Stop()
		}
	}
	c.run.achieved = float64(c.run.requests) / d.Seconds()
	return c.run
}

// visit gathers the three requests of a page.
type visit struct {
	sum time.Duration
	n   int
}

type collector struct {
	run    run
	seq    []request
	began  time.Time
	d      time.Duration
	visits map[int]*visit // by the place of the first request
}

func (c *collector) add(r *vegeta.Result) {
	c.run.requests++
	if r.Error != "" {
		c.run.errors++
		if c.run.firstErr == "" {
			c.run.firstErr = r.Error + " (" + r.URL + ")"
		}
		return
	}
	u, err := url.Parse(r.URL)
	if err != nil {
		panic("bug: an attack's own URL does not parse: " + err.Error())
	}
	i, err := strconv.Atoi(u.Fragment)
	if err != nil {
		panic("bug: an attack's URL has lost its place: " + r.URL)
	}
	end := r.End().Sub(c.began)
	if end <= c.d {
		c.run.finished++
	}
	if r.Latency > sustainedP99 {
		c.run.slow++
	}
	switch at := r.Timestamp.Sub(c.began); {
	case at < c.d/3:
		c.run.early = append(c.run.early, r.Latency)
	case at > c.d*2/3:
		c.run.late = append(c.run.late, r.Latency)
	}
	q := c.seq[i%len(c.seq)]
	c.run.latencies[q.route] = append(c.run.latencies[q.route], r.Latency)
	c.page(i, r.Latency)
}

// hopeless reports that whatever comes, sustained will be false: a request has
// failed, or more than one in a hundred of all that are to come were slow.
func (c *collector) hopeless() bool {
	return c.run.errors > 0 || float64(c.run.slow) > 0.01*c.run.rate*c.d.Seconds()+1
}

// page adds a request to the visit it belongs to, if any. A page's time is the
// sum of its three requests': what a browser waits that fetches one after the
// other. A visit of which one request failed or fell beyond the end is no page.
func (c *collector) page(i int, latency time.Duration) {
	first := -1
	for back := range 3 {
		if at := i - back; at >= 0 && c.seq[at%len(c.seq)].visit {
			first = at
			break
		}
	}
	if first < 0 {
		return
	}
	v := c.visits[first]
	if v == nil {
		v = &visit{}
		c.visits[first] = v
	}
	v.sum += latency
	if v.n++; v.n == 3 {
		c.run.pages = append(c.run.pages, v.sum)
		delete(c.visits, first)
	}
}

// Sustained means: nothing failed, the generator kept its pace, answers stayed
// quick, and they did not become slower while the attack went on, as they do
// when a queue builds up.
const (
	sustainedP99  = 20 * time.Millisecond
	sustainedPace = 0.98
)

func (r run) sustained() bool {
	return r.errors == 0 && r.achieved >= sustainedPace*r.rate &&
		percentile(r.all(), 99) <= sustainedP99 &&
		percentile(r.late, 50) <= 2*percentile(r.early, 50)+time.Millisecond
}

// steady means that no queue built up, however slow the answers are: nearly all
// came within the time, and the last third waited not much longer than the first.
func (r run) steady() bool {
	return float64(r.finished) >= 0.95*float64(r.requests) &&
		percentile(r.late, 50) <= 3*percentile(r.early, 50)+20*time.Millisecond
}

func (r run) all() []time.Duration {
	var all []time.Duration
	for _, l := range r.latencies {
		all = append(all, l...)
	}
	return all
}
