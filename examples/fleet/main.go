// Command fleet starts three instances of the example service on one Redis, has them
// read and written, and does to them what happens to a fleet: Redis is killed, an
// instance is restarted, another is killed in the middle of its work. It tells what
// came of it, and exits 1 if a request failed, something stale was read, or one of the
// other promises was missed. All of it is on loopback, and is stopped at the end.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/child"
	"github.com/tiercache/tiercache/examples/internal/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

const (
	instances = 3
	longest   = 85 * time.Second // of a run, whatever happens
	dataLife  = 24 * time.Hour
)

var size = store.Seed{Users: 2_000, Inquiries: 20_000, Number: 7}

type fleet struct {
	redis    *redisServer
	nodes    []*node
	traffic  *traffic
	verdicts []verdict

	out   io.Writer
	began time.Time
}

func (f *fleet) say(format string, args ...any) {
	fmt.Fprintf(f.out, "%5.1f s  "+format+"\n", append([]any{time.Since(f.began).Seconds()}, args...)...)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	flags.SetOutput(stderr)
	server := flags.String("server", "", "the server's binary; empty: the one beside this binary")
	data := flags.String("data", "data", "directory of the database and of the instances' logs")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()

	f := &fleet{out: stdout, began: time.Now()}
	dir, err := os.MkdirTemp("", "fleet")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if f.redis, err = newRedis(dir); err != nil {
		return err
	}
	if *server == "" {
		if *server, err = child.Beside("server"); err != nil {
			return err
		}
	}
	secret := rand.Text()
	binary := child.Binary{Path: *server, Data: *data, Seed: size, Prefix: "fleet:",
		Env: []string{"REDIS_URL=redis://" + f.redis.addr(), "DEMO_SECRET=" + secret}}
	if err := binary.Fill(ctx, dataLife, stderr); err != nil {
		return err
	}
	if err := f.redis.start(ctx); err != nil {
		return err
	}
	defer f.redis.kill()
	defer func() { err = errors.Join(err, f.stop()) }()
	if err := f.start(ctx, binary, secret); err != nil {
		return err
	}
	if err := f.story(ctx); err != nil {
		return errors.Join(err, f.result())
	}
	return f.result()
}

func (f *fleet) start(ctx context.Context, binary child.Binary, secret string) error {
	for i := range instances {
		f.nodes = append(f.nodes, &node{number: i, binary: binary, args: []string{"-log=json",
			"-outage-staleness", outage.String(), "-warm-every=8s", "-warm-rate=30"}})
	}
	errs := make([]error, instances)
	var all sync.WaitGroup
	for i, n := range f.nodes {
		all.Go(func() {
			n.gate.Lock()
			defer n.gate.Unlock()
			errs[i] = n.start(ctx)
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, n := range f.nodes {
		f.say("%s: %s, dashboard %s/api/cache/stats", n.name(), n.base, n.base)
	}
	signer, err := auth.NewSigner([]byte(secret), time.Hour)
	if err == nil {
		f.traffic, err = newTraffic(f.nodes, size, signer)
	}
	return err
}

// story is everything that happens while the traffic goes on.
func (f *fleet) story(ctx context.Context) error {
	if err := f.allUseRedis(ctx); err != nil {
		return err
	}
	traffic, cancel := context.WithCancel(ctx)
	var going sync.WaitGroup
	going.Go(func() { f.traffic.run(traffic) })
	defer going.Wait()
	defer cancel()
	fmt.Fprintf(f.out, rule, bound, outage)
	f.say("all three are read, and names are changed through each")
	if err := pause(ctx, steadyTime); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{f.killRedis, f.restart, f.killOwner} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return pause(ctx, 2*bound) // for reads of what was written last
}

func (f *fleet) stop() error {
	errs := make([]error, len(f.nodes))
	var all sync.WaitGroup
	for i, n := range f.nodes {
		all.Go(func() {
			n.gate.Lock()
			defer n.gate.Unlock()
			errs[i] = n.end((*child.Server).Stop)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
