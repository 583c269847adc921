package restconn

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func resp(cmd ...string) string {
	out := fmt.Sprintf("*%d\r\n", len(cmd))
	return string(appendBulks([]byte(out), cmd...))
}

func TestCommandsAreCutWhereTheyEnd(t *testing.T) {
	t.Parallel()
	both := resp("SET", "k", "a\r\nb") + resp("GET", "")
	for end := range len(both) {
		cmds, rest, err := cutCommands([]byte(both[:end]))
		require.NoError(t, err, "%q", both[:end])
		more, rest, err := cutCommands([]byte(string(rest) + both[end:]))
		require.NoError(t, err)
		assert.Empty(t, rest)
		cmds = append(cmds, more...)
		require.Len(t, cmds, 2)
		assert.Equal(t, []string{"SET", "k", "a\r\nb"}, words(cmds[0]))
		assert.Equal(t, []string{"GET", ""}, words(cmds[1]))
	}
}

func words(cmd command) (out []string) {
	for _, w := range cmd {
		out = append(out, string(w))
	}
	return out
}

var noCommands = []string{
	"PING\r\n", "+OK\r\n", "*x\r\n", "*-1\r\n", "*1\n", "*\r\n", "*1\r\n$-1\r\n", "*1\r\n$1\r\nabc", "*1\r\n:1\r\n", "*1048577\r\n",
	"*1\r\n$536870913\r\n", "*99999999999999\r\n", "*1\r\n$9999999999999\r\n", "*1\r\n$1\r\na\r\r",
}

func TestWhatIsNoCommandIsAnError(t *testing.T) {
	t.Parallel()
	for _, s := range noCommands {
		_, _, err := cutCommands([]byte(s))
		assert.ErrorIs(t, err, errNotRESP, "%q", s)
	}
}

func TestWhatIsAnnouncedTakesNoMemory(t *testing.T) {
	for _, s := range []string{"*1048576\r\n", "*2\r\n$536870912\r\nx", "*1048576\r\n$536870912\r\n"} {
		bytesPerRun := testing.Benchmark(func(b *testing.B) {
			for range b.N {
				_, _, _ = cutCommands([]byte(s))
			}
		}).AllocedBytesPerOp()
		assert.Less(t, bytesPerRun, int64(4096), "%q", s)
	}
}

func FuzzCommands(f *testing.F) {
	f.Add([]byte(resp("SET", "k", "v") + resp("PING")))
	f.Add([]byte("*0\r\n*1\r\n$0\r\n\r\n"))
	for _, s := range noCommands {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		cmds, rest, err := cutCommands(in)
		if err != nil {
			return
		}
		if !bytes.HasSuffix(in, rest) {
			t.Fatalf("%q left %q", in, rest)
		}
		var again []byte
		for _, c := range cmds {
			again = append(again, resp(words(c)...)...)
			refused(c)
			seen(c)
		}
		back, left, err := cutCommands(again)
		if err != nil || len(left) > 0 || len(back) != len(cmds) {
			t.Fatalf("%q was read as %q", in, again)
		}
	})
}
