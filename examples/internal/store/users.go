package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// UserListLimit is how many users a list holds at most.
const UserListLimit = 200

const userColumns = `id, email, name, role, created_at`

func scanUser(scan func(...any) error) (User, error) {
	var u User
	var created int64
	err := scan(&u.ID, &u.Email, &u.Name, &u.Role, &created)
	u.CreatedAt = time.Unix(created, 0).UTC()
	return u, err
}

// Credentials returns the user with this e-mail and his password's hash, or ErrNotFound.
func (s *Store) Credentials(ctx context.Context, email string) (User, string, error) {
	var hash string
	var u User
	var created int64
	err := s.reads.QueryRowContext(ctx, `SELECT `+userColumns+`, password_hash FROM users WHERE email = ?`, email).
		Scan(&u.ID, &u.Email, &u.Name, &u.Role, &created, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return User{}, "", ErrNotFound
	}
	if err != nil {
		return User{}, "", fmt.Errorf("store: credentials: %w", err)
	}
	u.CreatedAt = time.Unix(created, 0).UTC()
	return u, hash, nil
}

// Profile returns the user and what his inquiries add up to, or ErrNotFound.
func (s *Store) Profile(ctx context.Context, id int64) (Profile, error) {
	found, err := s.Profiles(ctx, []int64{id})
	if err != nil {
		return Profile{}, err
	}
	p, ok := found[id]
	if !ok {
		return Profile{}, ErrNotFound
	}
	return p, nil
}

// Profiles returns the profiles of those of the ids that are a user's, in as many
// statements as one of them takes: two, and a third if there are agents.
func (s *Store) Profiles(ctx context.Context, ids []int64) (map[int64]Profile, error) {
	found := make(map[int64]Profile, len(ids))
	var agents []int64
	marks, args := in(ids)
	err := s.each(ctx, `SELECT `+userColumns+` FROM users WHERE id IN `+marks, args, func(scan func(...any) error) error {
		u, err := scanUser(scan)
		found[u.ID] = Profile{User: u}
		if u.Role == RoleAgent {
			agents = append(agents, u.ID)
		}
		return err
	})
	if err != nil || len(found) == 0 {
		return found, err
	}
	asked, err := s.summarize(ctx, `user_id`, slices.Collect(maps.Keys(found)))
	if err != nil {
		return nil, err
	}
	var assigned map[int64]Summary
	if len(agents) > 0 {
		if assigned, err = s.summarize(ctx, `agent_id`, agents); err != nil {
			return nil, err
		}
	}
	for id, p := range found {
		p.Asked = asked[id]
		if sum, ok := assigned[id]; ok {
			p.Assigned = &sum
		}
		found[id] = p
	}
	return found, nil
}

// Active returns the ids of those who have asked since a time, or were to answer, who
// did so last first, and at most limit of them.
func (s *Store) Active(ctx context.Context, since time.Time, limit int) (ids []int64, err error) {
	err = s.each(ctx, `SELECT id FROM (
			SELECT user_id AS id, created_at FROM inquiries WHERE created_at >= ?1
			UNION ALL SELECT agent_id, created_at FROM inquiries WHERE created_at >= ?1)
		GROUP BY id ORDER BY max(created_at) DESC, id LIMIT ?2`, []any{since.Unix(), limit}, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// in is the right side of an IN.
func in(ids []int64) (marks string, args []any) {
	for _, id := range ids {
		args = append(args, id)
	}
	return `(` + strings.TrimSuffix(strings.Repeat(`?,`, len(ids)), `,`) + `)`, args
}

// Users returns the newest users with the role, or of every role when it is
// empty, and how many there are.
func (s *Store) Users(ctx context.Context, role Role) (UserList, error) {
	where, args := ``, []any{}
	if role != "" {
		where, args = ` WHERE role = ?`, append(args, role)
	}
	list := UserList{Items: []User{}}
	if err := s.reads.QueryRowContext(ctx, `SELECT count(*) FROM users`+where, args...).Scan(&list.Total); err != nil {
		return UserList{}, fmt.Errorf("store: users: %w", err)
	}
	rows, err := s.reads.QueryContext(ctx, `SELECT `+userColumns+` FROM users`+where+` ORDER BY id DESC LIMIT ?`, append(args, UserListLimit)...)
	if err != nil {
		return UserList{}, fmt.Errorf("store: users: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		u, err := scanUser(rows.Scan)
		if err != nil {
			return UserList{}, fmt.Errorf("store: users: %w", err)
		}
		list.Items = append(list.Items, u)
	}
	if err := rows.Err(); err != nil {
		return UserList{}, fmt.Errorf("store: users: %w", err)
	}
	return list, nil
}

// UpdateUser changes the user's name and e-mail, each only if not nil, and
// returns him before and after. ErrNotFound, or ErrEmailTaken.
func (s *Store) UpdateUser(ctx context.Context, id int64, name, email *string) (before, after User, err error) {
	err = s.change(ctx, func(tx *sql.Tx) error {
		before, err = scanUser(tx.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE id = ?`, id).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("store: update user: %w", err)
		}
		after = before
		if name != nil {
			after.Name = *name
		}
		if email != nil {
			after.Email = strings.ToLower(*email)
		}
		var other int64
		switch err := tx.QueryRowContext(ctx, `SELECT id FROM users WHERE email = ? AND id <> ?`, after.Email, id).Scan(&other); {
		case err == nil:
			return ErrEmailTaken
		case !errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("store: update user: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE users SET name = ?, email = ? WHERE id = ?`, after.Name, after.Email, id); err != nil {
			return fmt.Errorf("store: update user: %w", err)
		}
		return nil
	})
	return before, after, err
}
