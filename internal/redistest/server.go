package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	startTimeout = 20 * time.Second
	pollEvery    = 5 * time.Millisecond
)

// Server is one redis-server process, or the place of one that was killed.
type Server struct {
	t        testing.TB
	binary   string
	dir      string
	args     []string
	password string
	sentinel bool
	cluster  bool
	port     int
	bus      int      // of a cluster node
	tls      []string // arguments, of a TLSServer
	tlsPort  int
	proc     *process // nil while none runs
	paused   bool
	saved    bool          // Snapshot was called
	own      *redis.Client // made when first needed
}

// Start runs a redis-server and returns when it answers. The arguments are
// configuration in the form of its command line ("--maxmemory", "1mb"); later
// ones override earlier ones and what this package sets. With "--requirepass"
// among them, Client knows the password.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, args: args}
	s.start()
	return s
}

// PID is that of the process that runs.
func (s *Server) PID() int { return s.proc.cmd.Process.Pid }

func (s *Server) start() {
	t, args := s.t, s.args
	t.Helper()
	s.binary, s.dir = lookup(t), t.TempDir()
	for i, arg := range args[:max(0, len(args)-1)] {
		if arg == "--requirepass" {
			s.password = args[i+1]
		}
	}
	t.Cleanup(s.Kill)
	// Between choosing a port and the server's bind anybody can take it.
	for range 10 {
		s.port = freePort(t)
		if s.cluster {
			// Its default is the port and 10,000, which may be no port at all.
			s.bus = freePort(t)
		}
		if s.tls != nil {
			s.tlsPort = freePort(t)
		}
		err := s.run()
		if err == nil {
			return
		}
		if !errors.Is(err, errPortTaken) {
			t.Fatalf("redistest: %v", err)
		}
	}
	t.Fatal("redistest: ten free ports in a row were taken before redis-server could listen")
}

func lookup(t testing.TB) string {
	t.Helper()
	require := os.Getenv("TIERCACHE_REQUIRE_REDIS")
	if require == "0" {
		t.Skip("real servers are switched off: TIERCACHE_REQUIRE_REDIS=0")
	}
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		reason := fmt.Sprintf("redis-server is not on PATH: %v", err)
		if require == "1" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	return binary
}

var errPortTaken = errors.New("the port is taken")

// run starts the process and waits until it, and no other, answers on the port.
func (s *Server) run() error {
	log := filepath.Join(s.dir, "redis.log")
	if err := os.Remove(log); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	args, err := s.commandLine(log)
	if err != nil {
		return err
	}
	proc, err := startProcess(s.binary, args)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(startTimeout)
	for {
		if s.answeredBy() == proc.pid {
			s.proc, s.paused = proc, false
			return nil
		}
		select {
		case <-proc.exited:
			text, _ := os.ReadFile(log)
			if strings.Contains(string(text), "Address already in use") {
				return errPortTaken
			}
			return fmt.Errorf("redis-server ended at once: %s", text)
		case <-time.After(pollEvery):
		}
		if time.Now().After(deadline) {
			proc.kill()
			text, _ := os.ReadFile(log)
			return fmt.Errorf("redis-server did not answer within %v: %s", startTimeout, text)
		}
	}
}

// commandLine begins with a file that only CONFIG REWRITE writes. What a server
// is, master or whose replica, is kept there over Restart, and neither Redis nor
// Sentinel can keep it in arguments.
func (s *Server) commandLine(log string) ([]string, error) {
	file, err := os.OpenFile(filepath.Join(s.dir, "redis.conf"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	args := []string{file.Name()}
	if s.sentinel {
		args = append(args, "--sentinel")
	}
	args = append(args, "--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--logfile", log)
	if !s.sentinel {
		// By default a master waits 5 s for more replicas before it serves the first.
		args = append(args, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0")
	}
	if s.cluster {
		args = append(args, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(s.bus))
	}
	if s.tls != nil {
		args = append(append(args, "--tls-port", strconv.Itoa(s.tlsPort)), s.tls...)
	}
	return append(args, s.args...), nil
}

// answeredBy returns the id of the process that answers on the port, 0 if none
// does. Not by go-redis, whose dials take seconds to be refused.
func (s *Server) answeredBy() (pid int) {
	conn, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	if err != nil {
		return 0
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if s.password != "" {
		fmt.Fprintf(conn, "*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n", len(s.password), s.password)
	}
	fmt.Fprint(conn, "INFO server\r\nPING\r\n")
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if id, ok := strings.CutPrefix(lines.Text(), "process_id:"); ok {
			pid, _ = strconv.Atoi(id)
		}
		if lines.Text() == "+PONG" {
			return pid
		}
		if strings.HasPrefix(lines.Text(), "-LOADING") {
			return 0
		}
	}
	return 0
}

// Addr returns host:port. It stays the same over Restart.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Client returns a new client with go-redis's own defaults, closed when the test ends.
func (s *Server) Client() *redis.Client {
	c := redis.NewClient(&redis.Options{
		Addr:                     s.Addr(),
		Password:                 s.password,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// admin is a client for this package's own questions.
func (s *Server) admin() *redis.Client {
	if s.own == nil {
		s.own = s.Client()
	}
	return s.own
}

// up says whether the process runs and is not paused.
func (s *Server) up() bool { return s.proc != nil && !s.paused }

func (s *Server) must(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("redistest: %s at %s: %v", what, s.Addr(), err)
	}
}

// Kill ends the process at once, as a crash would, paused or not. What Redis had
// in memory is lost, unless a SAVE before wrote it where Restart reads it.
// Nothing happens if none runs.
func (s *Server) Kill() {
	if s.proc != nil {
		s.proc.kill()
		s.proc, s.paused = nil, false
	}
}

// Restart starts the process again, on the same port with the same arguments and
// directory, and returns when it answers. One that runs is killed first.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	deadline := time.Now().Add(startTimeout)
	for {
		err := s.run()
		switch {
		case err == nil:
			return
		case !errors.Is(err, errPortTaken) || time.Now().After(deadline):
			s.t.Fatalf("redistest: restart on %s: %v", s.Addr(), err)
		}
		time.Sleep(pollEvery)
	}
}

// Pause stops the process in its tracks: the kernel still accepts connections
// and takes what is sent, nothing is answered. It returns when the process has
// stopped. Where there is no way to do that the test is skipped.
func (s *Server) Pause() { s.t.Helper(); s.signal("pause", pause); s.paused = true }

// Resume lets a paused process go on.
func (s *Server) Resume() { s.t.Helper(); s.signal("resume", resume); s.paused = false }

func (s *Server) signal(verb string, send func(pid int) error) {
	s.t.Helper()
	if s.proc == nil {
		s.t.Fatalf("redistest: %s: no redis-server is running", verb)
	}
	err := send(s.proc.pid)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		s.t.Skipf("redistest: %s: %v", verb, err)
	case err != nil:
		s.t.Fatalf("redistest: %s: %v", verb, err)
	}
}
