package cachetest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// child is a node's process.
type child struct {
	index   int
	life    int
	process *os.Process
	stdin   io.WriteCloser
	answers chan string   // closed with the child's output
	exited  chan struct{} // closed when it has been waited for
}

// startChild starts the test binary as a node. Without ChildMain in its TestMain
// it would run the tests, and they would start it again: so it is told to run
// none.
//
// One goroutine, bound to its thread, starts it and waits for it: see
// dieWithParent.
func startChild(index, life int, note func(word, rest string)) (*child, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = dieWithParent()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c := &child{index: index, life: life, stdin: stdin, answers: make(chan string, 16), exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		c.process = cmd.Process
		started <- err
		if err != nil {
			return
		}
		c.listen(stdout, note)
		_ = cmd.Wait() // how it ended is on the board, or it did not answer
		close(c.exited)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting it: %w", err)
	}
	return c, nil
}

func (c *child) listen(out io.Reader, note func(word, rest string)) {
	defer close(c.answers)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		if word == "breach" || word == "trouble" {
			note(word, rest)
			continue
		}
		select {
		case c.answers <- lines.Text():
		default: // nobody asked: a test binary that runs tests after all
		}
	}
}

// say fails if the child has ended; then it does not answer either.
func (c *child) say(line string) { _, _ = fmt.Fprintln(c.stdin, line) }

// hear returns the child's next answer.
func (c *child) hear(limit time.Duration) (line string, ok bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case line, ok = <-c.answers:
		return line, ok
	case <-timer.C:
		return "", false
	}
}

// kill returns when the process has ended, if it had not already.
func (c *child) kill() {
	_ = c.process.Kill()
	<-c.exited
	_ = c.stdin.Close()
}
