package restconn

import (
	"bytes"
	"errors"
	"strings"
)

// command is a verb and its arguments, as the client wrote them.
type command [][]byte

func (c command) verb() string { return strings.ToUpper(string(c[0])) }

// arg is the i-th word in upper case, "" if there is none.
func (c command) arg(i int) string {
	if i >= len(c) {
		return ""
	}
	return strings.ToUpper(string(c[i]))
}

var errNotRESP = errors.New("restconn: the client wrote something that is no RESP command")

// Limits of Redis itself (proto-max-bulk-len, and the longest multibulk).
const (
	mostArgs   = 1 << 20
	longestArg = 512 << 20
)

// cutCommands takes the complete commands off the front of b. They point into b.
func cutCommands(b []byte) (cmds []command, rest []byte, err error) {
	for len(b) > 0 {
		cmd, after, err := cutCommand(b)
		if err != nil {
			return nil, nil, err
		}
		if after == nil {
			break
		}
		if len(cmd) > 0 {
			cmds = append(cmds, cmd)
		}
		b = after
	}
	return cmds, b, nil
}

// cutCommand returns a nil rest if b holds no complete command.
func cutCommand(b []byte) (cmd command, rest []byte, err error) {
	n, b, err := cutLength(b, '*', mostArgs)
	if b == nil {
		return nil, nil, err
	}
	for range n { // no memory for what is only announced
		size, after, err := cutLength(b, '$', longestArg)
		if after == nil || len(after) < size+2 {
			return nil, nil, err
		}
		if after[size] != '\r' || after[size+1] != '\n' {
			return nil, nil, errNotRESP
		}
		cmd = append(cmd, after[:size:size])
		b = after[size+2:]
	}
	return cmd, b, nil
}

// cutLength reads a line like "$12\r\n". A nil rest without an error means that
// the line is not complete.
func cutLength(b []byte, mark byte, most int) (n int, rest []byte, err error) {
	const longest = len("*1234567890\r\n")
	if len(b) == 0 {
		return 0, nil, nil
	}
	end := bytes.IndexByte(b[:min(len(b), longest)], '\n')
	switch {
	case b[0] != mark, end < 0 && len(b) >= longest:
		return 0, nil, errNotRESP
	case end < 0:
		return 0, nil, nil
	case end < 3, b[end-1] != '\r':
		return 0, nil, errNotRESP
	}
	for _, c := range b[1 : end-1] {
		if c < '0' || c > '9' {
			return 0, nil, errNotRESP
		}
		n = n*10 + int(c-'0')
	}
	if n > most {
		return 0, nil, errNotRESP
	}
	return n, b[end+1:], nil
}
