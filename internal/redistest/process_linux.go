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
