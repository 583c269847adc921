package store

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

const (
	superusers = 2
	minUsers   = 20
)

// people lays out who has which id: superusers first, then admins, agents and
// everyone else. It takes no database to know, so that a load generator can
// name accounts without asking.
type people struct {
	sd             Seed
	admins, agents int
}

func (sd Seed) people() people {
	return people{sd: sd, admins: max(2, sd.Users/10_000), agents: max(5, sd.Users/400)}
}

// Account is the i-th user of a role in a seeded database, i from 1; ok is
// false when there are fewer.
func (sd Seed) Account(role Role, i int) (id int64, email string, ok bool) {
	p := sd.people()
	first, n := p.block(role)
	return int64(first + i - 1), fmt.Sprintf("%s%d@example.com", strings.ToLower(string(role)), i), i >= 1 && i <= n
}

// block returns the first id of a role and how many users have it.
func (p people) block(role Role) (first, n int) {
	switch role {
	case RoleSuperuser:
		return 1, superusers
	case RoleAdmin:
		return 1 + superusers, p.admins
	case RoleAgent:
		return 1 + superusers + p.admins, p.agents
	default:
		first = 1 + superusers + p.admins + p.agents
		return first, p.sd.Users - first + 1
	}
}

func (p people) user(i int, row []any, rng *rand.Rand) {
	id := i + 1
	role, n := RoleUser, 0
	for _, r := range Roles {
		if first, count := p.block(r); id >= first && id < first+count {
			role, n = r, id-first+1
		}
	}
	_, email, _ := p.sd.Account(role, n)
	// Accounts are older than the oldest inquiry.
	created := p.sd.Now.Add(-Span - time.Duration(p.sd.Users-i)*time.Minute)
	row[0], row[1], row[3], row[4], row[5] = id, email, string(role), p.sd.PasswordHash, created.Unix()
	row[2] = firstNames[rng.IntN(len(firstNames))] + " " + lastNames[rng.IntN(len(lastNames))]
}

// inquiry makes the i-th oldest inquiry. Few users ask much and many ask
// little: with the square of a uniform number the first fifth of them asks
// 45 %. Agents are loaded the same way, less steeply.
func (p people) inquiry(i int, row []any, rng *rand.Rand) {
	askers, askerCount := p.block(RoleUser)
	agents, agentCount := p.block(RoleAgent)
	u, a := rng.Float64(), rng.Float64()
	asker := askers + int(u*u*float64(askerCount))
	agent := agents + int(math.Pow(a, 1.2)*float64(agentCount))

	age := time.Duration((1 - (float64(i)+rng.Float64())/float64(p.sd.Inquiries)) * float64(Span))
	created := p.sd.Now.Add(-age).Unix()
	priority := Priorities[[]int{0, 1, 1, 1, 1, 1, 2, 2, 2, 3}[rng.IntN(10)]]
	category := Categories[rng.IntN(len(Categories))]

	// The older, the likelier that it is done with.
	status := "open"
	settled := 0.97 * min(1, age.Hours()/(24*14))
	switch r := rng.Float64(); {
	case r < settled*0.8:
		status = "closed"
	case r < settled:
		status = "resolved"
	case r < settled+(1-settled)*0.4:
		status = "pending"
	}
	firstReply := created + 60 + int64(rng.ExpFloat64()*5400)
	resolved := firstReply + 300 + int64(rng.ExpFloat64()*86_400)

	row[0], row[1], row[2], row[3], row[4], row[5] = i+1, asker, agent, category, priority, status
	row[6] = subject(category, rng)
	row[7], row[8], row[9], row[10], row[11] = created, created/86_400, nil, nil, nil
	if status != "open" {
		row[9] = firstReply
	}
	if status == "closed" || status == "resolved" {
		row[10] = resolved
		if rng.IntN(3) == 0 {
			row[11] = 1 + rng.IntN(5)
		}
	}
}

func subject(category string, rng *rand.Rand) string {
	of := subjects[category]
	return fmt.Sprintf(of[rng.IntN(len(of))], 10_000+rng.IntN(990_000))
}

var (
	firstNames = strings.Fields("Ada Alan Amara Bela Chen Dana Elif Farid Grace Hana Igor Jaya Kofi Lena Mateo Nadia Omar Priya Quinn Rosa Sami Tomas Uma Vera Wen Ximena Yusuf Zoe")
	lastNames  = strings.Fields("Abe Berg Costa Diaz Eriksen Fischer Garcia Hassan Ito Jansen Kim Larsen Moreau Novak Okafor Park Quist Rossi Silva Tanaka Ueda Vogel Weber Xu Yilmaz Zhang")
	subjects   = map[string][]string{
		"billing":   {"Invoice %d was charged twice", "Wrong amount on invoice %d", "Please change the address on invoice %d"},
		"delivery":  {"Parcel %d has not arrived", "Parcel %d is damaged", "Where is order %d?"},
		"login":     {"Cannot sign in, reference %d", "Reset link %d has expired", "Locked out, code %d"},
		"refund":    {"Refund for order %d", "Refund of order %d is missing", "Return label for order %d"},
		"technical": {"Error %d on export", "Device %d is offline", "App crashes with code %d"},
		"other":     {"Question about contract %d", "Feedback on ticket %d", "Request %d"},
	}
)
