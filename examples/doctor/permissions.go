package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// check is one command that the library uses, and what goes without it.
type check struct {
	name string
	run  func() error
	fine string // part of an error that is an answer, not a refusal
	lost string // "": the library cannot work
}

// channel is that of the library, after the prefix.
const channel = "~ctl"

// checks are on the doctor's own key, and send nobody anything.
func (d doctor) checks(ctx context.Context) []check {
	do := func(args ...any) func() error { return func() error { return d.client.Do(ctx, args...).Err() } }
	return []check{
		{"EVAL", do("EVAL", script, 1, d.key), "", ""},
		{"EVALSHA", do("EVALSHA", strings.Repeat("0", 40), 1, d.key), "NOSCRIPT", ""},
		{"TIME", do("TIME"), "", ""},
		{"SET", do("SET", d.key, "value", "PX", 60_000), "", ""},
		{"GET", do("GET", d.key), "", ""},
		{"GETRANGE", do("GETRANGE", d.key, 0, 2), "", ""},
		{"MGET", do("MGET", d.key), "", "calls for many keys read them one by one, in one round trip"},
		{"SETRANGE", do("SETRANGE", d.key, 0, "v"), "", ""},
		{"PEXPIRE", do("PEXPIRE", d.key, 60_000), "", "a load that takes longer than 3 seconds may be made twice, and is not stored"},
		{"PING", do("PING"), "", "nothing is known to be heard: memory serves nothing, every read asks Redis (mode connecting)"},
		{"TOUCH", do("TOUCH", d.key), "", "a server that evicts by age may evict the record of a tag that is in use"},
		{"SCAN", do("SCAN", 0, "MATCH", d.key, "COUNT", 10), "", "an invalidation by pattern stays in the journal; keys, tags and Clear work"},
		{"INFO", do("INFO"), "", "a restart from an old snapshot, or a failover, goes unnoticed"},
		{"CLIENT TRACKING", d.tracking(ctx), "", "what others than the library change is not heard (mode pubsub)"},
		{"SUBSCRIBE", d.subscribe(ctx), "", "nothing is heard: memory serves nothing, every read asks Redis (mode none)"},
		// To a channel that nobody listens to. A user may be bound to the names of
		// those that are used; SUBSCRIBE has told then.
		{"PUBLISH", do("PUBLISH", d.prefix+"~doctor", ""), "channels", "nodes in mode pubsub, and memory-only caches elsewhere, hear nothing of this one"},
		{"PUBSUB NUMSUB", do("PUBSUB", "NUMSUB", d.prefix+channel), "", "every invalidation is published, needed or not"},
		{"UNLINK", do("UNLINK", d.key), "", ""}, // last: it also cleans up
	}
}

// dedicated runs something on a connection that is closed afterwards: tracking and
// subscriptions are states of a connection.
func (d doctor) dedicated(ctx context.Context, run func(*redis.Conn) error) error {
	o := *d.client.Options()
	o.Protocol, o.PoolSize = 3, 1
	client := redis.NewClient(&o)
	cn := client.Conn()
	return errors.Join(run(cn), cn.Close(), client.Close())
}

// tracking asks for RESP3 by itself: go-redis falls back to RESP2 silently, and
// there the server would say OK and push nothing.
func (d doctor) tracking(ctx context.Context) func() error {
	return func() error {
		return d.dedicated(ctx, func(cn *redis.Conn) error {
			if err := cn.Hello(ctx, 3, "", "", "").Err(); err != nil {
				return err
			}
			return cn.ClientTrackingOn(ctx, &redis.ClientTrackingOptions{Bcast: true, Prefixes: []string{d.prefix}}).Err()
		})
	}
}

func (d doctor) subscribe(ctx context.Context) func() error {
	return func() error {
		ps := d.client.Subscribe(ctx, d.prefix+channel)
		_, err := ps.Receive(ctx)
		return errors.Join(err, ps.Close())
	}
}

// forbidden tells an ACL's refusal from every other error.
func forbidden(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "NOPERM") }

// unknown tells that the server has no such command, as miniredis and some hosted
// services have not.
func unknown(err error) bool {
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "unknown") || strings.Contains(text, "unsupported") || strings.Contains(text, "wrong number of arguments")
}

// permissions tries every command the library uses and says what is forbidden, or
// not there, and what follows from it. What the library cannot work without is an
// error.
func (d doctor) permissions(ctx context.Context) error {
	var refused, failed int
	all, pubsub := true, false
	for _, c := range d.checks(ctx) {
		err := c.run()
		if err == nil || errors.Is(err, redis.Nil) || c.fine != "" && strings.Contains(err.Error(), c.fine) {
			continue
		}
		all = false
		switch c.name {
		case "CLIENT TRACKING":
			pubsub = true
		case "SUBSCRIBE":
			pubsub = false // neither: then nobody has to be told
		case "PUBLISH":
			if pubsub { // an invalidation that others cannot hear of stays in the journal
				c.lost = ""
			}
		}
		lost := c.lost
		if lost == "" {
			lost = "the library cannot work without it"
		}
		switch no := forbidden(err) || unknown(err); {
		case no && c.lost == "":
			refused++
			fallthrough
		case no:
			word := "NOPERM "
			if !forbidden(err) {
				word = "missing"
			}
			fmt.Fprintf(d.out, "%s      %s: %s\n", word, c.name, lost)
		default:
			failed++
			fmt.Fprintf(d.out, "failed       %s: %v\n", c.name, err)
		}
	}
	if all {
		fmt.Fprintln(d.out, "permissions  all that it uses")
	}
	if refused+failed > 0 {
		return fmt.Errorf("%d commands that it needs are refused, %d failed", refused, failed)
	}
	return nil
}
