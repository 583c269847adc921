package main

import (
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// A fault takes a Redis away and gives it back.
type fault struct {
	name, what string
	early      bool // it begins before the caches are opened
	unsteady   bool // Redis comes and goes
	rig        func(t testing.TB) rig
}

// rig is a server that can go away. begin and end are called from the goroutine
// that made it; when end returns the server answers.
type rig struct {
	server     *redistest.Server
	addr       string // to connect to
	begin, end func()
}

const (
	replyDelay  = 5 * time.Second
	flapEvery   = time.Second
	backlog     = 16 // of a server that is to be a black hole
	unanswered  = 200 * time.Millisecond
	mostFillers = 256
)

var faults = []fault{
	{name: "killed", what: "SIGKILL: connections break, then nothing listens", rig: killed},
	{name: "refused", what: "nothing listens, from before the caches are opened", early: true, rig: killed},
	{name: "black-holed", what: "connections hang, and a dial is never answered", rig: blackHoled},
	{name: "frozen", what: "SIGSTOP: dials succeed, nothing is answered", rig: frozen},
	{name: "delay", what: "each reply comes 5 s late", rig: proxied(func(p *redistest.Proxy) { p.Delay(replyDelay / 2) })},
	{name: "half-open", what: "what is sent arrives, what comes back is lost", rig: proxied((*redistest.Proxy).HalfOpen)},
	{name: "flapping", what: "a second up, a second down: refusing and swallowing in turn", unsteady: true, rig: flapping},
}

func killed(t testing.TB) rig {
	s := redistest.Start(t)
	return rig{s, s.Addr(), s.Kill, s.Restart}
}

func frozen(t testing.TB) rig {
	s := redistest.Start(t)
	return rig{s, s.Addr(), s.Pause, s.Resume}
}

// blackHoled stops the server and fills its queue of connections that nobody
// accepts: the system then drops what asks for another.
func blackHoled(t testing.TB) rig {
	s := redistest.Start(t, "--tcp-backlog", strconv.Itoa(backlog))
	var fillers []net.Conn
	release := func() {
		for _, c := range fillers {
			_ = c.Close()
		}
		fillers = nil
	}
	t.Cleanup(release)
	return rig{
		server: s,
		addr:   s.Addr(),
		begin: func() {
			s.Pause()
			for {
				c, err := net.DialTimeout("tcp", s.Addr(), unanswered)
				if err != nil {
					return
				}
				if fillers = append(fillers, c); len(fillers) > mostFillers {
					t.Skip("this system answers connections that nobody accepts")
				}
			}
		},
		end: func() { release(); s.Resume() },
	}
}

func proxied(begin func(*redistest.Proxy)) func(t testing.TB) rig {
	return func(t testing.TB) rig {
		s := redistest.Start(t)
		p := redistest.StartProxy(t, s.Addr())
		return rig{s, p.Addr(), func() { begin(p) }, p.Pass}
	}
}

func flapping(t testing.TB) rig {
	s := redistest.Start(t)
	p := redistest.StartProxy(t, s.Addr())
	var flaps sync.WaitGroup
	var stop chan struct{} // nil: not flapping
	end := func() {
		if stop != nil {
			close(stop)
			stop = nil
			flaps.Wait()
		}
		p.Pass()
	}
	t.Cleanup(end)
	return rig{
		server: s,
		addr:   p.Addr(),
		begin: func() {
			stop = make(chan struct{})
			flaps.Go(flap(p, stop))
		},
		end: end,
	}
}

// flap begins with a second down.
func flap(p *redistest.Proxy, stop chan struct{}) func() {
	return func() {
		tick := time.NewTicker(flapEvery)
		defer tick.Stop()
		for n := 0; ; n++ {
			switch n % 4 {
			case 0:
				p.Refuse()
			case 2:
				p.Drop()
			default:
				p.Pass()
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}
}
