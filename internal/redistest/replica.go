package redistest

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
)

// StartReplica starts a server as Start does and makes it a replica of s, of
// which it has everything when StartReplica returns. A Restart leaves it one.
func (s *Server) StartReplica(args ...string) *Server {
	s.t.Helper()
	if s.password != "" {
		args = append([]string{"--requirepass", s.password}, args...)
	}
	replica := Start(s.t, args...)
	replica.Follow(s)
	return replica
}

// Follow makes s a replica of master: what it held is lost. It returns when s
// has all that master had when Follow was called.
func (s *Server) Follow(master *Server) {
	s.t.Helper()
	host, port, err := net.SplitHostPort(master.Addr())
	s.must("follow", err)
	ctx := s.t.Context()
	s.must("masterauth", s.admin().ConfigSet(ctx, "masterauth", master.password).Err())
	s.must("replicaof", s.admin().ReplicaOf(ctx, host, port).Err())
	s.must("config rewrite", s.admin().ConfigRewrite(ctx).Err())
	awaitSync(s.t, master, s)
}

// Promote makes a replica a master, which keeps what it has. A Restart leaves it
// one. Its former master does not know.
func (s *Server) Promote() {
	s.t.Helper()
	ctx := s.t.Context()
	s.must("replicaof no one", s.admin().ReplicaOf(ctx, "NO", "ONE").Err())
	s.must("config rewrite", s.admin().ConfigRewrite(ctx).Err())
}

// awaitSync returns when each of the replicas that are up has all that the
// master has now.
func awaitSync(t testing.TB, master *Server, replicas ...*Server) {
	t.Helper()
	var target int
	await(t, "the master's offset", func() (err error) {
		at, err := replication(master)
		if err != nil {
			return err
		}
		target, err = strconv.Atoi(at["master_repl_offset"])
		return err
	})
	for _, replica := range replicas {
		if replica == master || !replica.up() {
			continue
		}
		await(t, replica.Addr()+" to follow "+master.Addr(), func() error {
			at, err := replication(replica)
			if err != nil {
				return err
			}
			if got := net.JoinHostPort(at["master_host"], at["master_port"]); got != master.Addr() {
				return fmt.Errorf("its role is %s, its master %q", at["role"], got)
			}
			if at["master_link_status"] != "up" {
				return errors.New("its link is " + at["master_link_status"])
			}
			offset, err := strconv.Atoi(at["slave_repl_offset"])
			if err == nil && offset < target {
				err = fmt.Errorf("it is at %d of %d", offset, target)
			}
			return err
		})
	}
}

// replication is what INFO says about it.
func replication(s *Server) (map[string]string, error) {
	info, err := s.admin().Info(s.t.Context(), "replication").Result()
	if err != nil {
		return nil, err
	}
	fields := make(map[string]string)
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields, nil
}
