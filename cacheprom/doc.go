// Package cacheprom shows the statistics of tiercache to Prometheus:
//
//	registry.MustRegister(cacheprom.New(tiers))
//
// Everything is made from one Tiers.Stats at each scrape; a hit costs nothing for it.
// README.md has the list of metrics. Beside it are a dashboard for Grafana, in
// grafana/dashboard.json, and alert rules, in alerts.yml.
//
// # Labels
//
// The label cache is the name of a cache, master the address of a Redis master. All
// others have few and fixed values. No key is ever shown. A name that is not UTF-8, or
// that begins with a quote, is shown as Go quotes it.
//
// # Latencies
//
// They are histograms, whose quantiles can be taken over any interval and any number of
// processes. Their bounds are powers of two nanoseconds, as the library counts, so no
// bucket is an estimate. What memory answers is timed by sampling: the count of
// tiercache_memory_hit_duration_seconds is about one 64th of the hits.
//
// # Several Tiers
//
// Two Tiers of one process need a label that tells them apart:
//
//	prometheus.WrapRegistererWith(prometheus.Labels{"tiers": "sessions"}, registry).MustRegister(cacheprom.New(sessions))
//
// It is a module of its own, so that only who uses Prometheus depends on it.
package cacheprom
