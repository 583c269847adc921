package remote

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/clock"
	"github.com/tiercache/tiercache/internal/coherence"
)

const hotPrefix = reserved + "hot:"

// The list of a cache's hot keys is longer than most values: it shares its round trip
// with nothing, and says nothing of what is usual.

// HotList reads the list of a cache, at most so many bytes of it; nil if there is none.
func (r *Remote) HotList(ctx context.Context, cache string, most int) (list []byte, err error) {
	key := r.cfg.Prefix + hotPrefix + cache
	err = r.on(ctx, key, r.cfg.Read, func(ctx context.Context, l *life) (err error) {
		list, err = l.rdb.Client.GetRange(ctx, key, 0, int64(most)-1).Bytes()
		if err == redis.Nil || wrongType(err) {
			list, err = nil, nil
		}
		return err
	})
	return list, err
}

// SetHotList puts list in its place, for ttl.
func (r *Remote) SetHotList(ctx context.Context, cache string, list []byte, ttl time.Duration) error {
	key := r.cfg.Prefix + hotPrefix + cache
	return r.store(ctx, key, func(ctx context.Context, l *life) (bool, error) {
		err := l.rdb.Client.Set(ctx, key, list, ttl).Err()
		return err == nil, err
	})
}

const hearingGlance = 5 * time.Millisecond

// AwaitHearing waits, no longer than limit, until every master is heard, so that memory
// may be served, but for those that are out of use or refuse to be heard. It tells
// whether any is.
func (r *Remote) AwaitHearing(ctx context.Context, limit time.Duration) (some bool) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		some, wait := r.heard()
		if !wait || !pause(ctx, hearingGlance) {
			return some
		}
	}
}

func (r *Remote) heard() (some, wait bool) {
	masters := r.routes.table.Load().masters
	for _, m := range masters {
		switch ear := m.ear.Load(); {
		case !m.circuit.is(closed):
		case ear.Hearing().Fresh(clock.Now()) != coherence.No:
			some = true
		case ear.Mode() != coherence.None:
			wait = true
		}
	}
	return some, wait || len(masters) == 0 && !r.routes.blind.Load()
}
