package tiercache

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
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
//
// in this order. Of several the first is used, and slog.Default gets a warning
// that names the others. With none of them the Config is memory only. What
// cannot be read is an error that names the variable and never its value, which
// may hold a password. UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN alone
// are an error too: Redis over REST is not supported.
func FromEnv() (Config, error) {
	host := []string{"REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_DB", "REDIS_TLS"}
	rest := []string{"UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"}

	if raw := os.Getenv("REDIS_URL"); raw != "" {
		if ignored := set(append(host, rest...)); len(ignored) > 0 {
			slog.Warn("tiercache: REDIS_URL is used, so these are not: " + strings.Join(ignored, ", "))
		}
		o, err := redis.ParseURL(raw)
		if err != nil {
			return Config{}, fmt.Errorf("tiercache: REDIS_URL: %s", withoutSecrets(raw, err))
		}
		if o.MinIdleConns > 0 {
			return Config{}, errors.New("tiercache: REDIS_URL: min_idle_conns is not supported here, the client would open connections that nobody closes")
		}
		return Config{Redis: unused(o)}, nil
	}
	if os.Getenv("REDIS_HOST") != "" {
		if ignored := set(rest); len(ignored) > 0 {
			slog.Warn("tiercache: REDIS_HOST is used, so these are not: " + strings.Join(ignored, ", "))
		}
		o, err := hostOptions()
		if err != nil {
			return Config{}, err
		}
		return Config{Redis: unused(o)}, nil
	}
	if lost := set(host); len(lost) > 0 {
		return Config{}, fmt.Errorf("tiercache: %s set without REDIS_HOST", strings.Join(lost, ", "))
	}
	if only := set(rest); len(only) > 0 {
		return Config{}, fmt.Errorf("tiercache: %s set, but Redis over REST is not supported; set REDIS_URL to the database's rediss:// address", strings.Join(only, ", "))
	}
	return Config{}, nil
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
