package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

const inquiryColumns = `id, user_id, agent_id, category, priority, status, subject, created_at, resolved_at`

// Inquiries returns a page of what the viewer may see: a user his own, an agent
// what is assigned to him, admins and superusers everything; newest first.
func (s *Store) Inquiries(ctx context.Context, v Viewer, f Filter) (InquiryPage, error) {
	var where []string
	var args []any
	and := func(condition string, arg any) { where, args = append(where, condition), append(args, arg) }
	switch v.Role {
	case RoleAdmin, RoleSuperuser:
	case RoleAgent:
		and(`agent_id = ?`, v.ID)
	default:
		and(`user_id = ?`, v.ID)
	}
	for _, c := range []struct{ column, value string }{{"priority", f.Priority}, {"category", f.Category}} {
		if c.value != "" {
			and(c.column+` = ?`, c.value)
		}
	}
	if f.Text != "" {
		and(`subject LIKE ? ESCAPE '\'`, `%`+strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(f.Text)+`%`)
	}
	page := InquiryPage{Items: []Inquiry{}, Page: f.Page, Limit: f.Limit, ByStatus: map[string]int64{}}
	if err := s.each(ctx, `SELECT status, count(*) FROM inquiries`+all(where)+` GROUP BY status`, args, func(scan func(...any) error) error {
		var status string
		var n int64
		if err := scan(&status, &n); err != nil {
			return err
		}
		page.ByStatus[status] = n
		if f.Status == "" || f.Status == status {
			page.Total += n
		}
		return nil
	}); err != nil {
		return InquiryPage{}, err
	}
	if f.Status != "" {
		and(`status = ?`, f.Status)
	}
	rows, err := s.reads.QueryContext(ctx, `SELECT `+inquiryColumns+` FROM inquiries`+all(where)+
		` ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?`, append(args, f.Limit, (f.Page-1)*f.Limit)...)
	if err != nil {
		return InquiryPage{}, fmt.Errorf("store: inquiries: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var q Inquiry
		var created int64
		var resolved sql.NullInt64
		if err := rows.Scan(&q.ID, &q.UserID, &q.AgentID, &q.Category, &q.Priority, &q.Status, &q.Subject, &created, &resolved); err != nil {
			return InquiryPage{}, fmt.Errorf("store: inquiries: %w", err)
		}
		q.CreatedAt, q.ResolvedAt = time.Unix(created, 0).UTC(), seconds(resolved)
		page.Items = append(page.Items, q)
	}
	if err := rows.Err(); err != nil {
		return InquiryPage{}, fmt.Errorf("store: inquiries: %w", err)
	}
	return page, nil
}

// all is the clause that requires every condition.
func all(conditions []string) string {
	if len(conditions) == 0 {
		return ``
	}
	return ` WHERE ` + strings.Join(conditions, ` AND `)
}

// NextAgent is whose turn it is to answer. It is a question of its own, so that who a
// new inquiry concerns is known before it is written.
func (s *Store) NextAgent() (id int64) {
	return s.agents[s.turn.Add(1)%uint64(len(s.agents))]
}

// CreateInquiry stores an open inquiry of the user for the agent. Category and priority
// must be values of Categories and Priorities.
func (s *Store) CreateInquiry(ctx context.Context, userID, agentID int64, category, priority, subject string) (Inquiry, error) {
	q := Inquiry{UserID: userID, AgentID: agentID, Category: category, Priority: priority, Status: Statuses[0], Subject: subject,
		CreatedAt: time.Now().UTC().Truncate(time.Second)}
	err := s.change(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, `SELECT max(id) + 1 FROM inquiries`).Scan(&q.ID); err != nil {
			return fmt.Errorf("store: create inquiry: %w", err)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO inquiries (id, user_id, agent_id, category, priority, status, subject, created_at, created_day)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, q.ID, q.UserID, q.AgentID, q.Category, q.Priority, q.Status, q.Subject, q.CreatedAt.Unix(), q.CreatedAt.Unix()/86_400)
		if err != nil {
			return fmt.Errorf("store: create inquiry: %w", err)
		}
		return nil
	})
	return q, err
}
