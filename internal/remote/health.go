package remote

import (
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/coherence"
)

// MasterHealth is what is known of one master.
type MasterHealth struct {
	Addr      string
	Connected bool
	Ping      time.Duration
	Stamp     string // "": the server does not tell its incarnations apart
	Hearing   coherence.Mode
	Fresh     bool // memory may be served of what was heard there

	// State of its circuit: "closed", "open", "replaying", or "read-only": closed, and
	// nothing is written.
	State string
	// NextProbe is how long it is until it is asked again whether it answers, or
	// takes writes; 0 if that is not waited for.
	NextProbe time.Duration
	Opens     int64 // how often its circuit has opened

	Lag    time.Duration // age of the last answer that vouches for what was heard; 0: none yet
	Losses int64         // see coherence.Hearing.Losses
	Epoch  uint64

	// Pool is that of the connections for operations, of the server's present life.
	Pool redis.PoolStats
}

// Health tells the mode ("single", "sentinel", "cluster") and the masters. It waits
// for nobody.
func (r *Remote) Health() (mode string, masters []MasterHealth) {
	for _, m := range r.routes.table.Load().masters {
		h := MasterHealth{Addr: m.addr, Ping: time.Duration(m.ping.Load()), Hearing: m.ear.Load().Mode(), Opens: m.circuit.opens.Load()}
		h.State, h.NextProbe = m.standing()
		h.Connected = (h.State == closed.String() || h.State == readOnly) && h.Ping > 0
		ear := m.hearing()
		h.Fresh = ear.Fresh(clock.Now()) != coherence.No
		h.Losses, h.Epoch = ear.Losses(), ear.Epoch()
		if pong := ear.LastPong(); pong != 0 {
			h.Lag = time.Duration(clock.Now() - pong)
		}
		l := m.life.Load()
		h.Pool = *l.rdb.PoolStats()
		if is := l.self.Load(); is != nil && is.known {
			h.Stamp = string(is.stamp[:])
		}
		masters = append(masters, h)
	}
	return r.plan.mode, masters
}

const readOnly = "read-only"

func (m *master) standing() (name string, next time.Duration) {
	s := state(m.circuit.state.Load())
	switch {
	case s == open:
		next = until(m.circuit.probeAt.Load())
	case s == closed && m.valve.shut.Load():
		return readOnly, until(m.valve.tryAt.Load())
	}
	return s.String(), next
}
