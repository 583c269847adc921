package restconn

import (
	"context"
	"strconv"
)

// transaction is what stands between MULTI and EXEC.
type transaction struct {
	cmds  []command
	dirty bool // one of them was refused
}

// execute runs commands in order and returns their answers. Neighbours that go to
// the server go together.
func (c *conn) execute(ctx context.Context, cmds []command) (out []byte, err error) {
	var batch []command
	flush := func() error {
		out, err = c.pipeline(ctx, batch, out)
		batch = nil
		return err
	}
	for _, cmd := range cmds {
		verb := cmd.verb()
		switch {
		case c.tx != nil && verb != "EXEC" && verb != "DISCARD":
			out = append(out, c.tx.queue(cmd)...)
			continue
		case verb == "EXEC" && c.tx != nil, verb == "SUBSCRIBE" && len(cmd) > 1, verb == "UNSUBSCRIBE":
			if err := flush(); err != nil {
				return nil, err
			}
			if out, err = c.special(ctx, cmd, out); err != nil {
				return nil, err
			}
			continue
		}
		answer, local := c.local(cmd)
		if !local {
			batch = append(batch, cmd)
			continue
		}
		if err := flush(); err != nil {
			return nil, err
		}
		out = append(out, answer...)
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return out, nil
}

func (c *conn) special(ctx context.Context, cmd command, out []byte) ([]byte, error) {
	switch cmd.verb() {
	case "EXEC":
		return c.exec(ctx, out)
	case "UNSUBSCRIBE":
		return c.unsubscribe(cmd, out), nil
	}
	for _, channel := range cmd[1:] {
		if refusal, err := c.subscribe(ctx, string(channel)); err != nil {
			return nil, err
		} else if refusal != "" {
			out = appendError(out, refusal)
		}
	}
	return out, nil
}

func (t *transaction) queue(cmd command) []byte {
	if refusal := refused(cmd); refusal != "" {
		t.dirty = true
		return appendError(nil, refusal)
	}
	t.cmds = append(t.cmds, cmd)
	return []byte("+QUEUED\r\n")
}

func (c *conn) exec(ctx context.Context, out []byte) ([]byte, error) {
	tx := c.tx
	c.tx = nil
	switch {
	case tx.dirty:
		return appendError(out, "EXECABORT Transaction discarded because of previous errors."), nil
	case len(tx.cmds) == 0:
		return append(out, "*0\r\n"...), nil
	}
	return c.post(ctx, "/multi-exec", tx.cmds, out)
}

// local answers what concerns the connection, which the server does not know.
func (c *conn) local(cmd command) (answer []byte, ok bool) {
	const fine = "+OK\r\n"
	if refusal := refused(cmd); refusal != "" {
		return appendError(nil, refusal), true
	}
	switch cmd.verb() {
	case "HELLO":
		hello := appendBulks([]byte("*6\r\n"), "server", "redis", "proto")
		hello = append(hello, ":2\r\n"...)
		return appendBulks(hello, "mode", "standalone"), true
	case "AUTH", "SELECT", "CLIENT", "READONLY", "RESET", "QUIT":
		return []byte(fine), true
	case "MULTI":
		c.tx = &transaction{}
		return []byte(fine), true
	case "DISCARD", "EXEC":
		if c.tx == nil {
			return appendError(nil, "ERR "+cmd.verb()+" without MULTI"), true
		}
		c.tx = nil
		return []byte(fine), true
	case "PING":
		// Asked while it listens, a connection shows that it is still this one. Whether
		// its streams are, the transport finds out.
		if c.listens() {
			payload := []byte(nil)
			if len(cmd) > 1 {
				payload = cmd[1]
			}
			return appendBulk(appendBulks([]byte("*2\r\n"), "pong"), payload), true
		}
	}
	return nil, false
}

// refused is the answer to what cannot be had over REST, "" for anything else.
func refused(cmd command) string {
	switch verb := cmd.verb(); verb {
	case "HELLO":
		if v := cmd.arg(1); v != "" && v != "2" {
			return "NOPROTO unsupported protocol version"
		}
	case "SELECT":
		if n, err := strconv.Atoi(cmd.arg(1)); err != nil || n != 0 {
			return "ERR DB index is out of range: over REST there is database 0 alone"
		}
	case "CLIENT":
		switch sub := cmd.arg(1); sub {
		case "SETNAME", "SETINFO":
		case "TRACKING", "CACHING", "ID", "LIST", "INFO", "KILL", "PAUSE", "UNPAUSE", "REPLY", "NO-EVICT", "NO-TOUCH", "GETNAME", "MAINT_NOTIFICATIONS":
			return "ERR CLIENT " + sub + " is not available over REST"
		default:
			return "ERR this CLIENT command is not available over REST"
		}
	case "WATCH", "UNWATCH", "MONITOR", "SYNC", "PSYNC", "PSUBSCRIBE", "PUNSUBSCRIBE", "SSUBSCRIBE", "SUNSUBSCRIBE",
		"BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP", "WAIT", "WAITAOF":
		return "ERR " + verb + " is not available over REST"
	}
	return ""
}
