package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// Together has this process and another one, a server, run on the first processor that
// this one may use, until back is called. Of a lone caller and his server only one works
// at a time. On two processors each of them waits until the other's is awake, which takes
// a virtual machine as long as the whole call; and on which two they run is chance, from
// moment to moment.
//
// The other one does not interrupt this one, but waits until it waits: a server that answers
// in the middle of its caller's write, before the caller has looked for the answer, is what
// nobody has whose server is elsewhere, and whether the kernel lets it is chance, too.
//
// The error says why it cannot be had: then everything is as it was.
func Together(pid int) (back func(), err error) {
	mine, err := allowed(os.Getpid())
	if err != nil {
		return nil, err
	}
	its, err := allowed(pid)
	if err != nil {
		return nil, err
	}
	if is, err := policy(pid); err != nil {
		return nil, err
	} else if is != "SCHED_OTHER" { // it could not be given back
		return nil, fmt.Errorf("process %d is scheduled by %s", pid, is)
	}
	procs := runtime.GOMAXPROCS(0)
	back = func() {
		_ = schedule(pid, "--other")
		_ = bind(pid, its)
		_ = bind(os.Getpid(), mine)
		runtime.GOMAXPROCS(procs)
	}
	first := mine[:strings.IndexAny(mine+",", ",-")]
	if err := errors.Join(bind(pid, first), bind(os.Getpid(), first), schedule(pid, "--batch")); err != nil {
		back()
		return nil, err
	}
	runtime.GOMAXPROCS(1)
	return back, nil
}

// allowed are the processors that a process may use, as taskset takes them. How many there
// are does not tell: a container, or taskset, may give it the second alone.
func allowed(pid int) (processors string, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "", fmt.Errorf("process %d: %w", pid, err)
	}
	_, rest, ok := strings.Cut(string(status), "\nCpus_allowed_list:")
	if !ok {
		return "", fmt.Errorf("process %d does not say where it may run", pid)
	}
	list, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(list), nil
}

// bind has all threads of a process run on those processors.
func bind(pid int, processors string) error {
	out, err := exec.Command("taskset", "-acp", processors, strconv.Itoa(pid)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("taskset: %w %s", err, out)
	}
	return nil
}

// policy is how a process is scheduled, as chrt says it.
func policy(pid int) (string, error) {
	out, err := exec.Command("chrt", "--pid", strconv.Itoa(pid)).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("chrt: %w %s", err, out)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	_, is, _ := strings.Cut(first, ": ")
	return is, nil
}

// schedule has all threads of a process scheduled by that policy of chrt's.
func schedule(pid int, policy string) error {
	out, err := exec.Command("chrt", "--all-tasks", policy, "--pid", "0", strconv.Itoa(pid)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("chrt: %w %s", err, out)
	}
	return nil
}
