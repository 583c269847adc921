// Package redistest starts real redis-server processes for tests: a server, its
// replicas, a Sentinel set, a cluster, and a proxy that breaks connections.
//
// A test that needs one is skipped, with the reason, where redis-server is not
// on PATH; with TIERCACHE_REQUIRE_REDIS=1 in the environment it fails instead,
// with TIERCACHE_REQUIRE_REDIS=0 it is skipped in any case.
// A server listens on a free loopback port, keeps its files in the test's
// temporary directory, writes none unless told to, and is killed when the test
// ends. It does not outlive the test binary, however that ends (on Linux).
//
// The functions fail the test on any trouble, so they are called from its own
// goroutine. What they return is not safe for concurrent use, except Addr and a
// Proxy.
package redistest
