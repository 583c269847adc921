package host

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func boundTo(t *testing.T, pid int) string {
	out, err := exec.Command("taskset", "-cp", strconv.Itoa(pid)).Output()
	require.NoError(t, err)
	_, list, _ := strings.Cut(strings.TrimSpace(string(out)), ": ")
	return list
}

func TestTwoProcessesShareAProcessorUntilTheyAreTakenBack(t *testing.T) {
	for _, tool := range []string{"taskset", "chrt"} {
		if _, err := exec.LookPath(tool); err != nil {
			_, err := Together(os.Getpid())
			assert.Error(t, err)
			t.Skip(tool, " is not there: ", err)
		}
	}
	other := exec.Command("sleep", "60")
	require.NoError(t, other.Start())
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	procs, all := runtime.GOMAXPROCS(0), boundTo(t, os.Getpid())
	last := all[strings.LastIndexAny(all, ",-")+1:]
	for _, mine := range []string{all, last} {
		require.NoError(t, bind(os.Getpid(), mine))
		shareUntilTakenBack(t, other.Process.Pid)
	}
	require.NoError(t, bind(os.Getpid(), all))
	require.NoError(t, schedule(other.Process.Pid, "--idle"))
	_, err := Together(other.Process.Pid)
	assert.ErrorContains(t, err, "SCHED_IDLE")
	assert.Equal(t, all, boundTo(t, os.Getpid()))
	assert.Equal(t, procs, runtime.GOMAXPROCS(0))
}

func policyOf(t *testing.T, pid int) string {
	is, err := policy(pid)
	require.NoError(t, err)
	return is
}

func shareUntilTakenBack(t *testing.T, other int) {
	mine, its := boundTo(t, os.Getpid()), boundTo(t, other)
	first := mine[:strings.IndexAny(mine+",", ",-")]
	back, err := Together(other)
	require.NoError(t, err)
	assert.Equal(t, first, boundTo(t, other))
	assert.Equal(t, first, boundTo(t, os.Getpid()))
	assert.Equal(t, 1, runtime.GOMAXPROCS(0))
	assert.Equal(t, "SCHED_BATCH", policyOf(t, other))
	back()
	assert.Equal(t, "SCHED_OTHER", policyOf(t, other))
	assert.Equal(t, mine, boundTo(t, os.Getpid()))
	assert.Equal(t, its, boundTo(t, other))
}

func TestAProcessThatIsNotThereIsAnErrorAndNothingChanges(t *testing.T) {
	procs := runtime.GOMAXPROCS(0)
	_, err := Together(1 << 30)
	assert.Error(t, err)
	assert.Equal(t, procs, runtime.GOMAXPROCS(0))
}
