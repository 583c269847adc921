package redistest

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// StartTLSCluster starts masters that speak TLS to each other and to those that
// come by their TLS ports, and returns a client of theirs with a certificate.
func StartTLSCluster(t testing.TB, masters int) *redis.ClusterClient {
	t.Helper()
	requireTLS(t)
	ctx, o := t.Context(), TLS{Authority: NewAuthority(t), ClientCertificates: true}
	c := &Cluster{t: t}
	var addrs []string
	var known *tls.Config
	for i := range masters {
		s := o.server(t, append([]string{"--tls-cluster", "yes"}, clusterArgs...)...)
		s.cluster = true
		s.start()
		n := &node{Server: s.Server, shard: i}
		c.nodes = append(c.nodes, n)
		n.must("set-config-epoch", n.admin().Do(ctx, "cluster", "set-config-epoch", i+1).Err())
		n.must("addslots", n.admin().ClusterAddSlotsRange(ctx, i*Slots/masters, (i+1)*Slots/masters-1).Err())
		addrs, known = append(addrs, s.TLSAddr()), s.Known()
	}
	for _, n := range c.nodes[1:] {
		first := c.nodes[0]
		first.must("cluster meet", first.admin().Do(ctx, "cluster", "meet", "127.0.0.1", n.tlsPort, n.bus).Err())
	}
	c.awaitInfo("cluster_state:ok", "cluster_slots_ok:16384")
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: addrs, TLSConfig: known,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// StartTLSSentinel starts a master and a sentinel that watches it over TLS, and
// returns a client with a certificate, which finds the one by the other.
func StartTLSSentinel(t testing.TB) *redis.Client {
	t.Helper()
	requireTLS(t)
	ctx, o := t.Context(), TLS{Authority: NewAuthority(t), ClientCertificates: true}
	master := StartTLS(t, o)
	s := o.server(t, "--tls-replication", "yes")
	s.sentinel = true
	s.start()
	host, port, err := net.SplitHostPort(master.TLSAddr())
	master.must("its address", err)
	s.must("sentinel monitor", s.admin().Do(ctx, "sentinel", "monitor", sentinelMaster, host, port, 1).Err())
	await(t, "the sentinel to reach the master", func() error {
		text, err := s.admin().Info(ctx, "sentinel").Result()
		if err == nil && !strings.Contains(text, "status=ok,address="+master.TLSAddr()) {
			err = errors.New(text)
		}
		return err
	})
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: sentinelMaster, SentinelAddrs: []string{s.TLSAddr()}, TLSConfig: s.Known(),
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}
