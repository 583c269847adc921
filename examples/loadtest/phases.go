package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tiercache/tiercache/examples/internal/app"
	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/child"
	"github.com/tiercache/tiercache/examples/internal/store"
)

// phase is one attack that is reported and what the server counted meanwhile.
type phase struct {
	run
	counted app.Counters
}

// figures is everything that was measured.
type figures struct {
	before, cold, warm phase
	capacity           float64 // requests/s without the cache
	highest            float64 // sustained with it
	overloaded         int64   // errors of the cache while the search asked for too much
	pkRead, redisGet   time.Duration
}

const (
	capacityWorkers = 8
	capacityShare   = 0.7
)

func (c config) measure(ctx context.Context, progress io.Writer) (f figures, err error) {
	seq, err := c.mix()
	if err != nil {
		return f, err
	}
	if err := c.without(ctx, &f, seq, progress); err != nil {
		return f, fmt.Errorf("without the cache: %w", err)
	}
	if err := c.with(ctx, &f, seq, progress); err != nil {
		return f, fmt.Errorf("with the cache: %w", err)
	}
	return f, nil
}

func (c config) without(ctx context.Context, f *figures, seq []request, progress io.Writer) (err error) {
	srv, err := c.binary().Start(ctx, "off", "-cache", "off")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Stop()) }()
	_, agent, _ := c.seed.Account(store.RoleAgent, 1)
	if err := login(ctx, srv, agent); err != nil {
		return err
	}
	say(progress, "without the cache: measuring capacity, %v", c.times.capacity)
	full := attack(ctx, srv.Base, seq, 0, capacityWorkers, c.times.capacity, false)
	f.capacity = float64(full.finished) / full.took.Seconds()
	if err := failed(ctx, full); err != nil {
		return err
	}
	rate := f.capacity * capacityShare
	for try := 1; ; try++ {
		say(progress, "without the cache: %v at %.1f requests/s, %.0f %% of %.1f", c.times.steady, rate, 100*rate/f.capacity, f.capacity)
		if f.before, err = c.phase(ctx, srv, seq, rate, false); err != nil || f.before.steady() || try == beforeTries {
			return err
		}
		// The machine has become slower since its capacity was measured. Times
		// of a queue that only grows would flatter the cache without limit.
		say(progress, "  a queue built up: p50 %v; again at less", percentile(f.before.all(), 50))
		rate *= backOff
	}
}

func (c config) with(ctx context.Context, f *figures, seq []request, progress io.Writer) (err error) {
	srv, err := c.binary().Start(ctx, "on", "-warm=false") // what it would warm is what is measured
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Stop()) }()
	if f.pkRead, err = bareRead(ctx, c); err != nil {
		return err
	}
	if f.redisGet, err = bareGet(ctx, srv.Redis, c.prefix); err != nil {
		return err
	}
	say(progress, "cold cache: the same requests for %v at the same rate", c.times.steady)
	if f.cold, err = c.phase(ctx, srv, seq, f.before.rate, false); err != nil {
		return err
	}
	searching, err := srv.Counters(ctx)
	if err != nil {
		return err
	}
	say(progress, "warm cache: filling what the cold run has not asked for, %v", fillTime)
	attack(ctx, srv.Base, seq, fillRate, 0, fillTime, false)
	say(progress, "warm cache: searching the highest sustained rate, %d × %v at most", c.times.steps, c.times.step)
	rate := search(c.times.steps, func(rate float64) bool {
		r := attack(ctx, srv.Base, seq, rate, 0, c.times.step, true)
		say(progress, "  %6.0f requests/s: p50 %v, p99 %v, sustained: %v", rate, percentile(r.all(), 50), percentile(r.all(), 99), r.sustained())
		return r.sustained()
	})
	searched, err := srv.Counters(ctx)
	if err != nil {
		return err
	}
	f.overloaded = searched.Cache.Errors - searching.Cache.Errors
	return c.warm(ctx, f, srv, seq, rate, progress)
}

// warm measures at the rate found, and at less if the rate that was sustained
// for seconds is not sustained for the whole time, as on a machine that others
// use too.
func (c config) warm(ctx context.Context, f *figures, srv *child.Server, seq []request, rate float64, progress io.Writer) (err error) {
	for try := 1; ; try++ {
		say(progress, "warm cache: %v at %.0f requests/s", c.times.steady, rate)
		f.warm, err = c.phase(ctx, srv, seq, rate, try < warmTries)
		f.highest = f.warm.achieved
		if ctx.Err() != nil || f.warm.sustained() || try == warmTries {
			return err
		}
		say(progress, "  not sustained: p99 %v, %d errors", percentile(f.warm.all(), 99), f.warm.errors)
		rate *= backOff
	}
}

// login proves that the door the load test's own tokens bypass works.
func login(ctx context.Context, srv *child.Server, email string) error {
	body, err := json.Marshal(map[string]string{"email": email, "password": auth.DemoPassword})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.Base+"/api/login", bytes.NewReader(body))
	if err != nil {
		return err
	}
	var got struct{ Token string }
	if err := child.Ask(req, &got); err != nil {
		return err
	}
	if got.Token == "" {
		return errors.New("login: no token")
	}
	return nil
}

// Without the filling the first steps of the search would judge the database,
// not the cache: at a low rate one miss in a hundred is the p99.
const (
	fillRate = 1000
	fillTime = 3 * time.Second
)

const (
	beforeTries = 3
	warmTries   = 3
	backOff     = 0.6
)

// phase attacks and takes the difference of the server's counters.
func (c config) phase(ctx context.Context, srv *child.Server, seq []request, rate float64, strict bool) (p phase, err error) {
	start, err := srv.Counters(ctx)
	if err != nil {
		return p, err
	}
	p.run = attack(ctx, srv.Base, seq, rate, 0, c.times.steady, strict)
	if err := failed(ctx, p.run); err != nil {
		return p, err
	}
	if p.counted, err = srv.Counters(ctx); err != nil {
		return p, err
	}
	p.counted.Sub(start)
	return p, nil
}

func failed(ctx context.Context, r run) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.errors > 0 {
		return fmt.Errorf("%d of %d requests failed, the first with %s", r.errors, r.requests, r.firstErr)
	}
	return nil
}

// The search starts where any machine keeps up and doubles until one does not;
// then it halves the gap. The answer is the highest rate that was sustained,
// less a margin, because a rate held for seconds is not held for a minute.
const (
	lowestRate   = 500.0
	searchMargin = 0.8
)

func search(steps int, sustained func(rate float64) bool) float64 {
	good, bad := 0.0, 0.0
	for rate := lowestRate; steps > 0; steps-- {
		if sustained(rate) {
			good = rate
		} else {
			bad = rate
		}
		switch {
		case bad == 0:
			rate = good * 2
		case good == 0:
			rate = bad / 2
		default:
			rate = (good + bad) / 2
		}
	}
	if good == 0 {
		good = bad / 2
	}
	return good * searchMargin
}

func say(w io.Writer, format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
