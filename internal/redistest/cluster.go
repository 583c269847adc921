package redistest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Slots is the number of hash slots of a cluster.
const Slots = 16384

// Cluster is a Redis Cluster. A shard is a master with its replicas: whichever
// of them is the master, the shard keeps its index.
type Cluster struct {
	t       testing.TB
	nodes   []*node // the masters of the beginning, then the replicas
	masters []*node // of each shard, as far as this package was told
}

type node struct {
	*Server
	id    string
	shard int
}

// A slot without a master fails alone, not the whole cluster with it. A replica
// may stand for election however long it was without its master, and it stays in
// its shard. A shorter timeout takes a busy machine for a dead node.
var clusterArgs = []string{
	"--cluster-node-timeout", "2000",
	"--cluster-require-full-coverage", "no",
	"--cluster-replica-validity-factor", "0",
	"--cluster-migration-barrier", "1000",
}

// StartCluster starts a cluster of masters without replicas and returns when all
// nodes agree on it. Master i has the slots from i*Slots/masters to those of the
// next one. If one dies, the others go on.
func StartCluster(t testing.TB, masters int) *Cluster {
	t.Helper()
	return StartClusterWithReplicas(t, masters, 0)
}

// StartClusterWithReplicas is StartCluster with so many replicas for each master,
// which have all it has when the cluster is returned. No replica takes a dead
// master's place in a cluster of fewer than three: the others are no majority.
func StartClusterWithReplicas(t testing.TB, masters, replicasPerMaster int) *Cluster {
	t.Helper()
	if masters < 1 || replicasPerMaster < 0 {
		t.Fatalf("redistest: a cluster of %d masters with %d replicas each", masters, replicasPerMaster)
	}
	ctx := t.Context()
	c := &Cluster{t: t}
	for i := range masters * (1 + replicasPerMaster) {
		n := &node{Server: &Server{t: t, cluster: true, args: clusterArgs}, shard: i % masters}
		n.start()
		c.nodes = append(c.nodes, n)
		id, err := n.admin().Do(ctx, "cluster", "myid").Text()
		n.must("cluster myid", err)
		n.id = id
		// Distinct from the beginning, or the nodes settle it among themselves, in seconds.
		n.must("set-config-epoch", n.admin().Do(ctx, "cluster", "set-config-epoch", i+1).Err())
		if i < masters {
			c.masters = append(c.masters, n)
			n.must("addslots", n.admin().ClusterAddSlotsRange(ctx, i*Slots/masters, (i+1)*Slots/masters-1).Err())
		}
	}
	for _, n := range c.nodes[1:] {
		host, port, _ := net.SplitHostPort(n.Addr())
		c.nodes[0].must("cluster meet", c.nodes[0].admin().Do(ctx, "cluster", "meet", host, port, n.bus).Err())
	}
	c.awaitInfo("cluster_state:ok", "cluster_slots_ok:16384", fmt.Sprintf("cluster_size:%d", masters), fmt.Sprintf("cluster_known_nodes:%d", len(c.nodes)))
	if replicasPerMaster > 0 {
		for _, n := range c.nodes[masters:] {
			n.must("cluster replicate", n.admin().Do(ctx, "cluster", "replicate", c.masters[n.shard].id).Err())
		}
		c.AwaitReplicas()
	}
	return c
}

// Nodes returns the master of each shard, as it was at the beginning or as the
// last AwaitFailover or Failover of that shard found it.
func (c *Cluster) Nodes() []*Server {
	out := make([]*Server, len(c.masters))
	for i, n := range c.masters {
		out[i] = n.Server
	}
	return out
}

// Replicas returns the nodes of a shard without the one that Nodes returns,
// killed ones included.
func (c *Cluster) Replicas(shard int) []*Server {
	var out []*Server
	for _, n := range c.nodes {
		if n.shard == shard && n != c.masters[shard] {
			out = append(out, n.Server)
		}
	}
	return out
}

// Addrs returns host:port of every node, those of Nodes first.
func (c *Cluster) Addrs() []string {
	out := addrs(c.Nodes())
	for i := range c.masters {
		out = append(out, addrs(c.Replicas(i))...)
	}
	return out
}

// Client returns a new client of the cluster with go-redis's own defaults, closed
// when the test ends.
func (c *Cluster) Client() *redis.ClusterClient {
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:                    c.Addrs(),
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}

func (c *Cluster) awaitInfo(lines ...string) {
	c.t.Helper()
	c.await("the cluster to form", func(ctx context.Context, node *redis.Client) error {
		info, err := node.ClusterInfo(ctx).Result()
		if err != nil {
			return err
		}
		for _, want := range lines {
			if !strings.Contains(info, want+"\r\n") {
				return fmt.Errorf("no %s in %q", want, info)
			}
		}
		return nil
	})
}

// await polls every node that is up until none has anything to object.
func (c *Cluster) await(what string, ready func(context.Context, *redis.Client) error) {
	c.t.Helper()
	for _, n := range c.nodes {
		if n.up() {
			await(c.t, what, func() error { return ready(c.t.Context(), n.admin()) })
		}
	}
}

func (c *Cluster) must(what string, err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("redistest: %s: %v", what, err)
	}
}
