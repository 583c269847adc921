package tiercache

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/restconn"
)

// upstashOptions are how to reach the database that UPSTASH_* name.
func upstashOptions() (*redis.Options, error) {
	url, token := os.Getenv("UPSTASH_REDIS_REST_URL"), os.Getenv("UPSTASH_REDIS_REST_TOKEN")
	transport, err := restconn.ParseTransport(os.Getenv("UPSTASH_TRANSPORT"))
	switch {
	case url == "":
		return nil, errors.New("tiercache: UPSTASH_REDIS_REST_URL is missing, others of UPSTASH_* are set")
	case token == "":
		return nil, errors.New("tiercache: UPSTASH_REDIS_REST_TOKEN is missing, UPSTASH_REDIS_REST_URL is set")
	case err != nil:
		return nil, errors.New("tiercache: UPSTASH_TRANSPORT is neither auto, tcp nor rest")
	}
	d, err := restconn.New(restconn.Config{URL: url, Token: token, Transport: transport})
	if err != nil {
		name := "UPSTASH_REDIS_REST_URL"
		if errors.Is(err, restconn.ErrToken) {
			name = "UPSTASH_REDIS_REST_TOKEN"
		}
		return nil, errors.New("tiercache: " + name + ": " + strings.TrimPrefix(err.Error(), "restconn: "))
	}
	o := &redis.Options{Addr: d.Addr(), Username: restconn.User, Password: token}
	if transport == restconn.TCP {
		host, _, _ := net.SplitHostPort(d.Addr())
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
		return o, nil
	}
	o.Dialer = d.DialContext
	// RESP3 is what a listener asks for by itself, and gets over TCP.
	o.Protocol = 2
	return o, nil
}
