package redistest

import (
	"os/exec"
	"runtime"
)

// process is a child that dies with this process.
type process struct {
	cmd    *exec.Cmd
	pid    int
	exited chan struct{} // closed when it has been waited for
}

// startProcess starts a child.
//
// On Linux the kernel kills it when its parent dies, and by parent it means the
// thread that forked. So one goroutine, bound to its thread, forks and then
// waits for the child: the thread lasts as long as the child, and is not kept
// for the life of the test binary, which a check for leaks would find.
func startProcess(binary string, args []string) (*process, error) {
	p := &process{cmd: exec.Command(binary, args...), exited: make(chan struct{})}
	p.cmd.SysProcAttr = dieWithParent()
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended is in its log
		}
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	p.pid = p.cmd.Process.Pid
	return p, nil
}

// kill returns when the process is gone and its port with it.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails if it has ended by itself, which is as well
	<-p.exited
}
