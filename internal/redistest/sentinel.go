package redistest

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// sentinelMaster is the name under which the sentinels know the master.
const sentinelMaster = "main"

// A failover begins about a second after the master fell silent. The periods are
// a part of Sentinel's own, so that it forms and settles in seconds. A sentinel
// makes a replica of who has called itself a master for four PUBLISH-PERIODs,
// by the INFO of the last INFO-PERIOD: so the second is much the shorter, or a
// replica that another sentinel has just promoted is taken back. On a machine
// that is short of time the clock protection (tilt) would stop everything for
// half a minute, and is as good as off.
var (
	sentinelConfig = map[string]string{"down-after-milliseconds": "1000", "failover-timeout": "3000", "parallel-syncs": "10"}
	sentinelPeriod = []any{"INFO-PERIOD", 100, "PING-PERIOD", 200, "ASK-PERIOD", 200, "PUBLISH-PERIOD", 500, "TILT-TRIGGER", 60000, "TILT-PERIOD", 1000}
)

// SentinelSet is a master with its replicas and the sentinels that watch them.
type SentinelSet struct {
	t         testing.TB
	servers   []*Server
	sentinels []*Server
}

// StartSentinel starts a master, its replicas and its sentinels, of which the
// majority is the quorum, and returns when each sentinel knows all the others
// and every replica has what the master has. Three sentinels are the fewest
// that survive the loss of one.
func StartSentinel(t testing.TB, replicas, sentinels int) *SentinelSet {
	t.Helper()
	if replicas < 0 || sentinels < 1 {
		t.Fatalf("redistest: %d replicas with %d sentinels", replicas, sentinels)
	}
	set := &SentinelSet{t: t}
	master := Start(t)
	set.servers = append(set.servers, master)
	for range replicas {
		set.servers = append(set.servers, master.StartReplica())
	}
	host, port, err := net.SplitHostPort(master.Addr())
	master.must("its address", err)
	for range sentinels {
		s := &Server{t: t, sentinel: true}
		s.start()
		set.sentinels = append(set.sentinels, s)
		// Without it, before Redis 7, everything works and takes longer.
		_ = s.admin().Do(t.Context(), append([]any{"sentinel", "debug"}, sentinelPeriod...)...).Err()
		s.must("sentinel monitor", s.admin().Do(t.Context(), "sentinel", "monitor", sentinelMaster, host, port, sentinels/2+1).Err())
		for name, value := range sentinelConfig {
			s.must("sentinel set", s.admin().Do(t.Context(), "sentinel", "set", sentinelMaster, name, value).Err())
		}
	}
	await(t, "the sentinels to know each other", set.acquainted)
	set.AwaitReplicas()
	return set
}

// MasterName returns the name to ask the sentinels for.
func (set *SentinelSet) MasterName() string { return sentinelMaster }

// SentinelAddrs returns host:port of every sentinel.
func (set *SentinelSet) SentinelAddrs() []string { return addrs(set.sentinels) }

// Sentinels returns the sentinels, to kill or pause them.
func (set *SentinelSet) Sentinels() []*Server { return set.sentinels }

// Client returns a new client that finds the master by the sentinels, with
// go-redis's own defaults, closed when the test ends. Maintenance notifications
// are off, as in every failover client of go-redis.
func (set *SentinelSet) Client() *redis.Client {
	c := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: sentinelMaster, SentinelAddrs: set.SentinelAddrs()})
	set.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Master returns the server that the sentinels which are up name as the master.
// If they disagree it waits until they do not. Until they have noticed that the
// master is dead, it is the dead one.
func (set *SentinelSet) Master() *Server {
	set.t.Helper()
	var master *Server
	await(set.t, "the sentinels to agree", func() (err error) {
		master, err = set.agreed()
		return err
	})
	return master
}

// Replicas returns all servers but Master, killed ones and those that do not
// know yet that they are no longer the master included.
func (set *SentinelSet) Replicas() []*Server {
	set.t.Helper()
	master := set.Master()
	var out []*Server
	for _, s := range set.servers {
		if s != master {
			out = append(out, s)
		}
	}
	return out
}

// AwaitMaster returns when the sentinels that are up agree on a master at
// another address, which is up and believes so itself. To be called when the
// master at notAddr was killed or paused: the failover takes some seconds.
func (set *SentinelSet) AwaitMaster(notAddr string) *Server {
	set.t.Helper()
	var master *Server
	await(set.t, "a master other than "+notAddr, func() (err error) {
		master, err = set.successor(notAddr)
		return err
	})
	return master
}

// Failover makes the sentinels promote a replica while the master lives, and
// returns the new master when they agree on it. The old one goes on as a master
// until it is told, which is when AwaitReplicas returns. Failover itself begins
// with that.
func (set *SentinelSet) Failover() *Server {
	set.t.Helper()
	set.AwaitReplicas()
	old := set.Master().Addr()
	var master *Server
	var again time.Time
	await(set.t, "a failover from "+old, func() (err error) {
		if master, err = set.successor(old); err == nil {
			return nil
		}
		// A failover that takes too long on a busy machine is given up, silently.
		// By then it has ended or the sentinel refuses to begin another.
		if time.Now().After(again) {
			if err := set.order(old); err != nil {
				return err
			}
			again = time.Now().Add(5 * time.Second)
		}
		return err
	})
	return master
}

// order has the first sentinel that is up, always the same one, fail over from
// old, if it has not.
func (set *SentinelSet) order(old string) error {
	for _, s := range set.sentinels {
		if !s.up() {
			continue
		}
		at, err := set.ask(s, "get-master-addr-by-name").StringSlice()
		if err != nil || strings.Join(at, ":") != old {
			return err
		}
		return set.ask(s, "failover").Err()
	}
	return errors.New("no sentinel is up")
}

// AwaitReplicas returns when every server that is up is the master, or follows
// it and has all it has, and the sentinels that are up know. A former master that
// was restarted or resumed goes on as a master for some seconds, which ends here.
func (set *SentinelSet) AwaitReplicas() {
	set.t.Helper()
	master := set.Master()
	awaitSync(set.t, master, set.servers...)
	await(set.t, "the sentinels to know the replicas", func() error { return set.known(master) })
}

func (set *SentinelSet) ask(s *Server, what string) *redis.Cmd {
	return s.admin().Do(set.t.Context(), "sentinel", what, sentinelMaster)
}

// agreed is the master by the word of all sentinels that are up.
func (set *SentinelSet) agreed() (*Server, error) {
	addr := ""
	for _, s := range set.sentinels {
		if !s.up() {
			continue
		}
		at, err := set.ask(s, "get-master-addr-by-name").StringSlice()
		if err != nil {
			return nil, err
		}
		got := strings.Join(at, ":")
		if addr != "" && got != addr {
			return nil, fmt.Errorf("one says %s, another %s", addr, got)
		}
		addr = got
	}
	for _, s := range set.servers {
		if s.Addr() == addr {
			return s, nil
		}
	}
	return nil, fmt.Errorf("no server of the set is at %q", addr)
}

// successor is the master that all agree on, unless it is at old.
func (set *SentinelSet) successor(old string) (*Server, error) {
	master, err := set.agreed()
	if err != nil {
		return nil, err
	}
	if master.Addr() == old || !master.up() {
		return nil, errors.New("it is still " + master.Addr())
	}
	at, err := replication(master)
	if err == nil && at["role"] != "master" {
		err = fmt.Errorf("%s is a %s", master.Addr(), at["role"])
	}
	return master, err
}

func (set *SentinelSet) acquainted() error {
	for _, s := range set.sentinels {
		others, err := set.ask(s, "sentinels").Slice()
		if err != nil {
			return err
		}
		if len(others) != len(set.sentinels)-1 {
			return fmt.Errorf("%s knows %d", s.Addr(), len(others))
		}
	}
	return nil
}

// known has nothing to object when the sentinels have heard of every replica
// that it is one and that its link is up: before that they promote none.
func (set *SentinelSet) known(master *Server) error {
	for _, s := range set.sentinels {
		if !s.up() {
			continue
		}
		replicas, err := set.ask(s, "replicas").Slice()
		if err != nil {
			return err
		}
		ready := make(map[any]bool)
		for _, r := range replicas {
			// A map over RESP3, which go-redis speaks by default.
			if f, ok := r.(map[any]any); ok {
				ready[f["name"]] = f["flags"] == "slave" && f["role-reported"] == "slave" && f["master-link-status"] == "ok"
			}
		}
		for _, replica := range set.servers {
			if replica != master && replica.up() && !ready[replica.Addr()] {
				return fmt.Errorf("%s does not know %s as such: %v", s.Addr(), replica.Addr(), replicas)
			}
		}
	}
	return nil
}

func addrs(servers []*Server) []string {
	out := make([]string, len(servers))
	for i, s := range servers {
		out[i] = s.Addr()
	}
	return out
}
