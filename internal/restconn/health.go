package restconn

import (
	"errors"
	"syscall"
)

// go-redis looks whether an idle connection is sound before it uses it again, if
// it can look at its file descriptor. There is none here, but the question is the
// right moment to say that the connection is broken, or to be replaced.

// SyscallConn fails if the connection should not be used again.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if err := c.usable(); err != nil {
		return nil, err
	}
	return sound{}, nil
}

// sound is the descriptor of a connection that has none.
type sound struct{}

var errNoDescriptor = errors.New("restconn: a connection over REST has no file descriptor")

func (sound) Control(func(fd uintptr)) error    { return errNoDescriptor }
func (sound) Read(func(fd uintptr) bool) error  { return nil }
func (sound) Write(func(fd uintptr) bool) error { return errNoDescriptor }
