package redistest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// AwaitFailover returns the new master of a shard when all nodes that are up
// agree on one that is not the one in Nodes, which the test killed or paused
// before. It takes about four seconds. From then on Nodes has the new one.
func (c *Cluster) AwaitFailover(shard int) *Server {
	c.t.Helper()
	if len(c.masters) < 3 {
		c.t.Fatalf("redistest: there is no failover without a majority, and a cluster of %d has none when one is dead", len(c.masters))
	}
	return c.awaitSuccessor(shard, func() error { return nil })
}

// Failover has a replica of a shard take over from the living master, without
// losing a write, and returns the new master when all nodes that are up agree.
// From then on Nodes has the new one.
func (c *Cluster) Failover(shard int) *Server {
	c.t.Helper()
	old := c.masters[shard]
	var heir *node
	for _, n := range c.nodes {
		if n.shard == shard && n != old && n.up() {
			heir = n
			break
		}
	}
	if heir == nil {
		c.t.Fatalf("redistest: failover of shard %d: no replica is up", shard)
	}
	awaitSync(c.t, old.Server, heir.Server)
	var again time.Time
	return c.awaitSuccessor(shard, func() error {
		// One that is not done after 5 s is given up by the replica, silently.
		if time.Now().Before(again) {
			return nil
		}
		again = time.Now().Add(6 * time.Second)
		return heir.admin().Do(c.t.Context(), "cluster", "failover").Err()
	})
}

// AwaitReplicas returns when in every shard each node that is up is the master
// in Nodes, or has all it has, and every node that is up knows. A former master
// that was restarted or resumed becomes a replica by itself.
func (c *Cluster) AwaitReplicas() {
	c.t.Helper()
	for shard, master := range c.masters {
		awaitSync(c.t, master.Server, c.Replicas(shard)...)
	}
	await(c.t, "all nodes to know the replicas", func() error {
		for _, observer := range c.nodes {
			if !observer.up() {
				continue
			}
			seen, err := c.view(observer)
			if err != nil {
				return err
			}
			for _, n := range c.nodes {
				master := c.masters[n.shard]
				if n != master && n.up() && seen[n.id].master != master.id {
					return fmt.Errorf("%s does not know %s as a replica of %s", observer.Addr(), n.Addr(), master.Addr())
				}
			}
		}
		return nil
	})
}

func (c *Cluster) awaitSuccessor(shard int, push func() error) *Server {
	c.t.Helper()
	old := c.masters[shard]
	await(c.t, fmt.Sprintf("a master of shard %d other than %s", shard, old.Addr()), func() error {
		master, err := c.agreed(shard)
		if err == nil && master == old {
			err = errors.New("it is still the master")
		}
		if err != nil {
			return errors.Join(err, push())
		}
		c.masters[shard] = master
		return nil
	})
	return c.masters[shard].Server
}

// agreed is the master of a shard by the word of all nodes that are up.
func (c *Cluster) agreed(shard int) (*node, error) {
	var master *node
	for _, observer := range c.nodes {
		if !observer.up() {
			continue
		}
		seen, err := c.view(observer)
		if err != nil {
			return nil, err
		}
		var named *node
		for _, n := range c.nodes {
			if at := seen[n.id]; n.shard == shard && at.serves {
				if named != nil {
					return nil, fmt.Errorf("%s names both %s and %s", observer.Addr(), named.Addr(), n.Addr())
				}
				named = n
			}
		}
		if named == nil || master != nil && named != master {
			return nil, fmt.Errorf("%s names no master or another one", observer.Addr())
		}
		master = named
	}
	if master == nil || !master.up() {
		return nil, errors.New("the master is not up")
	}
	return master, nil
}

// seenAs is what one node thinks of another.
type seenAs struct {
	serves bool   // it is a master with slots, and not suspected to be dead
	master string // whose replica it is, "-" of a master
}

// view is what a node thinks of all, by id.
func (c *Cluster) view(observer *node) (map[string]seenAs, error) {
	text, err := observer.admin().ClusterNodes(c.t.Context()).Result()
	if err != nil {
		return nil, err
	}
	seen := make(map[string]seenAs)
	for line := range strings.Lines(text) {
		// id address flags master ping pong epoch link slots...
		f := strings.Fields(line)
		if len(f) < 8 {
			return nil, fmt.Errorf("CLUSTER NODES has a line %q", line)
		}
		flags := strings.Split(f[2], ",")
		dead := slices.Contains(flags, "fail") || slices.Contains(flags, "fail?")
		slots := slices.ContainsFunc(f[8:], func(slot string) bool { return !strings.HasPrefix(slot, "[") })
		seen[f[0]] = seenAs{serves: slices.Contains(flags, "master") && slots && !dead, master: f[3]}
	}
	return seen, nil
}
