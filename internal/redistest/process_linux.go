package redistest

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"time"
)

func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

func pause(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	// The signal is on its way; the process may be answering somebody meanwhile.
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(pollEvery) {
		stopped, err := allStopped(pid)
		if stopped || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d has not stopped within %v", pid, startTimeout)
		}
	}
}

// allStopped says whether every thread of a process is in state T, which
// /proc/…/stat has after the name in parentheses.
func allStopped(pid int) (bool, error) {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	threads, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(dir + "/" + thread.Name() + "/stat")
		if err != nil {
			return false, err
		}
		if !bytes.HasPrefix(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" T")) {
			return false, nil
		}
	}
	return true, nil
}

func resume(pid int) error { return syscall.Kill(pid, syscall.SIGCONT) }

// reservePort binds a port and does not listen on it. As both allow the reuse of
// addresses redis-server can listen on it all the same, and while it does not,
// no other process is given the port, neither to listen on nor to connect from.
// The second matters most: a client that redials a dead server's port may be
// given that port for its own end, and be connected with itself.
func reservePort() (port int, release func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, err
	}
	release = func() { _ = syscall.Close(fd) }
	err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		release()
		return 0, nil, err
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		release()
		return 0, nil, err
	}
	return name.(*syscall.SockaddrInet4).Port, release, nil
}
