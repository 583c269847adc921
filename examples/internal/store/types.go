// Package store is the example's source of truth: a SQLite file with users and
// their inquiries, the queries the service asks of it, and the seed that fills
// it. It knows nothing of caches, and nothing in it waits on purpose: what is
// slow here is slow because it adds up many rows.
package store

import (
	"errors"
	"time"
)

// Errors of this package. Compare with errors.Is.
var (
	// ErrNotFound is returned when no user has the id or e-mail asked for.
	ErrNotFound = errors.New("store: not found")
	// ErrEmailTaken is returned by UpdateUser when another user has the e-mail.
	ErrEmailTaken = errors.New("store: e-mail is taken")
)

// Role says what a user may see. The values are those stored in the database
// and carried in tokens.
type Role string

// The four roles, least first.
const (
	RoleUser      Role = "USER"
	RoleAgent     Role = "AGENT"
	RoleAdmin     Role = "ADMIN"
	RoleSuperuser Role = "SUPERUSER"
)

// Roles lists every role, least first.
var Roles = []Role{RoleUser, RoleAgent, RoleAdmin, RoleSuperuser}

// The values an inquiry's columns may hold; filters accept nothing else.
var (
	Statuses   = []string{"open", "pending", "resolved", "closed"}
	Priorities = []string{"low", "normal", "high", "urgent"}
	Categories = []string{"billing", "delivery", "login", "refund", "technical", "other"}
)

// User is one account without its password.
type User struct {
	ID        int64     `json:"id"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	Role      Role      `json:"role"`
	CreatedAt time.Time `json:"createdAt"`
}

// Profile is a user with what his inquiries add up to.
type Profile struct {
	User
	Asked    Summary  `json:"asked"`
	Assigned *Summary `json:"assigned,omitempty"` // agents only
}

// Summary adds up a set of inquiries. Averages are 0 when nothing was counted.
type Summary struct {
	Total             int64            `json:"total"`
	ByStatus          map[string]int64 `json:"byStatus"`
	FirstReplySeconds float64          `json:"avgFirstReplySeconds"`
	ResolutionSeconds float64          `json:"avgResolutionSeconds"`
	Rating            float64          `json:"avgRating"`
	LastAt            *time.Time       `json:"lastAt,omitempty"`
}

// Inquiry names people by id only: a list that carried names would have to be
// invalidated whenever anyone in it is renamed.
type Inquiry struct {
	ID         int64      `json:"id"`
	UserID     int64      `json:"userId"`
	AgentID    int64      `json:"agentId"`
	Category   string     `json:"category"`
	Priority   string     `json:"priority"`
	Status     string     `json:"status"`
	Subject    string     `json:"subject"`
	CreatedAt  time.Time  `json:"createdAt"`
	ResolvedAt *time.Time `json:"resolvedAt,omitempty"`
}

// Viewer is who asks for a list, which decides what is in it.
type Viewer struct {
	ID   int64
	Role Role
}

// Filter narrows a list of inquiries; zero fields do not filter. Page counts
// from 1 and Limit is in rows.
type Filter struct {
	Status, Priority, Category string
	Text                       string // substring of the subject, case-insensitive for ASCII
	Page, Limit                int
}

// InquiryPage is one page of a list and the number of rows in all its pages.
// ByStatus is what Total would be for each status, the other filters being as
// they are: the figures on a list's tabs.
type InquiryPage struct {
	Items    []Inquiry        `json:"items"`
	Page     int              `json:"page"`
	Limit    int              `json:"limit"`
	Total    int64            `json:"total"`
	ByStatus map[string]int64 `json:"byStatus"`
}

// UserList is the newest users of one role, or of all, and how many there are.
type UserList struct {
	Items []User `json:"items"`
	Total int64  `json:"total"`
}

// Workload is the team's work on the inquiries that arrived since From, which
// is the start of a day: ranges are in whole days, today being the last.
type Workload struct {
	Range    string          `json:"range"`
	From     time.Time       `json:"from"`
	Totals   Summary         `json:"totals"`
	Agents   []AgentLoad     `json:"busiestAgents"`
	Days     []DayLoad       `json:"days"`
	Sections []CategoryCount `json:"sections"`
}

// AgentLoad is one agent's share of a Workload.
type AgentLoad struct {
	AgentID           int64   `json:"agentId"`
	Total             int64   `json:"total"`
	Open              int64   `json:"open"`
	ResolutionSeconds float64 `json:"avgResolutionSeconds"`
}

// DayLoad is one UTC day of a Workload.
type DayLoad struct {
	Day      string `json:"day"`
	Received int64  `json:"received"`
	Resolved int64  `json:"resolved"` // of those received that day
}

// CategoryCount counts the inquiries of one category and priority.
type CategoryCount struct {
	Category string `json:"category"`
	Priority string `json:"priority"`
	Total    int64  `json:"total"`
	Open     int64  `json:"open"`
}
