package redistest

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Slots is the number of hash slots of a cluster.
const Slots = 16384

// Cluster is a Redis Cluster of masters without replicas.
type Cluster struct {
	t     testing.TB
	nodes []*Server
	admin []*redis.Client
	ids   []string
}

// StartCluster starts a cluster and returns when all nodes agree on it. Master i
// has the slots from i*Slots/masters to those of the next one.
func StartCluster(t testing.TB, masters int) *Cluster {
	t.Helper()
	if masters < 1 {
		t.Fatalf("redistest: a cluster of %d masters", masters)
	}
	ctx := t.Context()
	c := &Cluster{t: t}
	var bus []int
	for i := range masters {
		// Its default is the port and 10,000, which may be no port at all.
		port := freePort(t)
		s := Start(t, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(port), "--cluster-node-timeout", "2000")
		admin := s.Client()
		c.nodes, c.admin, bus = append(c.nodes, s), append(c.admin, admin), append(bus, port)
		id, err := admin.Do(ctx, "cluster", "myid").Text()
		c.must("cluster myid", err)
		c.ids = append(c.ids, id)
		// Distinct from the beginning, or the nodes settle it among themselves, in seconds.
		c.must("set-config-epoch", admin.Do(ctx, "cluster", "set-config-epoch", i+1).Err())
		c.must("addslots", admin.ClusterAddSlotsRange(ctx, i*Slots/masters, (i+1)*Slots/masters-1).Err())
	}
	for i := 1; i < masters; i++ {
		host, port, _ := net.SplitHostPort(c.nodes[i].Addr())
		c.must("cluster meet", c.admin[0].Do(ctx, "cluster", "meet", host, port, bus[i]).Err())
	}
	c.await("the cluster to form", func(ctx context.Context, node *redis.Client) error {
		info, err := node.ClusterInfo(ctx).Result()
		if err != nil {
			return err
		}
		for _, want := range []string{"cluster_state:ok", "cluster_slots_ok:16384", fmt.Sprintf("cluster_size:%d", masters)} {
			if !strings.Contains(info, want+"\r\n") {
				return fmt.Errorf("no %s in %q", want, info)
			}
		}
		return nil
	})
	return c
}

// Nodes returns the masters.
func (c *Cluster) Nodes() []*Server { return c.nodes }

// Addrs returns host:port of every master.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.nodes))
	for i, node := range c.nodes {
		addrs[i] = node.Addr()
	}
	return addrs
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

// MoveSlot moves a slot with its keys to another master, as a resharding does,
// and returns when all masters know. From then on the old owner answers MOVED.
func (c *Cluster) MoveSlot(slot, from, to int) {
	c.t.Helper()
	ctx := c.t.Context()
	c.must("importing", c.admin[to].Do(ctx, "cluster", "setslot", slot, "importing", c.ids[from]).Err())
	c.must("migrating", c.admin[from].Do(ctx, "cluster", "setslot", slot, "migrating", c.ids[to]).Err())
	host, port, _ := net.SplitHostPort(c.nodes[to].Addr())
	for {
		keys, err := c.admin[from].ClusterGetKeysInSlot(ctx, slot, 100).Result()
		c.must("getkeysinslot", err)
		if len(keys) == 0 {
			break
		}
		migrate := []any{"migrate", host, port, "", 0, 5000, "keys"}
		for _, key := range keys {
			migrate = append(migrate, key)
		}
		c.must("migrate", c.admin[from].Do(ctx, migrate...).Err())
	}
	// The new owner's epoch must be the greatest, and known to be so everywhere,
	// or a header that the old owner sent a moment ago takes the slot back.
	c.must("bumpepoch", c.admin[to].Do(ctx, "cluster", "bumpepoch").Err())
	c.await("the epoch to be known", func(ctx context.Context, node *redis.Client) error {
		nodes, err := node.ClusterNodes(ctx).Result()
		if err != nil {
			return err
		}
		return greatestEpoch(nodes, c.ids[to])
	})
	// The new owner first: the other way round nobody owns the slot for a moment.
	order := []int{to, from}
	for node := range c.nodes {
		if node != to && node != from {
			order = append(order, node)
		}
	}
	for _, node := range order {
		c.must("setslot", c.admin[node].Do(ctx, "cluster", "setslot", slot, "node", c.ids[to]).Err())
	}
	c.await(fmt.Sprintf("slot %d to move", slot), func(ctx context.Context, node *redis.Client) error {
		//lint:ignore SA1019 CLUSTER SHARDS, which is to replace it, needs Redis 7.
		ranges, err := node.ClusterSlots(ctx).Result()
		if err != nil {
			return err
		}
		for _, r := range ranges {
			if r.Start <= slot && slot <= r.End && len(r.Nodes) > 0 && r.Nodes[0].ID == c.ids[to] {
				return nil
			}
		}
		return fmt.Errorf("it is not at %s in %v", c.ids[to], ranges)
	})
}

// await polls every node until none has anything to object.
func (c *Cluster) await(what string, ready func(context.Context, *redis.Client) error) {
	c.t.Helper()
	deadline := time.Now().Add(startTimeout)
	for _, node := range c.admin {
		for {
			err := ready(c.t.Context(), node)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				c.t.Fatalf("redistest: waited %v for %s: %v", startTimeout, what, err)
			}
			time.Sleep(pollEvery)
		}
	}
}

func (c *Cluster) must(what string, err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("redistest: %s: %v", what, err)
	}
}

// greatestEpoch is an error unless, in the text of CLUSTER NODES, no node has an
// epoch as great as id's.
func greatestEpoch(nodes, id string) error {
	var own, most int
	for line := range strings.Lines(nodes) {
		f := strings.Fields(line)
		if len(f) < 7 {
			continue
		}
		epoch, err := strconv.Atoi(f[6])
		if err != nil {
			return err
		}
		if f[0] == id {
			own = epoch
		} else {
			most = max(most, epoch)
		}
	}
	if own <= most {
		return fmt.Errorf("its epoch is %d, another's %d", own, most)
	}
	return nil
}
