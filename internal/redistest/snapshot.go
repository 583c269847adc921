package redistest

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

const (
	// dumpFile is Redis's own, which SAVE writes and a start reads.
	dumpFile = "dump.rdb"
	// snapshotFile is out of its reach: a later SAVE, or the synchronisation of a
	// replica, writes the other.
	snapshotFile = "snapshot.rdb"
)

// Snapshot saves what the server holds now for RestartFromSnapshot. A second one
// replaces the first. It is what Restart reads too, until the next SAVE.
// A server with an append-only file or another dbfilename fails the test: it
// would start from that.
func (s *Server) Snapshot() {
	s.t.Helper()
	s.must("snapshot", s.readsDump())
	s.must("snapshot", s.admin().Save(s.t.Context()).Err())
	s.must("snapshot", copyFile(filepath.Join(s.dir, snapshotFile), filepath.Join(s.dir, dumpFile)))
	s.saved = true
}

// RestartFromSnapshot kills the process and starts it with what it held when
// Snapshot was called, whatever was written or saved since. It can be called
// again.
func (s *Server) RestartFromSnapshot() {
	s.t.Helper()
	if !s.saved {
		s.t.Fatalf("redistest: restart from a snapshot at %s: none was taken", s.Addr())
	}
	s.Kill()
	s.must("restart from a snapshot", copyFile(filepath.Join(s.dir, dumpFile), filepath.Join(s.dir, snapshotFile)))
	s.Restart()
}

// RestartEmpty kills the process and starts it without data, whatever was saved.
// What Snapshot took is kept for RestartFromSnapshot. A node stays in its
// cluster, a replica stays one, and its master fills it again.
func (s *Server) RestartEmpty() {
	s.t.Helper()
	s.Kill()
	for _, name := range []string{dumpFile, "appendonlydir", "appendonly.aof"} {
		s.must("restart empty", os.RemoveAll(filepath.Join(s.dir, name)))
	}
	s.Restart()
}

func (s *Server) readsDump() error {
	for name, want := range map[string]string{"appendonly": "no", "dbfilename": dumpFile} {
		got, err := s.admin().ConfigGet(s.t.Context(), name).Result()
		if err != nil {
			return err
		}
		if got[name] != want {
			return errors.New(name + " is " + got[name] + ", not " + want)
		}
	}
	return nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
