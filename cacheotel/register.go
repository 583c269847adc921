package cacheotel

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/tiercache/tiercache"
)

const scope = "github.com/tiercache/tiercache/cacheotel"

// Register has provider's readers observe the statistics of tiers, until unregister is
// called. Tiers may be closed before: the last counts are observed. Two Tiers of one
// process need providers whose resources tell them apart. Safe for concurrent use.
func Register(tiers *tiercache.Tiers, provider metric.MeterProvider) (unregister func() error, err error) {
	switch {
	case tiers == nil:
		return nil, errors.New("cacheotel: Register needs Tiers, not nil")
	case provider == nil:
		return nil, errors.New("cacheotel: Register needs a MeterProvider, not nil")
	}
	return register(tiers.Stats, provider)
}

func register(stats func() tiercache.Stats, provider metric.MeterProvider) (func() error, error) {
	m := maker{meter: provider.Meter(scope)}
	ofTiers, ofCaches, ofMasters := made(&m, ofTiers), made(&m, ofCaches), made(&m, ofMasters)
	if m.err != nil {
		return nil, fmt.Errorf("cacheotel: %w", m.err)
	}
	r, err := m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := stats()
		observe(o, ofTiers, &s)
		for i := range s.Caches {
			observe(o, ofCaches, &s.Caches[i], attribute.String("cache", label(s.Caches[i].Name)))
		}
		for i := range s.Masters {
			observe(o, ofMasters, &s.Masters[i], attribute.String("master", label(s.Masters[i].Addr)))
		}
		return nil
	}, m.all...)
	if err != nil {
		return nil, fmt.Errorf("cacheotel: %w", err)
	}
	return r.Unregister, nil
}

// maker makes instruments until one cannot be made.
type maker struct {
	meter metric.Meter
	all   []metric.Observable
	err   error
}

// observed is an instrument of a meter: how a value reaches it, and what they are.
type observed[S any] struct {
	put    func(metric.Observer, float64, metric.ObserveOption)
	values func(*S, sink)
}

func made[S any](m *maker, all []instrument[S]) (out []observed[S]) {
	for _, i := range all {
		out = append(out, observed[S]{m.one(i.kind, i.name, i.unit, i.help), i.values})
	}
	return out
}

func (m *maker) one(kind kind, name, unit, help string) func(metric.Observer, float64, metric.ObserveOption) {
	d, u := metric.WithDescription(help), metric.WithUnit(unit)
	if kind == gauge { // the one kind that has fractions
		i, err := m.meter.Float64ObservableGauge(name, d, u)
		m.note(i, err)
		return func(o metric.Observer, v float64, whose metric.ObserveOption) { o.ObserveFloat64(i, v, whose) }
	}
	var i metric.Int64Observable
	var err error
	if kind == counter {
		i, err = m.meter.Int64ObservableCounter(name, d, u)
	} else {
		i, err = m.meter.Int64ObservableUpDownCounter(name, d, u)
	}
	m.note(i, err)
	return func(o metric.Observer, v float64, whose metric.ObserveOption) { o.ObserveInt64(i, int64(v), whose) }
}

func (m *maker) note(i metric.Observable, err error) {
	m.all = append(m.all, i)
	m.err = errors.Join(m.err, err)
}

func observe[S any](o metric.Observer, all []observed[S], s *S, whose ...attribute.KeyValue) {
	for _, i := range all {
		i.values(s, func(value float64, enumerated ...attribute.KeyValue) {
			i.put(o, value, metric.WithAttributes(append(whose[:len(whose):len(whose)], enumerated...)...))
		})
	}
}

// label is name as the value of an attribute, which has to be UTF-8. Different names
// stay different: what is quoted begins with a quote, and nothing else does.
func label(name string) string {
	if utf8.ValidString(name) && (name == "" || name[0] != '"') {
		return name
	}
	return strconv.Quote(name)
}
