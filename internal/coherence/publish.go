package coherence

import (
	"context"
	_ "embed"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed publish.lua
	publishSource string
	publishScript = redis.NewScript(publishSource)
)

// What the prefix is followed by. No pattern matches these names.
const (
	channelName = "~ctl"
	peersName   = "~pubsub" // a channel that carries nothing: who listens there needs Publish
	counterName = "~seq"
)

// Publish sends payload to every node that listens with this prefix. When it
// returns nil, the message is counted: a node that missed it finds out within
// its bound. A message may be sent twice. The command is sent to the master that
// owns the key prefix+"~seq".
func Publish(ctx context.Context, c redis.Scripter, prefix, payload string) error {
	return publishScript.Run(ctx, c, []string{prefix + counterName}, prefix+channelName, payload).Err()
}

// Peers are how many nodes hear by Publish alone.
func Peers(ctx context.Context, c redis.Cmdable, prefix string) *redis.MapStringIntCmd {
	return c.PubSubNumSub(ctx, prefix+peersName)
}

// parseMessage takes the framing off: the counter before the message, and with
// it. ok is false for what Publish cannot have sent.
func parseMessage(text string) (prev, n int64, payload string, ok bool) {
	first, rest, found1 := strings.Cut(text, " ")
	second, payload, found2 := strings.Cut(rest, " ")
	prev, ok1 := parseCount(first)
	n, ok2 := parseCount(second)
	if !found1 || !found2 || !ok1 || !ok2 || n <= prev {
		return 0, 0, "", false
	}
	return prev, n, payload, true
}

// parseCount accepts only the one form of a number that Publish writes.
func parseCount(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == text
}
