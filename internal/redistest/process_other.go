//go:build !linux

package redistest

import (
	"errors"
	"net"
	"syscall"
)

func dieWithParent() *syscall.SysProcAttr { return nil }

func pause(int) error  { return errors.ErrUnsupported }
func resume(int) error { return errors.ErrUnsupported }

// reservePort cannot keep a port without listening on it here.
func reservePort() (port int, release func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	return l.Addr().(*net.TCPAddr).Port, func() {}, l.Close()
}
