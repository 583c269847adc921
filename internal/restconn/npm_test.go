//go:build npm

package restconn

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tiercache/tiercache/internal/redistest"
)

// TestTheVendorsClientIsServed shows that the server of our tests answers as the
// vendor's does, as far as the vendor's own client can tell. See npm/run.sh.
func TestTheVendorsClientIsServed(t *testing.T) {
	rest := redistest.StartREST(t, redistest.Start(t))
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	node := exec.CommandContext(ctx, "node", "check.mjs")
	node.Dir = "npm"
	node.Env = append(os.Environ(), "CHECK_URL="+rest.URL(), "CHECK_TOKEN="+redistest.RESTToken, "UPSTASH_DISABLE_TELEMETRY=1")
	out, err := node.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
}
