package tiercache

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/engine"
	"github.com/tiercache/tiercache/internal/remote"
)

// Config of Tiers. The zero Config is memory only. A duration of more than 50 years is
// for ever.
type Config struct {
	// Redis is a *redis.Client (one server, or Sentinel) or a
	// *redis.ClusterClient. Its options are copied: the library opens connections
	// of its own with deadlines of its own, and never uses or changes yours,
	// except that the dialer of a Sentinel client asks its Sentinels. Nil: memory
	// only.
	Redis redis.UniversalClient

	// Instrument is called with each client that these Tiers make for their commands, one
	// for each master and again when one returns, before it is used: to add hooks, those of
	// redisotel say. Commands that share a round trip come as one pipeline, whose context
	// is nobody's. A hook must not change what it sees; one that panics fails its command.
	Instrument func(*redis.Client)

	// Prefix is put before every key in Redis. Required with Redis; if given it ends in
	// ":" and has no glob characters (*?[]\^) or braces.
	Prefix string

	// MemoryBytes bounds what the memory tier holds, for all caches of these
	// Tiers together. Default: 64 MiB.
	MemoryBytes int64

	// ReadTimeout is the longest that one read from Redis may take, WriteTimeout
	// one write. What takes longer is given up, and the loader asked instead.
	// Defaults: 50 ms and 100 ms.
	ReadTimeout  time.Duration
	WriteTimeout time.Duration

	// StalenessBound is how old what memory serves may be while this process does
	// not hear what others change: a read that starts longer than this after
	// another process's Invalidate returned sees what is newer. Memory is served
	// only while Redis has answered a question that was asked less than this ago,
	// four times in that time. Typically changes arrive in well under a
	// millisecond. At least 20 ms. Default: 1 s.
	StalenessBound time.Duration

	// OutageStaleness is the same for a process that cannot reach Redis at all:
	// how long memory serves what it has, and what is loaded meanwhile. Negative:
	// not at all, every read loads. Default: 1 min.
	OutageStaleness time.Duration

	// TrustAfterFailover believes values that an earlier life of the server stored:
	// a promoted replica's, or those of a snapshot it restarted from. They may have
	// missed the last invalidations. Default: they are loaded anew.
	TrustAfterFailover bool

	// LargestValue is how long, in bytes, the encoding of a value may be to be stored,
	// before it is compressed. A longer one is returned, and counted in
	// CacheStats.TooLarge. What stands under a key and is longer, or would be once it is
	// decompressed, is a miss: no room is made for it. Default: 1 MiB.
	LargestValue int

	// SummaryEvery writes a line of statistics to Logger after every so many
	// operations. Default: never.
	SummaryEvery int

	// Logger gets a line when Redis goes out of use and comes back, and when what
	// this process hears of changes becomes less or more; at the level Debug also for
	// each failure that is counted towards that. Default: none.
	Logger *slog.Logger
}

const (
	defaultMemoryBytes  = 64 << 20
	defaultLargestValue = 1 << 20
	defaultReadTimeout  = 50 * time.Millisecond
	defaultWriteTimeout = 100 * time.Millisecond

	defaultStalenessBound  = time.Second
	defaultOutageStaleness = time.Minute
	leastStalenessBound    = 20 * time.Millisecond
)

// Tiers are a process's memory and its Redis, shared by every Cache made from
// them. One per process is the rule. Safe for concurrent use.
type Tiers struct {
	eng    *engine.Engine
	opened time.Time
	budget int64 // Config.MemoryBytes
}

// Open returns at once, also if Redis is down: it is used as soon as it answers.
// A Config that makes no sense is an error that names the field.
func Open(cfg Config) (*Tiers, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	opened := time.Now()
	eng, err := engine.Open(engine.Config{
		Prefix:       cfg.Prefix,
		MemoryBytes:  cfg.MemoryBytes,
		Largest:      cfg.LargestValue,
		SummaryEvery: cfg.SummaryEvery,

		Bound:           cfg.StalenessBound,
		OutageStaleness: cfg.OutageStaleness,
		Trusting:        cfg.TrustAfterFailover,

		Logger: cfg.Logger,
		Remote: remote.Config{Client: cfg.Redis, Instrument: cfg.Instrument, Read: cfg.ReadTimeout, Write: cfg.WriteTimeout},
	})
	if err != nil {
		return nil, fmt.Errorf("tiercache: Config.Redis: %w", err)
	}
	return &Tiers{eng: eng, opened: opened, budget: cfg.MemoryBytes}, nil
}

// Close ends loads that run (their callers get ErrClosed), sends what the
// journal still has if Redis answers, and frees everything. It returns an error
// if invalidations never reached Redis, or if loaders that ignore their context
// still run. Closing again returns the same.
func (t *Tiers) Close() error { return t.eng.Close() }

func (c Config) checked() (Config, error) {
	bad := func(field, format string, args ...any) (Config, error) {
		return c, fmt.Errorf("tiercache: Config.%s %s", field, fmt.Sprintf(format, args...))
	}
	switch {
	case c.MemoryBytes < 0:
		return bad("MemoryBytes", "is negative: %d", c.MemoryBytes)
	case c.ReadTimeout < 0:
		return bad("ReadTimeout", "is negative: %v", c.ReadTimeout)
	case c.WriteTimeout < 0:
		return bad("WriteTimeout", "is negative: %v", c.WriteTimeout)
	case c.StalenessBound != 0 && c.StalenessBound < leastStalenessBound:
		return bad("StalenessBound", "is %v, want at least %v", c.StalenessBound, leastStalenessBound)
	case c.LargestValue < 0:
		return bad("LargestValue", "is negative: %d", c.LargestValue)
	case c.SummaryEvery < 0:
		return bad("SummaryEvery", "is negative: %d", c.SummaryEvery)
	}
	if c.Redis != nil || c.Prefix != "" {
		if err := checkPrefix(c.Prefix); err != nil {
			return bad("Prefix", "%v", err)
		}
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = defaultMemoryBytes
	}
	if c.LargestValue == 0 {
		c.LargestValue = defaultLargestValue
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = defaultReadTimeout
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = defaultWriteTimeout
	}
	if c.StalenessBound == 0 {
		c.StalenessBound = defaultStalenessBound
	}
	if c.OutageStaleness == 0 {
		c.OutageStaleness = defaultOutageStaleness
	}
	for _, d := range []*time.Duration{&c.ReadTimeout, &c.WriteTimeout, &c.StalenessBound, &c.OutageStaleness} {
		*d = min(*d, engine.Forever)
	}
	c.LargestValue = min(c.LargestValue, math.MaxInt/2) // and what is around it
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// checkPrefix: a glob character would make every scan match foreign keys, a
// brace would put every key into one slot of a cluster.
func checkPrefix(p string) error {
	switch {
	case p == "":
		return errors.New("is missing: it keeps this service's keys apart from others'")
	case !strings.HasSuffix(p, ":"):
		return fmt.Errorf("%q does not end in \":\"", p)
	case strings.ContainsAny(p, `*?[]\^{}`):
		return fmt.Errorf("%q has one of the characters *?[]\\^{}", p)
	}
	return nil
}
