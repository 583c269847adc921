package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

// Together has this process and another one, a server, run on the first processor, until
// back is called. Of a lone caller and his server only one works at a time. On two
// processors each of them waits until the other's is awake, which takes a virtual machine
// as long as the whole call; and on which two they run is chance, from moment to moment.
// The error says why it cannot be had: then everything is as it was.
func Together(pid int) (back func(), err error) {
	if err := syscall.Kill(pid, 0); err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	all := "0-" + strconv.Itoa(runtime.NumCPU()-1)
	procs := runtime.GOMAXPROCS(0)
	back = func() {
		_ = bind(pid, all)
		_ = bind(os.Getpid(), all)
		runtime.GOMAXPROCS(procs)
	}
	if err := errors.Join(bind(pid, "0"), bind(os.Getpid(), "0")); err != nil {
		back()
		return nil, err
	}
	runtime.GOMAXPROCS(1)
	return back, nil
}

// bind has all threads of a process run on those processors.
func bind(pid int, processors string) error {
	out, err := exec.Command("taskset", "-acp", processors, strconv.Itoa(pid)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("taskset: %w %s", err, out)
	}
	return nil
}
