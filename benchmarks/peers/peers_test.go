package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/benchmarks/internal/command"
	"github.com/tiercache/tiercache/benchmarks/peers/rivals"
	"github.com/tiercache/tiercache/internal/redistest"
)

func TestMain(m *testing.M) {
	command.Quiet()
	// sturdyc has no Close.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/viccon/sturdyc.(*Client[...]).performContinuousEvictions.func1"))
}

func TestAQuickRunOfAllGroupsGivesNoErrorOfAnyContender(t *testing.T) {
	redistest.Start(t) // skips where there is none
	dir := t.TempDir()
	figures := filepath.Join(dir, "figures.json")
	var out bytes.Buffer
	require.NoError(t, peers(t.Context(), []string{"-quick", "-json", figures, "-out", dir}, &out, io.Discard))

	raw, err := os.ReadFile(figures)
	require.NoError(t, err)
	var f file
	require.NoError(t, json.Unmarshal(raw, &f))
	require.Len(t, f.Groups, len(groups))
	seen := map[string]bool{}
	for _, r := range f.Groups {
		assert.NotEmpty(t, r.Series, r.Group)
		assert.NotEmpty(t, r.Requirements, r.Group)
		for _, s := range r.Series {
			for _, one := range s.Rows {
				assert.Zero(t, one.Wrong, "%s: %s", s.Name, one.Name)
				assert.True(t, one.Cannot || one.Wall > 0 || one.P99 > 0, "%s: %s has no figure", s.Name, one.Name)
				seen[one.Name] = true
			}
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "peers.md"))
	require.NoError(t, err)
	for _, o := range rivals.All {
		assert.True(t, seen[o.Name], o.Name)
		assert.Contains(t, out.String(), o.Name)
		assert.Contains(t, string(page), "| "+o.Name+" |")
	}
	pictures, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	require.NoError(t, err)
	assert.Len(t, pictures, len(groups)+1)
	for _, p := range pictures {
		raw, err := os.ReadFile(p)
		require.NoError(t, err)
		assert.NoError(t, wellFormed(string(raw)), p)
	}
}

func wellFormed(text string) error {
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestTheRatioIsOfWhatWasMeasuredInTheSameRound(t *testing.T) {
	t.Parallel()
	// The machine halves its speed after two rounds: the ratio stays, that of the medians would not.
	s := series{Floor: "floor", By: "cpu", Rows: []row{
		{Name: "floor", samples: []sample{{cpu: 10, wall: 1}, {cpu: 10, wall: 1}, {cpu: 20, wall: 1}, {cpu: 20, wall: 1}, {cpu: 20, wall: 1}}},
		{Name: "our", samples: []sample{{cpu: 15, wall: 3}, {cpu: 15, wall: 3}, {cpu: 30, wall: 3}, {cpu: 30, wall: 3}, {cpu: 300, wall: 3}}},
	}}
	assert.Equal(t, 1.5, s.ratio("our", "floor", byCPU))
	assert.Equal(t, 3.0, s.ratio("our", "floor", byWall))
	assert.Zero(t, s.ratio("our", "nobody", byCPU))
	s.settle()
	assert.Equal(t, 1.5, s.Rows[1].Ratio)
	assert.Equal(t, 30.0, s.Rows[1].CPU)
	assert.Equal(t, 1.0, s.Rows[0].Ratio)
}

func TestGrowthIsBesideTheMaps(t *testing.T) {
	t.Parallel()
	at := func(plain, our float64) series {
		return series{Rows: []row{{Name: plainMap, samples: []sample{{cpu: plain}}}, {Name: rivals.Tiercache, samples: []sample{{cpu: our}}}}}
	}
	assert.InDelta(t, 1.2, grown(at(10, 50), at(50, 300)), 1e-9)
	assert.Zero(t, grown(series{}, at(50, 300)))
}

func TestAMedianOfAnEvenNumberIsBetweenTheTwoInTheMiddle(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 2.5, median([]float64{4, 1, 3, 2}))
	assert.Equal(t, 3.0, median([]float64{9, 1, 3}))
	assert.Zero(t, median(nil))
}

func TestALimitMayBeMissedByAFewPercentBeforeTheProgramFails(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		requirement
		failed int
		mark   string
	}{
		{requirement{Got: 1, Limit: 1}, 0, "ok "},
		{requirement{Got: 1.04, Limit: 1}, 0, "MISSED "},
		{requirement{Got: 1.06, Limit: 1}, 1, "MISSED "},
		{requirement{Got: 12, Limit: 12, AtLeast: true}, 0, "ok "},
		{requirement{Got: 11.5, Limit: 12, AtLeast: true}, 0, "MISSED "},
		{requirement{Got: 11.3, Limit: 12, AtLeast: true}, 1, "MISSED "},
		{requirement{Got: 1}, 1, "MISSED "},
		{requirement{Got: 0}, 0, "ok "},
		{requirement{Missing: "no such call", Limit: 1}, 0, "- "},
	} {
		var out bytes.Buffer
		assert.Equal(t, c.failed, judge(&out, []requirement{c.requirement}), out.String())
		assert.True(t, strings.HasPrefix(out.String(), c.mark), out.String())
	}
}

// figures of a run that meets everything, of each group.
func good() map[string]report {
	rows := func(of map[string]sample) []row {
		var all []row
		for name, s := range of {
			all = append(all, row{Name: name, samples: []sample{s}})
		}
		return all
	}
	both := func(v float64) sample { return sample{cpu: v, wall: v, ops: 100} }
	growing := func(n int, plain, our float64) series {
		return series{Name: keysSeries(n), Rows: rows(map[string]sample{plainMap: both(plain), rivals.Tiercache: both(our)})}
	}
	return map[string]report{
		"memory": {Series: []series{{Name: "hot", Rows: rows(map[string]sample{
			rivals.Tiercache: both(10), rivals.RistrettoTTL: both(10), rivals.OtterLoading: both(11), rivals.GoRedisCache: both(120)})}}},
		"redis": {Series: []series{
			{Name: redisSeries(1), Rows: rows(map[string]sample{rivals.Tiercache: both(110), rivals.GoRedis: both(100)})},
			{Name: redisSeries(512), Rows: rows(map[string]sample{rivals.Tiercache: both(50), rivals.GoRedis: both(100)})}}},
		"bulk": {Series: []series{
			{Name: bulkRedis, Rows: rows(map[string]sample{rivals.Tiercache: both(110), rivals.GoRedis: both(100)})},
			{Name: bulkMemory, Rows: rows(map[string]sample{rivals.Tiercache: both(130), singles: both(100)})}}},
		"stampede": {Series: []series{{Name: stampedeSeries(4), Rows: []row{{Name: rivals.Tiercache, Loads: 1, Late: 9e6}}}}},
		"growth":   {Series: []series{growing(1_000, 10, 20), growing(1_000_000, 100, 260)}},
	}
}

func TestEveryRequirementCanBeMissed(t *testing.T) {
	t.Parallel()
	judged := func(name string, change func(*report)) int {
		for _, g := range groups {
			if g.name == name {
				r := good()[name]
				change(&r)
				return judge(io.Discard, g.requirements(r))
			}
		}
		return -1
	}
	for _, g := range groups {
		assert.Zero(t, judged(g.name, func(*report) {}), g.name)
	}
	cpu := func(i int, name string, v float64) func(*report) {
		return func(r *report) { s := &r.Series[i].row(name).samples[0]; s.cpu, s.wall = v, v }
	}
	our := func(i int, f func(*row)) func(*report) {
		return func(r *report) { f(r.Series[i].row(rivals.Tiercache)) }
	}
	for _, c := range []struct {
		group, miss string
		change      func(*report)
	}{
		{"memory", "slower than ristretto", cpu(0, rivals.RistrettoTTL, 9)},
		{"memory", "slower than otter", cpu(0, rivals.OtterLoading, 9)},
		{"memory", "11 times go-redis/cache", cpu(0, rivals.GoRedisCache, 110)},
		{"memory", "an allocation", our(0, func(r *row) { r.Allocs = 1 })},
		{"memory", "bytes", our(0, func(r *row) { r.Bytes = 16 })},
		{"memory", "a wrong answer", our(0, func(r *row) { r.Wrong = 1 })},
		{"redis", "slow alone", cpu(0, rivals.Tiercache, 117)},
		{"redis", "slow with many", cpu(1, rivals.Tiercache, 53)},
		{"redis", "an answer that is not from Redis", our(1, func(r *row) { r.Strays = 1 })},
		{"bulk", "slow from Redis", cpu(0, rivals.Tiercache, 117)},
		{"bulk", "slow from memory", cpu(1, rivals.Tiercache, 138)},
		{"bulk", "a wrong answer", our(1, func(r *row) { r.Wrong = 1 })},
		{"stampede", "two loads", our(0, func(r *row) { r.Loads = 2 })},
		{"stampede", "late", our(0, func(r *row) { r.Late = 11e6 })},
		{"stampede", "a wrong answer", our(0, func(r *row) { r.Wrong = 1 })},
		{"growth", "1.5 times a map's", cpu(1, rivals.Tiercache, 300)},
		{"growth", "an answer from elsewhere", our(1, func(r *row) { r.Strays = 1 })},
	} {
		assert.Equal(t, 1, judged(c.group, c.change), "%s: %s", c.group, c.miss)
	}
}

func TestWhatWasNotMeasuredIsSaidAndNotMissed(t *testing.T) {
	t.Parallel()
	for _, g := range groups {
		var out bytes.Buffer
		assert.Zero(t, judge(&out, g.requirements(report{})), g.name)
		assert.NotContains(t, out.String(), "ok ", g.name)
	}
	s := series{Name: "s", Floor: "floor", Rows: []row{{Name: "floor"}}}
	s.without(rivals.Tiercache)
	for _, q := range (report{Series: []series{s}}).clean(rivals.Tiercache) {
		assert.NotEmpty(t, q.Missing)
	}
	assert.Equal(t, []string{"-", "-", "-", "-", "-", "-", "-"}, s.cells(s.Rows[1]))
}

func TestAPictureEscapesWhatItShowsAndSaysItInWords(t *testing.T) {
	t.Parallel()
	c := chart{title: "<a> & \"b\"", desc: "Shorter is better.", panels: []panel{{title: "x < y", bars: []bar{
		{name: "R&D", value: 10, label: "10 ns", ours: true}, {name: "none", value: 0, label: "0 ns"}}}}}
	text := c.svg("foot </svg>")
	require.NoError(t, wellFormed(text))
	assert.Contains(t, text, "&lt;a&gt; &amp; &#34;b&#34;</title>")
	assert.Contains(t, text, "Shorter is better. x &lt; y: R&amp;D 10 ns, none 0 ns.</desc>")
	assert.NotContains(t, text, "foot </svg>")
	assert.Contains(t, text, `width="720"`)
	assert.NotContains(t, text, "NaN")
	assert.NoError(t, wellFormed(chart{panels: []panel{{bars: []bar{{value: 0}}}}}.svg("")))
}

func TestAContenderThatGetsAnotherProfileIsWrong(t *testing.T) {
	t.Parallel()
	all := items(1, 4)
	broken := errors.New("broken")
	for name, get := range map[string]func(context.Context, string) (int64, error){
		"another's": func(context.Context, string) (int64, error) { return 99, nil },
		"an error":  func(context.Context, string) (int64, error) { return 0, broken },
	} {
		for _, run := range []func(int, int) (int64, error){gets(t.Context(), get, all, make([]uint32, 2)), apart(t.Context(), get, all, 2)} {
			wrong, first := run(1, 6)
			assert.EqualValues(t, 6, wrong, name)
			assert.Error(t, first, name)
		}
	}
	c := contender{workers: 3, run: func(int, int) (int64, error) { return 2, broken }}
	_, wrong, first := c.drive(9)
	assert.EqualValues(t, 6, wrong)
	assert.ErrorIs(t, first, broken)
}

func TestEachOfAllContendersHasARoundsWindow(t *testing.T) {
	t.Parallel()
	b := &bench{rounds: 3, window: time.Millisecond}
	strays := int64(0)
	s, err := b.measure(t.Context(), series{Floor: "a", By: "wall"}, []contender{
		{name: "a", workers: 1, run: func(_, n int) (int64, error) { spin(n); return 0, nil }},
		{name: "b", workers: 2, run: func(_, n int) (int64, error) { spin(n); return 0, nil }, strays: func() int64 { strays++; return strays }},
	})
	require.NoError(t, err)
	for _, r := range s.Rows {
		assert.Len(t, r.samples, 3)
		assert.Positive(t, r.Ratio)
	}
	assert.EqualValues(t, 3, s.Rows[1].Strays)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.measure(ctx, series{}, []contender{{workers: 1, run: func(_, n int) (int64, error) { spin(n); return 0, nil }}})
	assert.ErrorIs(t, err, context.Canceled)
}

var spun int

func spin(n int) {
	x := 1
	for range n * 100 {
		x = x*31 + 7
	}
	if x == 0 {
		spun++
	}
}

func TestBadFlagsAreErrors(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-group", "none"}, {"-rounds", "0"}, {"-window", "0s"}, {"-window", "1m"}, {"more"}} {
		assert.Error(t, peers(context.Background(), args, io.Discard, io.Discard), args)
	}
	c, err := parse([]string{"-rounds", "4"}, io.Discard)
	require.NoError(t, err)
	assert.False(t, c.judged())
}
