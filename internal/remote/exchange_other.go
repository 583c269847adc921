//go:build !unix

package remote

import (
	"net"
	"syscall"
)

// exchange is for systems whose descriptors are read as those of Unix are.
type exchange struct{}

func exchanges(net.Conn) bool { return false }

func (*exchange) run(c net.Conn, _ syscall.RawConn, out, in []byte) (int, error) {
	if _, err := c.Write(out); err != nil {
		return 0, err
	}
	return c.Read(in)
}
