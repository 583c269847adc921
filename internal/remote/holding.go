package remote

import (
	"context"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// holding is what masters say of themselves. Each is asked for its
// own part: of the others it may know an older state.
type holding struct {
	what string // which life of each has which slots
	open bool   // a slot is on its way from one to another, or may be
	away bool   // to one that is not among them

	texts []string // CLUSTER NODES as each says it
}

func (r *Remote) hold(ctx context.Context, masters []*master) (holding, error) {
	texts := make([]string, len(masters))
	var unknown bool
	if r.plan.cluster != nil {
		at := make(map[*master]int, len(masters))
		for i, m := range masters {
			at[m] = i
		}
		err := parallel(masters, func(m *master) error {
			return m.do(ctx, m.budget.write, func(ctx context.Context, l *life) (err error) {
				texts[at[m]], err = l.rdb.ClusterNodes(ctx).Result()
				return err
			})
		})
		switch {
		case redis.HasErrorPrefix(err, "NOPERM"):
			unknown = true
		case strings.Contains(answer(err), "cluster support disabled"), strings.Contains(answer(err), "unknown command"):
			// Something else makes a cluster of these servers: no slot has a way.
		case err != nil:
			return holding{}, err
		}
	}
	h := heldBy(texts)
	h.open = h.open || unknown
	for _, m := range masters {
		s := m.stamp()
		h.what += " " + string(s[:])
	}
	return h, nil
}

// heldBy reads the answers to CLUSTER NODES: of each the line of who gave it.
//
//	id addr flags master ping pong epoch link slot…
//
// where a slot is one or a range, or open: [slot->-id] goes to id, [slot-<-id]
// comes from there. The epoch tells a slot that went and came back: who gets one
// raises its own above all others'.
func heldBy(texts []string) holding {
	h := holding{texts: texts}
	ids := make(map[string]bool)
	var elsewhere []string
	for _, text := range texts {
		f := myself(text)
		if f == nil {
			continue
		}
		ids[f[0]] = true
		h.what += f[0] + " " + f[6]
		for _, slot := range f[8:] {
			if !strings.HasPrefix(slot, "[") {
				h.what += " " + slot
				continue
			}
			h.open = true
			if _, id, ok := strings.Cut(strings.TrimSuffix(slot, "]"), "-"); ok && len(id) > 2 {
				elsewhere = append(elsewhere, id[2:])
			}
		}
		h.what += "\n"
	}
	for _, id := range elsewhere {
		h.away = h.away || !ids[id]
	}
	return h
}

// myself is the line of who gave the text, nil if there is none.
func myself(text string) []string {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 8 && strings.Contains(f[2], "myself") {
			return f
		}
	}
	return nil
}

// claims tells whether who gave the text says that it has the slots that t gives
// to m, and no others.
func (t *table) claims(m *master, text string) bool {
	f := myself(text)
	if f == nil {
		return false
	}
	var has [slots]bool
	for _, of := range f[8:] {
		from, to, isRange := strings.Cut(of, "-")
		if !isRange {
			to = from
		}
		a, err := strconv.Atoi(from)
		z, err2 := strconv.Atoi(to)
		if err != nil || err2 != nil || a < 0 || z >= slots {
			return false // an open one too
		}
		for s := a; s <= z; s++ {
			has[s] = true
		}
	}
	for s, owner := range t.owner {
		if has[s] != (owner == m) {
			return false
		}
	}
	return true
}
