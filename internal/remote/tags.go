package remote

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/envelope"
)

// Tag is the record of a tag in Redis: see scripts/tag.lua for its form. The zero
// Tag is none that counts.
type Tag struct {
	Raw    string // as it stands, also of what does not count
	Stamp  envelope.ID
	Nonce  envelope.Token
	Until  time.Time // when the record goes
	Clock  Tick      // of its birth; zero: unborn
	Marked time.Time // when its last Mutate ends; zero: none
}

// Tick is a reading of the prefix clock: later ones are greater as long as the
// life of its master is the same.
type Tick struct {
	N    uint64
	Life envelope.ID
}

// Covers tells whether everything that was ticked until birth had been when t was
// read.
func (t Tick) Covers(birth Tick) bool { return t.Life == birth.Life && birth.N <= t.N }

const (
	tagMagic  = "tg1"
	tagHead   = 76
	tagMark   = 35
	clockName = reserved + "clock"
	tickLen   = 16
	// pastTicks is no reading: a record has no room for it, and Lua counts no further.
	// What is not one for a reader must not be one for the scripts, and the reverse.
	pastTicks = 9e15
)

func parseTag(raw string) (t Tag) {
	t.Raw = raw
	if len(raw) < tagHead || !strings.HasPrefix(raw, tagMagic) || (len(raw)-tagHead)%tagMark != 0 {
		return t
	}
	until, err1 := strconv.ParseInt(raw[36:49], 10, 64)
	clock, err2 := strconv.ParseUint(raw[49:65], 10, 64)
	if err1 != nil || err2 != nil {
		return Tag{Raw: raw}
	}
	for at := tagHead; at < len(raw); at += tagMark {
		ends, err := strconv.ParseInt(raw[at+22:at+tagMark], 10, 64)
		if err != nil {
			return Tag{Raw: raw}
		}
		if end := time.UnixMilli(ends); end.After(t.Marked) {
			t.Marked = end
		}
	}
	copy(t.Stamp[:], raw[3:])
	copy(t.Nonce[:], raw[14:])
	t.Until = time.UnixMilli(until)
	if clock != 0 {
		t.Clock.N = clock
		copy(t.Clock.Life[:], raw[65:])
	}
	return t
}

// TagKey is where the record of a tag stands.
func (r *Remote) TagKey(tag string) string { return r.cfg.Prefix + reserved + tag }

// Record is a tag's, with the stamp of the master that answered.
type Record struct {
	Tag
	Answered envelope.ID
}

// Tags reads the records of keys, made by TagKey, in one round trip for each
// master.
func (r *Remote) Tags(ctx context.Context, keys []string) ([]Record, error) {
	replies, err := r.getAll(ctx, keys, r.cfg.Longest)
	if err != nil {
		return nil, err
	}
	records := make([]Record, len(keys))
	for i, reply := range replies {
		records[i] = Record{parseTag(string(reply.Raw)), reply.Stamp}
	}
	return records, nil
}

// NewTag makes an unborn record unless another stands than the one seen, and
// returns what stands then.
func (r *Remote) NewTag(ctx context.Context, key, seen string, ttl time.Duration) (rec Record, err error) {
	err = r.store(ctx, key, func(ctx context.Context, l *life) (bool, error) {
		if err := l.m.recent(ctx, l); err != nil {
			return false, err
		}
		stamp, nonce := l.stamp(), envelope.NewToken()
		raw, err := tagNewScript.Run(ctx, l.rdb, []string{key}, stamp[:], nonce[:], ttl.Milliseconds(), seen).Text()
		rec = Record{parseTag(raw), stamp}
		return rec.Nonce == nonce, err
	})
	return rec, err
}

// BearTag gives the record with that nonce the clock of its birth if it has none,
// and a longer life if one is given; and returns what stands then.
func (r *Remote) BearTag(ctx context.Context, key string, nonce envelope.Token, birth Tick, ttl time.Duration) (rec Record, err error) {
	err = r.store(ctx, key, func(ctx context.Context, l *life) (bool, error) {
		at := ""
		if birth.N != 0 {
			at = tickText(birth.N) + string(birth.Life[:])
		}
		raw, err := tagBornScript.Run(ctx, l.rdb, []string{key}, nonce[:], at, ttl.Milliseconds()).Text()
		rec = Record{parseTag(raw), l.stamp()}
		return false, err // who had the record borne is not known
	})
	return rec, err
}

// TurnTag gives a tag a new generation, and with it adds or removes the mark of a
// Mutate. The clock has been advanced before.
func (r *Remote) TurnTag(ctx context.Context, key string, ttl time.Duration, add, remove []byte, markLife time.Duration) error {
	return r.change(ctx, key, r.cfg.Write, func(ctx context.Context, l *life) error {
		if err := l.m.met(ctx); err != nil {
			return err
		}
		stamp, nonce := l.stamp(), envelope.NewToken()
		return tagScript.Run(ctx, l.rdb, []string{key}, stamp[:], nonce[:], ttl.Milliseconds(), remove, add, markLife.Milliseconds()).Err()
	})
}

// Clock reads the prefix clock, and starts it if it does not stand.
func (r *Remote) Clock(ctx context.Context) (t Tick, err error) {
	key := r.ClockKey()
	reply, err := r.Get(ctx, key)
	if err != nil {
		return t, err
	}
	if n, err := strconv.ParseUint(string(reply.Raw), 10, 64); err == nil && n > 0 && n < pastTicks {
		return Tick{n, reply.Stamp}, nil
	}
	return r.clock(ctx, clockScript)
}

// Tick advances the prefix clock.
func (r *Remote) Tick(ctx context.Context) (t Tick, err error) {
	return r.clock(ctx, tickScript)
}

func (r *Remote) clock(ctx context.Context, script *redis.Script) (t Tick, err error) {
	key := r.ClockKey()
	err = r.change(ctx, key, r.cfg.Write, func(ctx context.Context, l *life) error {
		text, err := script.Run(ctx, l.rdb, []string{key}).Text()
		if err != nil {
			return err
		}
		t.Life = l.stamp()
		t.N, err = strconv.ParseUint(text, 10, 64)
		return err
	})
	return t, err
}

// ClockKey is where the prefix clock stands.
func (r *Remote) ClockKey() string { return r.cfg.Prefix + clockName }

func tickText(n uint64) string {
	s := strconv.FormatUint(n, 10)
	return strings.Repeat("0", max(0, tickLen-len(s))) + s
}
