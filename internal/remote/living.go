package remote

import (
	"context"
	"fmt"
)

// Identity names the life of key's master, and since when it has the slots that
// it has; "" if nobody is known to own key, or the server does not tell its lives
// apart.
func (r *Remote) Identity(key string) string {
	t := r.routes.table.Load()
	if m := t.master(key); m != nil {
		return t.identity(m)
	}
	return ""
}

func (t *table) identity(m *master) string {
	is := m.life.Load().self.Load()
	if is == nil || !is.known {
		return ""
	}
	return fmt.Sprint(m.addr, " ", string(is.stamp[:]), " ", t.since[m])
}

// sweepLiving is for a cluster some of whose masters are out of use: it scans the
// others, and puts the identities of those that are done into s.Done. Who is in
// there is not scanned again, nor is one that could not be put there, or each
// attempt of an outage would scan it.
//
// Nothing that stood at a master when the scan began is believed there while it
// has the same identity:
//
//   - All keys of its slots are there: it has just the slots that the table gives
//     it, before the scan and after, and none is on its way. None went and came
//     back in between (see heldBy).
//   - A slot that it gets later may bring what it wrote itself, in an earlier
//     tenure, with its stamp. But nobody reads the slot's keys there before a table
//     says so, and by that table it has another identity.
//   - A slot that goes and comes back behind the table's back was scanned here
//     before.
//   - A restart, or a failover to a server at the same address, changes the stamp. A
//     reader that looked at the identity just before finds values with the old one
//     and refuses them; so this is not for who trusts them.
//
// Each of these is about one master alone, so Done may grow over several attempts.
func (r *Remote) sweepLiving(ctx context.Context, d deed, s Sweep, add func(int64)) {
	t, err := r.routes.undisputed(ctx, r.cfg.Write)
	if err != nil || t.owner == nil {
		return
	}
	var some []*master
	var names []string // before the scan: what changes later is not that life's
	all := true
	for _, m := range t.masters {
		if m.circuit.is(open) {
			all = false
		} else if name := t.identity(m); name != "" && !s.Done[name] {
			some, names = append(some, m), append(names, name)
		}
	}
	if all || len(some) == 0 {
		return
	}
	before, err := r.hold(ctx, some)
	if err != nil || before.open {
		return
	}
	for i, m := range some {
		if !t.claims(m, before.texts[i]) {
			r.routes.stale()
			return
		}
	}
	errs := round(ctx, t, some, d, s, add)
	if after, err := r.hold(ctx, some); err != nil || after.open || after.what != before.what {
		return
	}
	for i, name := range names {
		if errs[i] == nil {
			s.Done[name] = true
		}
	}
}
