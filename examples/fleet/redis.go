package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// redisServer is a real one, on loopback, that keeps nothing when it is killed.
type redisServer struct {
	binary, dir string
	port        int
	cmd         *exec.Cmd // nil: none runs
}

var errNoRedis = errors.New("redis-server is not on PATH: the fleet kills and restarts a real one (Debian and Ubuntu: apt-get install redis-server; macOS: brew install redis)")

func newRedis(dir string) (*redisServer, error) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errNoRedis
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return &redisServer{binary: binary, dir: dir, port: port}, l.Close()
}

func (r *redisServer) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }

// start returns when it answers.
func (r *redisServer) start(ctx context.Context) error {
	log := filepath.Join(r.dir, "redis.log")
	cmd := exec.Command(r.binary, "--port", strconv.Itoa(r.port), "--bind", "127.0.0.1", "--dir", r.dir, "--logfile", log, "--save", "", "--appendonly", "no")
	if err := cmd.Start(); err != nil {
		return err
	}
	r.cmd = cmd
	err := until(ctx, 10*time.Second, "redis-server answers", func() bool {
		conn, err := net.DialTimeout("tcp", r.addr(), time.Second)
		if err != nil {
			return false
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		answer := make([]byte, 5)
		_, err = fmt.Fprint(conn, "PING\r\n")
		n, rerr := conn.Read(answer)
		return err == nil && rerr == nil && string(answer[:n]) == "+PONG"
	})
	if err != nil {
		text, _ := os.ReadFile(log)
		r.kill()
		return fmt.Errorf("%w: %s", err, text)
	}
	return nil
}

// kill ends it as a crash would.
func (r *redisServer) kill() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill() // fails only if it has ended
	_ = r.cmd.Wait()         // says that it was killed
	r.cmd = nil
}

// until looks again and again whether something is so.
func until(ctx context.Context, limit time.Duration, what string, so func() bool) error {
	waited := time.After(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("interrupted while waiting until %s: %w", what, ctx.Err())
		case <-waited:
			return fmt.Errorf("waited %v in vain until %s", limit, what)
		case <-tick.C:
		}
	}
	return nil
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
