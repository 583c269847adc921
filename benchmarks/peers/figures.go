package main

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tiercache/tiercache/benchmarks/internal/command"
)

// file is everything that was found, and where.
type file struct {
	Versions map[string]string `json:"versions"`
	Machine  string            `json:"machine"`
	Command  string            `json:"command"`
	Date     string            `json:"date"`
	Rounds   int               `json:"rounds"`
	Window   time.Duration     `json:"windowNs"`
	Groups   []report          `json:"groups"`
	judged   bool
}

func newFile(c config) file {
	return file{
		Versions: versions(), Machine: machine(), Command: c.command, Date: time.Now().UTC().Format(time.DateOnly),
		Rounds: c.rounds, Window: c.window, judged: c.judged(),
	}
}

func (f file) write(c config) error {
	if err := command.WriteJSON(c.json, f); err != nil {
		return err
	}
	if c.out == "" {
		return nil
	}
	if err := os.MkdirAll(c.out, 0o755); err != nil {
		return err
	}
	all := map[string]string{"peers.md": f.markdown()}
	for name, chart := range f.charts() {
		all[name] = chart.svg(f.foot())
	}
	for name, text := range all {
		if err := os.WriteFile(filepath.Join(c.out, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// versions are of what is measured.
func versions() map[string]string {
	v := map[string]string{"go": runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, d := range info.Deps {
		switch d.Path {
		case "github.com/redis/go-redis/v9", "github.com/go-redis/cache/v9", "github.com/dgraph-io/ristretto/v2",
			"github.com/maypok86/otter/v2", "github.com/viccon/sturdyc", "github.com/redis/rueidis", "golang.org/x/sync":
			v[d.Path] = d.Version
		}
	}
	return v
}

// machine is the processor and how many of its cores this program may use.
func machine() string {
	model := runtime.GOARCH
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(raw)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return model + ", " + number(float64(runtime.GOMAXPROCS(0))) + " cores, " + runtime.GOOS
}
