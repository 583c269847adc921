package remote

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Turn is whose it is to load in the place of a value that may still be served. It
// spares the source loads, and decides nothing: see package engine, refresh.go.
type Turn int

const (
	Mine    Turn = iota
	Taken        // somebody loads
	Resting      // somebody's load has failed, and nobody is to try for a while
)

const (
	turnPrefix  = reserved + "refresh:"
	turnTaken   = "L"
	turnResting = "F" // and until when, milliseconds in the server's clock
)

func (r *Remote) turnKey(key string) string {
	return r.cfg.Prefix + turnPrefix + key[len(r.cfg.Prefix):]
}

// TakeTurn takes the turn of a key for ttl if nobody has it, and tells for how long
// nobody is to.
func (r *Remote) TakeTurn(ctx context.Context, key string, ttl time.Duration) (turn Turn, rest time.Duration, err error) {
	key = r.turnKey(key)
	err = r.store(ctx, key, func(ctx context.Context, l *life) (bool, error) {
		won := redis.NewBoolCmd(ctx, "set", key, turnTaken, "px", ttl.Milliseconds(), "nx")
		is := redis.NewStringCmd(ctx, "get", key)
		err := l.rdb.do(ctx, true, won, is)
		if newsOf(ctx, err) != answered || moved(err) {
			return false, err
		}
		if ours, err := won.Result(); err != nil || ours {
			return ours, err
		}
		if is.Val() == turnTaken {
			turn = Taken
			return false, nil
		}
		if until, ok := strings.CutPrefix(is.Val(), turnResting); ok {
			if ms, err := strconv.ParseInt(until, 10, 64); err == nil {
				rest = max(0, time.UnixMilli(ms).Sub(l.m.now()))
			}
		}
		if rest > 0 {
			turn = Resting
			return false, nil
		}
		// It is over, or nobody's, and Redis has not ended it: somebody has restored it, or
		// made it persistent. Two who find it so at once both load, which a turn allows.
		err = l.rdb.do(ctx, true, redis.NewStatusCmd(ctx, "set", key, turnTaken, "px", ttl.Milliseconds()))
		return err == nil, err
	})
	return turn, rest, err
}

// TurnTaken tells whether somebody has the turn of a key.
func (r *Remote) TurnTaken(ctx context.Context, key string) (taken bool, err error) {
	key = r.turnKey(key)
	err = r.on(ctx, key, r.cfg.Read, func(ctx context.Context, l *life) error {
		is, err := l.rdb.Get(ctx, key).Result()
		taken = is == turnTaken
		if err == redis.Nil {
			err = nil
		}
		return err
	})
	return taken, err
}

// KeepTurn makes a turn last for ttl from now.
func (r *Remote) KeepTurn(ctx context.Context, key string, ttl time.Duration) error {
	return r.setTurn(ctx, r.turnKey(key), func(*master) string { return turnTaken }, ttl)
}

// EndTurn gives a turn back; with rest, nobody has it for so long.
func (r *Remote) EndTurn(ctx context.Context, key string, rest time.Duration) error {
	key = r.turnKey(key)
	if rest > 0 {
		return r.setTurn(ctx, key, func(m *master) string {
			return turnResting + strconv.FormatInt(m.now().Add(rest).UnixMilli(), 10)
		}, rest)
	}
	return r.mark(ctx, key, func(ctx context.Context, l *life) error {
		return l.rdb.do(ctx, true, redis.NewIntCmd(ctx, "unlink", key))
	})
}

func (r *Remote) setTurn(ctx context.Context, key string, text func(*master) string, ttl time.Duration) error {
	return r.store(ctx, key, func(ctx context.Context, l *life) (bool, error) {
		err := l.rdb.do(ctx, true, redis.NewStatusCmd(ctx, "set", key, text(l.m), "px", ttl.Milliseconds()))
		return err == nil, err
	})
}
