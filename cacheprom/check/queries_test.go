package check

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/tiercache/tiercache"
	"github.com/tiercache/tiercache/cacheotel"
	"github.com/tiercache/tiercache/cacheprom"
	"github.com/tiercache/tiercache/internal/redistest"
)

// values of each label of each series that a scrape sees.
type series map[string]map[string][]string

// gathered are the series of a registry; of histograms those that queries name.
func gathered(t *testing.T, r prometheus.Gatherer) series {
	t.Helper()
	all := make(series)
	families, err := r.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "tiercache_") {
			continue
		}
		values := make(map[string][]string)
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !strings.HasPrefix(l.GetName(), "otel_scope_") {
					values[l.GetName()] = append(values[l.GetName()], l.GetValue())
				}
			}
		}
		if f.GetMetric()[0].GetHistogram() == nil {
			all[f.GetName()] = values
			continue
		}
		all[f.GetName()+"_sum"], all[f.GetName()+"_count"] = values, values
		all[f.GetName()+"_bucket"] = map[string][]string{"cache": values["cache"], "le": nil}
	}
	return all
}

// used are Tiers with everything that can be shown.
func used(t *testing.T) *tiercache.Tiers {
	t.Helper()
	server := redistest.Start(t)
	tiers, err := tiercache.Open(tiercache.Config{Redis: server.Client(), Prefix: "shop:"})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, tiers.Close()) })
	c, err := tiercache.New(tiers, tiercache.Options[int]{Name: "users", TTL: 1 << 40})
	require.NoError(t, err)
	_, err = c.GetOrLoad(context.Background(), "user:1", func(context.Context) (int, error) { return 1, nil })
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		m := tiers.Stats().Masters
		return len(m) == 1 && m[0].Ping > 0 && m[0].Lag > 0
	}, 20e9, 5e6)
	return tiers
}

func byProm(t *testing.T, tiers *tiercache.Tiers) series {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	require.NoError(t, r.Register(cacheprom.New(tiers)))
	return gathered(t, r)
}

func byOtel(t *testing.T, tiers *tiercache.Tiers) series {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(r), exporter.WithProducer(cacheotel.Latencies(tiers)))
	require.NoError(t, err)
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	t.Cleanup(func() { assert.NoError(t, provider.Shutdown(context.Background())) })
	unregister, err := cacheotel.Register(tiers, provider)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, unregister()) })
	return gathered(t, r)
}

func TestBothModulesShowTheSame(t *testing.T) {
	t.Parallel()
	tiers := used(t)
	prom, otel := byProm(t, tiers), byOtel(t, tiers)
	require.Greater(t, len(prom), 40)
	assert.Equal(t, shape(prom), shape(otel))
}

// shape is what each series has of labels, with the values of enumerations.
func shape(all series) map[string]map[string][]string {
	out := make(map[string]map[string][]string)
	for name, byLabel := range all {
		out[name] = make(map[string][]string)
		for label, values := range byLabel {
			values = slices.Clone(values)
			slices.Sort(values)
			out[name][label] = slices.Compact(values)
		}
	}
	return out
}

// expressions of the dashboard and of the alerts, by where they are.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, r := range alerts(t) {
		all["alert "+r.Alert] = r.Expr
	}
	text, err := os.ReadFile("../grafana/dashboard.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ RefID, Expr string }
		}
		Templating struct {
			List []struct {
				Name, Type string
				Query      any
			}
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	for i, p := range dashboard.Panels {
		require.NotEmpty(t, p.Targets, p.Title)
		for _, to := range p.Targets {
			all["panel "+p.Title+" "+to.RefID] = to.Expr
		}
		for _, q := range dashboard.Panels[:i] {
			a, b := p.GridPos, q.GridPos
			assert.False(t, a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H, "%s lies on %s", p.Title, q.Title)
		}
		assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
	}
	for _, v := range dashboard.Templating.List {
		if q, ok := v.Query.(map[string]any); ok {
			selector := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(q["query"].(string))
			require.NotNil(t, selector, v.Name)
			all["variable "+v.Name] = "count by (" + selector[2] + ") (" + selector[1] + ")"
		}
	}
	return all
}

func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile("../alerts.yml", false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	require.Empty(t, errs)
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	require.NotEmpty(t, all)
	return all
}

// target are the labels that a scrape adds.
var target = []string{"job", "instance"}

func TestEveryQueryIsOfSeriesThatAreShownAndOfTheirLabels(t *testing.T) {
	t.Parallel()
	tiers := used(t)
	for who, shown := range map[string]series{"cacheprom": byProm(t, tiers), "cacheotel": byOtel(t, tiers)} {
		for where, text := range expressions(t) {
			assert.Empty(t, faults(t, shown, text), "%s, %s: %s", who, where, text)
		}
	}
}

func TestAQueryOfWhatIsNotShownIsFound(t *testing.T) {
	t.Parallel()
	shown := byProm(t, used(t))
	for text, fault := range map[string]string{
		`rate(tiercache_hit_total[5m])`:                                  "tiercache_hit_total is not shown",
		`tiercache_loads_total{tier="memory"}`:                           "tiercache_loads_total has no label tier",
		`tiercache_hits_total{tier="disk"}`:                              "tiercache_hits_total has no tier disk",
		`tiercache_redis_circuit_state{state=~"broken|gone"}`:            "tiercache_redis_circuit_state has no state broken|gone",
		`sum by (key) (tiercache_loads_total)`:                           "nothing has the label key",
		`rate(tiercache_load_duration_seconds[5m])`:                      "tiercache_load_duration_seconds is not shown",
		`sum by (master) (tiercache_loads_total) + up`:                   "nothing has the label master",
		`tiercache_loads_total / on (tier) group_left tiercache_x_total`: "nothing has the label tier",
	} {
		assert.Contains(t, faults(t, shown, text), fault, text)
	}
}

// faults of a query of what is shown.
func faults(t *testing.T, shown series, text string) (out []string) {
	t.Helper()
	for variable, value := range map[string]string{"$__rate_interval": "5m", "$job": ".*", "$instance": ".*", "$cache": ".*"} {
		text = strings.ReplaceAll(text, variable, value)
	}
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	require.NoError(t, err, text)
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			has, ok := shown[n.Name]
			if !ok {
				out = append(out, n.Name+" is not shown")
				return nil
			}
			for _, m := range n.LabelMatchers {
				values, ok := has[m.Name]
				switch {
				case m.Name == model.MetricNameLabel || slices.Contains(target, m.Name):
				case !ok:
					out = append(out, n.Name+" has no label "+m.Name)
				case !slices.ContainsFunc(values, m.Matches):
					out = append(out, n.Name+" has no "+m.Name+" "+m.Value)
				}
			}
		case *parser.AggregateExpr:
			out = append(out, unknown(shown, n.Expr, n.Grouping)...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				out = append(out, unknown(shown, n, n.VectorMatching.MatchingLabels)...)
			}
		}
		return nil
	})
	return out
}

// unknown are the labels that no series within has.
func unknown(shown series, within parser.Node, names []string) (out []string) {
	for _, name := range names {
		found := slices.Contains(target, name)
		parser.Inspect(within, func(n parser.Node, _ []parser.Node) error {
			if s, ok := n.(*parser.VectorSelector); ok {
				_, has := shown[s.Name][name]
				found = found || has
			}
			return nil
		})
		if !found {
			out = append(out, "nothing has the label "+name)
		}
	}
	return out
}
