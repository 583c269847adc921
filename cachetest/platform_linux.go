package cachetest

import (
	"os"
	"syscall"
	"unsafe"
)

// clockMonotonicRaw is CLOCK_MONOTONIC_RAW: the same in all processes of a
// machine, and nobody sets or slews it.
const clockMonotonicRaw = 4

func rawNow() int64 {
	var ts syscall.Timespec
	// It does not block, so the scheduler need not know. The only errors are those
	// of its arguments.
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonicRaw, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

// mapCells maps n numbers of a file that is long enough.
func mapCells(f *os.File, n int) (cells []int64, unmap func(), err error) {
	raw, err := syscall.Mmap(int(f.Fd()), 0, n*8, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, err
	}
	return unsafe.Slice((*int64)(unsafe.Pointer(&raw[0])), n), func() { _ = syscall.Munmap(raw) }, nil
}

func stopProcess(p *os.Process) error     { return p.Signal(syscall.SIGSTOP) }
func continueProcess(p *os.Process) error { return p.Signal(syscall.SIGCONT) }

// dieWithParent also ends a process that is stopped. The parent is the thread
// that starts it, which must live as long.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

const processesSupported = true
