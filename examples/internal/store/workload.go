package store

import (
	"context"
	"fmt"
	"time"
)

// Ranges are the time ranges Workload knows, by name.
var Ranges = map[string]time.Duration{
	"7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour, "90d": 90 * 24 * time.Hour, "365d": 365 * 24 * time.Hour,
}

const busiest = 20

// Workload adds up the inquiries received in a range that ends now. The name
// must be a key of Ranges.
func (s *Store) Workload(ctx context.Context, name string) (Workload, error) {
	length, ok := Ranges[name]
	if !ok {
		return Workload{}, fmt.Errorf("store: workload: no range %q", name)
	}
	w := Workload{Range: name, From: time.Now().UTC().Add(-length).Truncate(time.Second),
		Agents: []AgentLoad{}, Days: []DayLoad{}, Sections: []CategoryCount{}}
	from := w.From.Unix()
	if err := s.each(ctx, `
		SELECT agent_id, count(*), sum(resolved_at IS NULL), coalesce(avg(resolved_at - created_at), 0)
		FROM inquiries WHERE created_at >= ? GROUP BY agent_id ORDER BY 2 DESC, 1 LIMIT ?`, []any{from, busiest},
		func(scan func(...any) error) error {
			var a AgentLoad
			defer func() { w.Agents = append(w.Agents, a) }()
			return scan(&a.AgentID, &a.Total, &a.Open, &a.ResolutionSeconds)
		}); err != nil {
		return Workload{}, err
	}
	if err := s.daily(ctx, from, &w); err != nil {
		return Workload{}, err
	}
	if err := s.each(ctx, `
		SELECT category, priority, count(*), sum(resolved_at IS NULL)
		FROM inquiries WHERE created_at >= ? GROUP BY category, priority ORDER BY 1, 2`, []any{from},
		func(scan func(...any) error) error {
			var c CategoryCount
			defer func() { w.Sections = append(w.Sections, c) }()
			return scan(&c.Category, &c.Priority, &c.Total, &c.Open)
		}); err != nil {
		return Workload{}, err
	}
	return w, nil
}

// daily fills the days and the totals from one pass over the range.
func (s *Store) daily(ctx context.Context, from int64, w *Workload) error {
	var total tally
	err := s.each(ctx, `SELECT created_at / 86400, `+tallyColumns+`
		FROM inquiries WHERE created_at >= ? GROUP BY 1, status ORDER BY 1`, []any{from},
		func(scan func(...any) error) error {
			var day int64
			var t tally
			if err := scan(append([]any{&day}, t.into()...)...); err != nil {
				return err
			}
			total.add(t)
			name := time.Unix(day*86400, 0).UTC().Format(time.DateOnly)
			if n := len(w.Days); n == 0 || w.Days[n-1].Day != name {
				w.Days = append(w.Days, DayLoad{Day: name})
			}
			d := &w.Days[len(w.Days)-1]
			d.Received += t.n
			d.Resolved += t.resolved
			return nil
		})
	w.Totals = total.summary()
	return err
}
