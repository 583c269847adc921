package store

import (
	"context"
	"time"
)

// tally is what one group of inquiries adds up to. Sums and counts can be added
// across groups, averages cannot, so averages are taken last.
type tally struct {
	status                   string
	n                        int64
	replied, replySeconds    int64
	resolved, resolveSeconds int64
	rated, stars             int64
	last                     int64
	byStatus                 map[string]int64 // of a total only
}

// tallyColumns are selected from a query grouped by status, and by anything else.
const tallyColumns = `status, count(*),
	count(first_reply_at), coalesce(sum(first_reply_at - created_at), 0),
	count(resolved_at), coalesce(sum(resolved_at - created_at), 0),
	count(rating), coalesce(sum(rating), 0), max(created_at)`

// into lists where the columns go.
func (t *tally) into() []any {
	return []any{&t.status, &t.n, &t.replied, &t.replySeconds, &t.resolved, &t.resolveSeconds, &t.rated, &t.stars, &t.last}
}

func (t *tally) add(group tally) {
	if t.byStatus == nil {
		t.byStatus = map[string]int64{}
	}
	t.byStatus[group.status] += group.n
	t.n += group.n
	t.replied, t.replySeconds = t.replied+group.replied, t.replySeconds+group.replySeconds
	t.resolved, t.resolveSeconds = t.resolved+group.resolved, t.resolveSeconds+group.resolveSeconds
	t.rated, t.stars = t.rated+group.rated, t.stars+group.stars
	t.last = max(t.last, group.last)
}

func (t *tally) summary() Summary {
	sum := Summary{
		Total:             t.n,
		ByStatus:          t.byStatus,
		FirstReplySeconds: ratio(t.replySeconds, t.replied),
		ResolutionSeconds: ratio(t.resolveSeconds, t.resolved),
		Rating:            ratio(t.stars, t.rated),
	}
	if sum.ByStatus == nil {
		sum.ByStatus = map[string]int64{}
	}
	if t.n > 0 {
		last := time.Unix(t.last, 0).UTC()
		sum.LastAt = &last
	}
	return sum
}

func ratio(sum, n int64) float64 {
	if n == 0 {
		return 0
	}
	return float64(sum) / float64(n)
}

// summarize adds up the inquiries of each of the ids in a column. Of those without any
// there is an empty Summary, too.
func (s *Store) summarize(ctx context.Context, column string, ids []int64) (map[int64]Summary, error) {
	totals := make(map[int64]tally, len(ids))
	marks, args := in(ids)
	err := s.each(ctx, `SELECT `+column+`, `+tallyColumns+` FROM inquiries WHERE `+column+` IN `+marks+` GROUP BY `+column+`, status`, args,
		func(scan func(...any) error) error {
			var id int64
			var t tally
			if err := scan(append([]any{&id}, t.into()...)...); err != nil {
				return err
			}
			total := totals[id]
			total.add(t)
			totals[id] = total
			return nil
		})
	sums := make(map[int64]Summary, len(ids))
	for _, id := range ids {
		total := totals[id]
		sums[id] = total.summary()
	}
	return sums, err
}
