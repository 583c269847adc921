package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tiercache/tiercache/examples/internal/app"
	"github.com/tiercache/tiercache/examples/internal/auth"
)

// child is a server process of a phase's own, so that no phase inherits
// another's memory, connections or statistics.
type child struct {
	cmd   *exec.Cmd
	base  string // http://host:port
	redis string // REDIS_URL of the embedded Redis; empty if it uses another
	log   *os.File
	read  chan struct{} // closed when its stdout has ended
}

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 20 * time.Second
)

// start runs the server with the arguments and returns once it serves. Its log
// goes to a file, named in errors.
func (c config) start(ctx context.Context, name string, args ...string) (*child, error) {
	log, err := os.Create(filepath.Join(c.data, "server-"+name+".log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(c.server, append(c.serverArgs("-addr", "127.0.0.1:0", "-debug"), args...)...)
	cmd.Env = append(os.Environ(), "DEMO_SECRET="+c.secret)
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	ch := &child{cmd: cmd, log: log, read: make(chan struct{})}
	serving := make(chan string, 1)
	go func() {
		defer close(ch.read)
		ch.listen(out, serving)
	}()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case ch.base = <-serving:
		return ch, nil
	case <-ch.read:
		err = fmt.Errorf("the server ended at once, see %s", log.Name())
	case <-ctx.Done():
		err = fmt.Errorf("the server does not serve, see %s: %w", log.Name(), ctx.Err())
	}
	return nil, errors.Join(err, ch.stop())
}

// listen reads where the server serves, and goes on reading so that it never
// blocks on its output.
func (ch *child) listen(out io.Reader, serving chan<- string) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "REDIS_URL="); ok {
			ch.redis = url
		}
		if url, ok := strings.CutPrefix(lines.Text(), "serving "); ok {
			serving <- url // room for one, and it is printed once
		}
	}
}

// stop ends the server in good order, and by force if it will not.
func (ch *child) stop() error {
	_ = ch.cmd.Process.Signal(os.Interrupt) // fails only if it has ended
	force := time.AfterFunc(stopTimeout, func() { _ = ch.cmd.Process.Kill() })
	defer force.Stop()
	<-ch.read
	err := ch.cmd.Wait()
	if err != nil {
		err = fmt.Errorf("server: %w, see %s", err, ch.log.Name())
	}
	return errors.Join(err, ch.log.Close())
}

// counters asks the server what it counted so far.
func (ch *child) counters(ctx context.Context) (c app.Counters, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, ch.base+"/debug/counters", nil)
	if err != nil {
		return c, err
	}
	return c, ask(req, &c)
}

// login proves that the door the load test's own tokens bypass works.
func (ch *child) login(ctx context.Context, email string) error {
	body, err := json.Marshal(map[string]string{"email": email, "password": auth.DemoPassword})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, ch.base+"/api/login", bytes.NewReader(body))
	if err != nil {
		return err
	}
	var got struct{ Token string }
	if err := ask(req, &got); err != nil {
		return err
	}
	if got.Token == "" {
		return errors.New("login: no token")
	}
	return nil
}

func ask(req *http.Request, into any) error {
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
