package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"

	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
)

// The active set and the mix.
const (
	activeUsers  = 200
	activeAgents = 10
	zipf         = 1.1 // exponent: how much oftener the busiest come than the others
)

var (
	filterSets = []string{"", "?status=open", "?status=closed&priority=high", "?category=refund&q=missing"}
	ranges     = []string{"7d", "30d", "90d", "365d"}
)

type route int

const (
	me route = iota
	inquiries
	workload
	routes
)

func (r route) String() string { return [...]string{"me", "inquiries", "workload"}[r] }

// request is one request of a sequence.
type request struct {
	route  route
	path   string
	header http.Header // shared, read only
	visit  bool        // the first of the three requests of a page visit
}

// sequence makes n requests, the same for the same seed. Each ten are one page
// visit of an agent (me, inquiries and workload, in this order and next to each
// other) and seven requests of users (six me, one inquiries), shuffled: 70 % me,
// 20 % inquiries, 10 % workload, which only staff may ask for.
func sequence(number uint64, n int, users, agents []http.Header) []request {
	rng := rand.New(rand.NewPCG(number, 0x6c6f6164))
	zu := rand.NewZipf(rng, zipf, 1, uint64(len(users)-1))
	za := rand.NewZipf(rng, zipf, 1, uint64(len(agents)-1))
	list := func() string { return "/api/inquiries" + filterSets[rng.IntN(len(filterSets))] }
	const visit, asksMe, asksList = 0, 1, 2
	block := []int{visit, asksMe, asksMe, asksMe, asksMe, asksMe, asksMe, asksList}

	seq := make([]request, 0, n+10)
	for len(seq) < n {
		rng.Shuffle(len(block), func(i, j int) { block[i], block[j] = block[j], block[i] })
		for _, what := range block {
			switch what {
			case asksMe:
				seq = append(seq, request{route: me, path: "/api/users/me", header: users[zu.Uint64()]})
			case asksList:
				seq = append(seq, request{route: inquiries, path: list(), header: users[zu.Uint64()]})
			default:
				agent := agents[za.Uint64()]
				seq = append(seq,
					request{route: me, path: "/api/users/me", header: agent, visit: true},
					request{route: inquiries, path: list(), header: agent},
					request{route: workload, path: "/api/analytics/workload?range=" + ranges[rng.IntN(len(ranges))], header: agent})
			}
		}
	}
	return slices.Clip(seq)
}

// headers signs a token for each of the first n users of a role. The load test
// knows the server's secret: it starts it.
func headers(seed store.Seed, role store.Role, n int, signer *auth.Signer) ([]http.Header, error) {
	var all []http.Header
	for i := 1; i <= n; i++ {
		id, email, ok := seed.Account(role, i)
		if !ok {
			break
		}
		token, _ := signer.Sign(store.User{ID: id, Email: email, Role: role})
		all = append(all, http.Header{"Authorization": {"Bearer " + token}})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no seeded users of role %s", role)
	}
	return all, nil
}

// tag marks a request's URL with its place in the sequence, in the fragment,
// which a client keeps to itself.
func tag(url string, i int) string { return url + "#" + strconv.Itoa(i) }
