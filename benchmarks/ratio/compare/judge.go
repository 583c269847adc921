package compare

import "fmt"

// What is required of ours, in points of hit ratio.
const (
	// tolerance is the chance in the difference of two means over three seeds on the
	// steadiest traces. On others, loops and small caches, it was 0.2 to 0.3: ours has
	// to be better by that to be sure to pass.
	tolerance   = 0.1
	behindOtter = 3.0
)

// Verdict says whether a requirement was met.
type Verdict struct {
	OK   bool
	Text string
}

func (v Verdict) String() string {
	if v.OK {
		return "ok     " + v.Text
	}
	return "MISSED " + v.Text
}

// judge compares ours with the others at a loader's pace.
func judge(rows []Row) []Verdict {
	var out []Verdict
	for _, our := range rows {
		if our.Cache != Ours || our.Tight {
			continue
		}
		for _, other := range rows {
			if other.Trace != our.Trace || other.Share != our.Share || other.Tight {
				continue
			}
			behind := 100 * (other.Ratio - our.Ratio)
			where := fmt.Sprintf("%s, %.3g %% fit: hit ratio %.2f %%, %s's %.2f %%",
				our.Trace, 100*our.Share, 100*our.Ratio, other.Cache, 100*other.Ratio)
			switch other.Cache {
			case Ristretto:
				out = append(out, Verdict{behind <= tolerance, fmt.Sprintf("%s; at least as much wanted, give or take %v points", where, tolerance)})
			case Otter:
				out = append(out, Verdict{behind <= behindOtter, fmt.Sprintf("%s; at most %v points less wanted", where, behindOtter)})
			}
		}
	}
	return out
}
