// Package child runs the example's server as a process of its own, for the commands
// that measure it and for those that kill it.
package child

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tiercache/tiercache/examples/internal/app"
	"github.com/tiercache/tiercache/examples/internal/store"
)

// Binary is how a server is started.
type Binary struct {
	Path   string // empty: the "server" beside this process's own binary
	Data   string // directory of the database and of the logs
	Seed   store.Seed
	Prefix string   // of every key in Redis
	Env    []string // beside this process's own
}

// Beside returns the binary of a name beside this process's own.
func Beside(name string) (string, error) {
	self, err := os.Executable()
	return filepath.Join(filepath.Dir(self), name), err
}

func (b Binary) args(more ...string) []string {
	return append([]string{"-data", b.Data, "-users", strconv.Itoa(b.Seed.Users), "-inquiries", strconv.Itoa(b.Seed.Inquiries),
		"-seed", strconv.FormatUint(b.Seed.Number, 10), "-prefix", b.Prefix}, more...)
}

// Fill makes the database, if there is none that is younger than life.
func (b Binary) Fill(ctx context.Context, life time.Duration, progress io.Writer) error {
	seed := exec.CommandContext(ctx, b.Path, b.args("-seed-only", "-reseed-after", life.String())...)
	seed.Stderr = progress
	if err := seed.Run(); err != nil {
		return fmt.Errorf("seed with %s: %w", b.Path, err)
	}
	return nil
}

// Server is a server process.
type Server struct {
	Base  string // http://host:port
	Redis string // REDIS_URL of the embedded Redis; empty if it uses another

	cmd  *exec.Cmd
	log  *os.File
	read chan struct{} // closed when its stdout has ended
}

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 20 * time.Second
)

// Start runs the server with further arguments and returns once it serves. Its log
// goes to a file of that name, named in errors.
func (b Binary) Start(ctx context.Context, name string, args ...string) (*Server, error) {
	log, err := os.Create(filepath.Join(b.Data, "server-"+name+".log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(b.Path, b.args(append([]string{"-addr", "127.0.0.1:0", "-debug"}, args...)...)...)
	cmd.Env = append(os.Environ(), b.Env...)
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	s := &Server{cmd: cmd, log: log, read: make(chan struct{})}
	serving := make(chan string, 1)
	go func() {
		defer close(s.read)
		s.listen(out, serving)
	}()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case s.Base = <-serving:
		return s, nil
	case <-s.read:
		err = fmt.Errorf("the server ended at once, see %s", log.Name())
	case <-ctx.Done():
		err = fmt.Errorf("the server does not serve, see %s: %w", log.Name(), ctx.Err())
	}
	return nil, errors.Join(err, s.Stop())
}

// listen reads where the server serves, and goes on reading so that it never
// blocks on its output.
func (s *Server) listen(out io.Reader, serving chan<- string) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "REDIS_URL="); ok {
			s.Redis = url
		}
		if url, ok := strings.CutPrefix(lines.Text(), "serving "); ok {
			serving <- url // room for one, and it is printed once
		}
	}
}

// Stop ends the server in good order, and by force if it will not.
func (s *Server) Stop() error {
	_ = s.cmd.Process.Signal(os.Interrupt) // fails only if it has ended
	force := time.AfterFunc(stopTimeout, func() { _ = s.cmd.Process.Kill() })
	defer force.Stop()
	<-s.read
	err := s.cmd.Wait()
	if err != nil {
		err = fmt.Errorf("server: %w, see %s", err, s.log.Name())
	}
	return errors.Join(err, s.log.Close())
}

// Kill ends the server at once, as a crash would.
func (s *Server) Kill() error {
	_ = s.cmd.Process.Kill() // fails only if it has ended
	<-s.read
	_ = s.cmd.Wait() // says that it was killed
	return s.log.Close()
}

// Counters asks the server what it counted so far.
func (s *Server) Counters(ctx context.Context) (c app.Counters, err error) {
	return c, s.Get(ctx, "/debug/counters", &c)
}

// Get decodes what the server answers at a path.
func (s *Server) Get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Base+path, nil)
	if err != nil {
		return err
	}
	return Ask(req, into)
}

// Ask sends the request, and decodes an answer that is 200.
func Ask(req *http.Request, into any) error {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", req.Method, req.URL.Path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
