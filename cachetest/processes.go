package cachetest

import "testing"

// Processes runs nodes in processes of their own.
type Processes struct{}

func runProcesses(testing.TB, ConsistencyConfig) Result { panic("later") }
