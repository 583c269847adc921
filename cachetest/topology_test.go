//go:build consistency

package cachetest_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/internal/redistest"
)

// topology is a deployment of Redis. Its functions are called from the test's
// own goroutine.
type topology struct {
	t          testing.TB
	deployment string // see clientOf

	servers func() []*redistest.Server // all that hold data, masters first
	masters func() []*redistest.Server

	// failover kills the n-th master, as far as there are several, and returns
	// when another has taken its place, and what brings the old one back.
	failover func(n int) (heal func())

	// mend returns when all servers that are up follow as they should.
	mend func()

	proxies map[string]*redistest.Proxy // by the address they stand before
	dial    dialer                      // through the proxies
}

var topologies = map[string]func(t testing.TB) *topology{
	"single": func(t testing.TB) *topology {
		s := redistest.Start(t)
		all := func() []*redistest.Server { return []*redistest.Server{s} }
		return newTopology(t, singleOf(s), nil, topology{servers: all, masters: all, mend: func() {}})
	},

	"sentinel": func(t testing.TB) *topology {
		set := redistest.StartSentinel(t, 2, 3)
		masters := func() []*redistest.Server { return []*redistest.Server{set.Master()} }
		return newTopology(t, "sentinel "+set.MasterName()+" "+strings.Join(set.SentinelAddrs(), " "), set.SentinelAddrs(), topology{
			servers: func() []*redistest.Server { return append(masters(), set.Replicas()...) },
			masters: masters,
			failover: func(int) func() {
				old := set.Master()
				old.Kill()
				set.AwaitMaster(old.Addr())
				return func() { old.Restart(); set.AwaitReplicas() }
			},
			mend: set.AwaitReplicas,
		})
	},

	"cluster": func(t testing.TB) *topology {
		c := redistest.StartClusterWithReplicas(t, 3, 1)
		return newTopology(t, "cluster "+strings.Join(c.Addrs(), " "), nil, topology{
			servers: func() (all []*redistest.Server) {
				all = c.Nodes()
				for shard := range c.Nodes() {
					all = append(all, c.Replicas(shard)...)
				}
				return all
			},
			masters: c.Nodes,
			failover: func(n int) func() {
				shard := n % len(c.Nodes())
				old := c.Nodes()[shard]
				old.Kill()
				c.AwaitFailover(shard)
				return func() { old.Restart(); c.AwaitReplicas() }
			},
			mend: c.AwaitReplicas,
		})
	},
}

func newTopology(t testing.TB, deployment string, others []string, top topology) *topology {
	top.t, top.deployment, top.proxies = t, deployment, make(map[string]*redistest.Proxy)
	for _, s := range top.servers() {
		others = append(others, s.Addr())
	}
	for _, addr := range others {
		top.proxies[addr] = redistest.StartProxy(t, addr)
	}
	top.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if p := top.proxies[addr]; p != nil {
			addr = p.Addr()
		}
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}
	return &top
}

// open makes a node's Tiers; those of node 0 reach everything through proxies.
func (top *topology) open(i int, adjust func(tiercache.Config) tiercache.Config) (*tiercache.Tiers, error) {
	dial := top.dial
	if i > 0 {
		dial = nil
	}
	client, err := clientOf(top.deployment, dial)
	require.NoError(top.t, err)
	top.t.Cleanup(func() { _ = client.Close() })
	return tiercache.Open(adjust(tiercache.Config{Redis: client, Prefix: "c:"}))
}

// master is one master, a different one each time.
func (top *topology) master(n int) *redistest.Server {
	all := top.masters()
	return all[n%len(all)]
}
