package remote

import (
	"context"
	"log/slog"
	"net"

	"github.com/redis/go-redis/v9"
)

// instrumented has the user add hooks to a client. One that panics, here or later, does
// no more than it would with an error: commands are sent on goroutines of the library
// too, where a panic is the end of the process.
func instrumented(client *redis.Client, by func(*redis.Client), log *slog.Logger) {
	if by == nil {
		return
	}
	client.AddHook(harmlessHooks{}) // around all that come after it
	var err error
	func() {
		defer recovering(&err)
		by(client)
	}()
	if err != nil {
		log.Error("tiercache: Config.Instrument", "error", err)
	}
}

// harmlessHooks makes a panic of the hooks inside it the error of their command.
type harmlessHooks struct{}

func (harmlessHooks) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		defer recovering(&err)
		return next(ctx, network, addr)
	}
}

func (harmlessHooks) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) (err error) {
		defer recovering(&err)
		return next(ctx, cmd)
	}
}

func (harmlessHooks) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) (err error) {
		defer recovering(&err)
		return next(ctx, cmds)
	}
}
