package store

import (
	"context"
	"fmt"
	"time"
)

// Ranges are the time ranges Workload knows, in days, by name.
var Ranges = map[string]int{"7d": 7, "30d": 30, "90d": 90, "365d": 365}

const (
	busiest = 20
	day     = 86_400 // seconds
)

// Workload adds up the inquiries received in a range that ends today. The name
// must be a key of Ranges.
func (s *Store) Workload(ctx context.Context, name string) (Workload, error) {
	days, ok := Ranges[name]
	if !ok {
		return Workload{}, fmt.Errorf("store: workload: no range %q", name)
	}
	first := time.Now().Unix()/day - int64(days-1)
	w := Workload{Range: name, From: time.Unix(first*day, 0).UTC(), Agents: []AgentLoad{}, Days: []DayLoad{}, Sections: []CategoryCount{}}
	if err := s.received(ctx, first, &w); err != nil {
		return Workload{}, err
	}
	if err := s.busiest(ctx, first, &w); err != nil {
		return Workload{}, err
	}
	return w, nil
}

// received fills the days, the sections and the totals from one pass over the
// range, grouped as finely as any of the three needs.
func (s *Store) received(ctx context.Context, first int64, w *Workload) error {
	var total tally
	section := map[[2]string]*CategoryCount{}
	for _, category := range Categories {
		for _, priority := range Priorities {
			w.Sections = append(w.Sections, CategoryCount{Category: category, Priority: priority})
		}
	}
	for i := range w.Sections {
		c := &w.Sections[i]
		section[[2]string{c.Category, c.Priority}] = c
	}
	err := s.each(ctx, `SELECT created_day, category, priority, `+tallyColumns+`
		FROM inquiries WHERE created_day >= ?
		GROUP BY created_day, category, priority, status ORDER BY created_day`, []any{first},
		func(scan func(...any) error) error {
			var since1970 int64
			var key [2]string
			var t tally
			if err := scan(append([]any{&since1970, &key[0], &key[1]}, t.into()...)...); err != nil {
				return err
			}
			total.add(t)
			if c := section[key]; c != nil {
				c.Total += t.n
				c.Open += t.n - t.resolved
			}
			name := time.Unix(since1970*day, 0).UTC().Format(time.DateOnly)
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

// busiest fills the agents with the most inquiries.
func (s *Store) busiest(ctx context.Context, first int64, w *Workload) error {
	return s.each(ctx, `
		SELECT agent_id, count(*), sum(resolved_at IS NULL), coalesce(avg(resolved_at - created_at), 0)
		FROM inquiries WHERE created_at >= ? GROUP BY agent_id ORDER BY 2 DESC, 1 LIMIT ?`, []any{first * day, busiest},
		func(scan func(...any) error) error {
			var a AgentLoad
			if err := scan(&a.AgentID, &a.Total, &a.Open, &a.ResolutionSeconds); err != nil {
				return err
			}
			w.Agents = append(w.Agents, a)
			return nil
		})
}
