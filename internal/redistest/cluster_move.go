package redistest

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// MoveSlot moves a slot with its keys to another master, as a resharding does,
// and returns when all masters know. From then on the old owner answers MOVED.
func (c *Cluster) MoveSlot(slot, from, to int) {
	c.t.Helper()
	ctx := c.t.Context()
	c.must("importing", c.masters[to].admin().Do(ctx, "cluster", "setslot", slot, "importing", c.masters[from].id).Err())
	c.must("migrating", c.masters[from].admin().Do(ctx, "cluster", "setslot", slot, "migrating", c.masters[to].id).Err())
	host, port, _ := net.SplitHostPort(c.masters[to].Addr())
	for {
		keys, err := c.masters[from].admin().ClusterGetKeysInSlot(ctx, slot, 100).Result()
		c.must("getkeysinslot", err)
		if len(keys) == 0 {
			break
		}
		migrate := []any{"migrate", host, port, "", 0, 5000, "keys"}
		for _, key := range keys {
			migrate = append(migrate, key)
		}
		c.must("migrate", c.masters[from].admin().Do(ctx, migrate...).Err())
	}
	// The new owner's epoch must be the greatest, and known to be so everywhere,
	// or a header that the old owner sent a moment ago takes the slot back.
	c.must("bumpepoch", c.masters[to].admin().Do(ctx, "cluster", "bumpepoch").Err())
	c.await("the epoch to be known", func(ctx context.Context, node *redis.Client) error {
		nodes, err := node.ClusterNodes(ctx).Result()
		if err != nil {
			return err
		}
		return greatestEpoch(nodes, c.masters[to].id)
	})
	// The new owner first: the other way round nobody owns the slot for a moment.
	order := []int{to, from}
	for node := range c.masters {
		if node != to && node != from {
			order = append(order, node)
		}
	}
	for _, node := range order {
		c.must("setslot", c.masters[node].admin().Do(ctx, "cluster", "setslot", slot, "node", c.masters[to].id).Err())
	}
	c.await(fmt.Sprintf("slot %d to move", slot), func(ctx context.Context, node *redis.Client) error {
		//lint:ignore SA1019 CLUSTER SHARDS, which is to replace it, needs Redis 7.
		ranges, err := node.ClusterSlots(ctx).Result()
		if err != nil {
			return err
		}
		for _, r := range ranges {
			if r.Start <= slot && slot <= r.End && len(r.Nodes) > 0 && r.Nodes[0].ID == c.masters[to].id {
				return nil
			}
		}
		return fmt.Errorf("it is not at %s in %v", c.masters[to].id, ranges)
	})
}

// greatestEpoch is an error unless, in the text of CLUSTER NODES, no master has an
// epoch as great as id's. A replica is listed with its master's.
func greatestEpoch(nodes, id string) error {
	var own, most int
	for line := range strings.Lines(nodes) {
		f := strings.Fields(line)
		if len(f) < 7 || strings.Contains(f[2], "slave") {
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
