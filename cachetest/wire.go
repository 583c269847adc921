package cachetest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
)

// sourceServer serves a table to other processes. A request is a line, "c" and
// a row to commit it, "v" and rows to have their versions; the answer is a line
// of versions.
type sourceServer struct {
	table    table
	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex // guards what follows
	conns  map[net.Conn]bool
	closed bool
}

func serveSource(t table) (*sourceServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sourceServer{table: t, listener: l, conns: make(map[net.Conn]bool)}
	s.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			if s.closed {
				_ = conn.Close()
			} else {
				s.conns[conn] = true
				s.wg.Go(func() { s.serve(conn) })
			}
			s.mu.Unlock()
		}
	})
	return s, nil
}

func (s *sourceServer) addr() string { return s.listener.Addr().String() }

func (s *sourceServer) close() {
	_ = s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *sourceServer) serve(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		answer, err := s.answer(strings.Fields(lines.Text()))
		if err != nil {
			return
		}
		if _, err := conn.Write(append(answer, '\n')); err != nil {
			return
		}
	}
}

func (s *sourceServer) answer(words []string) (out []byte, err error) {
	if len(words) == 0 {
		return nil, errors.New("nothing asked")
	}
	for _, word := range words[1:] {
		row, err := strconv.Atoi(word)
		if err != nil || row < 0 || row >= len(s.table) {
			return nil, fmt.Errorf("no row %q", word)
		}
		version := s.table[row].Load()
		if words[0] == "c" {
			version = s.table[row].Add(1)
		}
		out = strconv.AppendInt(append(out, ' '), version, 10)
	}
	return out, nil
}

// remoteSource is a sourceServer seen from another process. Safe for concurrent
// use.
type remoteSource struct {
	addr string

	mu   sync.Mutex // guards idle
	idle []*sourceConn
}

type sourceConn struct {
	net.Conn
	in *bufio.Reader
}

func (s *remoteSource) commit(row int) (int64, error) {
	v, err := s.ask("c", []int{row})
	if err != nil {
		return 0, err
	}
	return v[0].version, nil
}

func (s *remoteSource) versions(rows []int) ([]rowVersion, error) { return s.ask("v", rows) }

func (s *remoteSource) ask(verb string, rows []int) ([]rowVersion, error) {
	conn, err := s.conn()
	if err != nil {
		return nil, err
	}
	request := []byte(verb)
	for _, row := range rows {
		request = strconv.AppendInt(append(request, ' '), int64(row), 10)
	}
	if _, err := conn.Write(append(request, '\n')); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	line, err := conn.in.ReadString('\n')
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	s.mu.Lock()
	s.idle = append(s.idle, conn)
	s.mu.Unlock()
	words := strings.Fields(line)
	if len(words) != len(rows) {
		return nil, fmt.Errorf("cachetest: asked the source for %d rows and got %d", len(rows), len(words))
	}
	out := make([]rowVersion, len(rows))
	for i, word := range words {
		v, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return nil, err
		}
		out[i] = rowVersion{rows[i], v}
	}
	return out, nil
}

func (s *remoteSource) conn() (*sourceConn, error) {
	s.mu.Lock()
	if n := len(s.idle); n > 0 {
		conn := s.idle[n-1]
		s.idle = s.idle[:n-1]
		s.mu.Unlock()
		return conn, nil
	}
	s.mu.Unlock()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		return nil, err
	}
	return &sourceConn{conn, bufio.NewReader(conn)}, nil
}

func (s *remoteSource) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.idle {
		_ = conn.Close()
	}
}
