package redistest

import (
	"testing"
	"time"
)

// freePort returns a port that, where the system can, stays reserved until the
// test ends. Elsewhere, and for what binds it on purpose, it may be taken.
func freePort(t testing.TB) int {
	t.Helper()
	port, release, err := reservePort()
	if err != nil {
		t.Fatalf("redistest: no free port: %v", err)
	}
	t.Cleanup(release)
	return port
}

// await polls until ready has nothing to object.
func await(t testing.TB, what string, ready func() error) {
	t.Helper()
	deadline := time.Now().Add(startTimeout)
	for {
		err := ready()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("redistest: waited %v for %s: %v", startTimeout, what, err)
		}
		time.Sleep(pollEvery)
	}
}
