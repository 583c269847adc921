// Package cacheotel shows the statistics of tiercache to OpenTelemetry, and its loads
// as spans:
//
//	unregister, err := cacheotel.Register(tiers, meterProvider)
//
// Everything is observed from one Tiers.Stats at each collection; a hit costs nothing
// for it. README.md has the list of instruments. Under Prometheus's names they are those
// of the package cacheprom, so its dashboard and its alerts serve both.
//
// # Attributes
//
// The attribute cache is the name of a cache, master the address of a Redis master. All
// others have few and fixed values. No key is ever shown. A name that is not UTF-8, or
// that begins with a quote, is shown as Go quotes it.
//
// # Latencies
//
// OpenTelemetry has no observable histogram, so latencies do not come with Register but
// by a Producer, which a reader is given when it is made:
//
//	metric.NewPeriodicReader(exporter, metric.WithProducer(cacheotel.Latencies(tiers)))
//
// # Spans
//
// Traced wraps a loader: a span is made when a load runs, and none on a hit. For spans of
// what is asked of Redis, add the hooks of redisotel in tiercache.Config.Instrument: those
// of your own client stay with it, since the library opens connections of its own.
//
// It is a module of its own, so that only who uses OpenTelemetry depends on it.
package cacheotel
