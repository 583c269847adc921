//go:build !linux

package cachetest

import (
	"errors"
	"os"
	"syscall"
)

func rawNow() int64 { panic("bug: there is no raw clock here") }

func mapCells(*os.File, int) ([]int64, func(), error) { return nil, nil, errors.ErrUnsupported }

func stopProcess(*os.Process) error       { return errors.ErrUnsupported }
func continueProcess(*os.Process) error   { return errors.ErrUnsupported }
func dieWithParent() *syscall.SysProcAttr { return nil }

const processesSupported = false
