package tiercache

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// FromEnv makes a Config from the environment; nothing else in this module reads
// it. Prefix is left for you to set. It looks at
//
//	REDIS_URL       redis://, rediss:// or unix://, as redis.ParseURL reads it
//	REDIS_HOST      with REDIS_PORT (6379), REDIS_USERNAME, REDIS_PASSWORD,
//	                REDIS_DB (0), REDIS_TLS (false)
//	UPSTASH_REDIS_REST_URL
//	                https://NAME.upstash.io, with UPSTASH_REDIS_REST_TOKEN and
//	                UPSTASH_TRANSPORT (auto)
//
// in this order. Of several the first is used, and slog.Default gets a warning
// that names the others. With none of them the Config is memory only. What
// cannot be read, or has only a half, is an error that names the variable and
// never its value, which may hold a password.
//
// UPSTASH_TRANSPORT is tcp for TLS to port 6379 of that host, with the token as
// the password of the user default; rest for the REST API, through the proxy that
// HTTPS_PROXY names, if any; auto for tcp where a server there takes the token,
// else rest. What auto chose is logged to slog.Default at each change, and while
// it is rest, tcp is tried again every minute. See docs/redis.md for what cannot
// be had over REST.
//
// Upstash takes no password without TLS: redis:// with a host under upstash.io in
// REDIS_URL is used with TLS, and a warning says so. (Not fly-NAME.upstash.io,
// which is in a private network and has none.)
//
// FromEnv makes no connection.
func FromEnv() (Config, error) {
	host := []string{"REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_DB", "REDIS_TLS"}
	rest := []string{"UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN", "UPSTASH_TRANSPORT"}

	if raw := os.Getenv("REDIS_URL"); raw != "" {
		warnIgnored("REDIS_URL", append(host, rest...))
		o, err := urlOptions(raw)
		if err != nil {
			return Config{}, err
		}
		return Config{Redis: unused(o)}, nil
	}
	if os.Getenv("REDIS_HOST") != "" {
		warnIgnored("REDIS_HOST", rest)
		o, err := hostOptions()
		if err != nil {
			return Config{}, err
		}
		return Config{Redis: unused(o)}, nil
	}
	if lost := set(host); len(lost) > 0 {
		return Config{}, fmt.Errorf("tiercache: %s set without REDIS_HOST", strings.Join(lost, ", "))
	}
	if len(set(rest)) > 0 {
		o, err := upstashOptions()
		if err != nil {
			return Config{}, err
		}
		return Config{Redis: unused(o)}, nil
	}
	return Config{}, nil
}

func warnIgnored(used string, names []string) {
	if ignored := set(names); len(ignored) > 0 {
		slog.Warn("tiercache: " + used + " is used, so these are not: " + strings.Join(ignored, ", "))
	}
}

func urlOptions(raw string) (*redis.Options, error) {
	o, err := redis.ParseURL(raw)
	if err != nil {
		return nil, fmt.Errorf("tiercache: REDIS_URL: %s", withoutSecrets(raw, err))
	}
	if o.MinIdleConns > 0 {
		return nil, errors.New("tiercache: REDIS_URL: min_idle_conns is not supported here, the client would open connections that nobody closes")
	}
	for _, conns := range []struct {
		name string
		n    int
	}{{"pool_size", o.PoolSize}, {"min_idle_conns", o.MinIdleConns}, {"max_idle_conns", o.MaxIdleConns}, {"max_active_conns", o.MaxActiveConns}} {
		if conns.n < 0 || conns.n > math.MaxInt32 {
			return nil, fmt.Errorf("tiercache: REDIS_URL: %s is no number of connections", conns.name)
		}
	}
	name, _, err := net.SplitHostPort(o.Addr)
	name = strings.ToLower(name)
	if err == nil && o.TLSConfig == nil && strings.HasSuffix(name, ".upstash.io") && !strings.HasPrefix(name, "fly-") {
		slog.Warn("tiercache: REDIS_URL says redis:// for a database of Upstash, which wants TLS; it is used as rediss://")
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name}
	}
	return o, nil
}

// unused wraps options as the client that Config wants. It is never used, so it
// must not have anything that wants to be closed: maintenance notifications
// would start a goroutine.
func unused(o *redis.Options) *redis.Client {
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewClient(o)
}

func hostOptions() (*redis.Options, error) {
	host, port := os.Getenv("REDIS_HOST"), cmp.Or(os.Getenv("REDIS_PORT"), "6379")
	if strings.ContainsAny(host, "/@ ") {
		return nil, errors.New("tiercache: REDIS_HOST is not a host name; an address with a scheme belongs in REDIS_URL")
	}
	if _, _, err := net.SplitHostPort(host); err == nil {
		return nil, errors.New("tiercache: REDIS_HOST has a port, which belongs in REDIS_PORT")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, errors.New("tiercache: REDIS_PORT is not a port number")
	}
	o := &redis.Options{
		Addr:     net.JoinHostPort(strings.Trim(host, "[]"), port),
		Username: os.Getenv("REDIS_USERNAME"),
		Password: os.Getenv("REDIS_PASSWORD"),
	}
	if raw := os.Getenv("REDIS_DB"); raw != "" {
		db, err := strconv.ParseUint(raw, 10, 31)
		if err != nil {
			return nil, errors.New("tiercache: REDIS_DB is not a number of a database")
		}
		o.DB = int(db)
	}
	if raw := os.Getenv("REDIS_TLS"); raw != "" {
		on, err := strconv.ParseBool(raw)
		if err != nil {
			return nil, errors.New("tiercache: REDIS_TLS is neither true nor false")
		}
		if on {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: strings.Trim(host, "[]")}
		}
	}
	return o, nil
}

// set returns those of the variables that are set.
func set(names []string) (out []string) {
	for _, n := range names {
		if os.Getenv(n) != "" {
			out = append(out, n)
		}
	}
	return out
}

// withoutSecrets is what err says of a URL, if that repeats nothing of it: the
// parsers of URLs quote what they cannot read, passwords included.
func withoutSecrets(raw string, err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		return "is not a URL"
	}
	parsed, perr := url.Parse(raw)
	if perr != nil {
		return "is not a URL"
	}
	switch parsed.Scheme {
	case "redis", "rediss", "unix":
		return "has a path, port or parameter that redis.ParseURL does not understand"
	}
	return "does not begin with redis://, rediss:// or unix://"
}
