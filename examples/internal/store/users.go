package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// UserListLimit is how many users a list holds at most.
const UserListLimit = 200

const userColumns = `id, email, name, role, created_at`

func scanUser(row interface{ Scan(...any) error }) (User, error) {
	var u User
	var created int64
	err := row.Scan(&u.ID, &u.Email, &u.Name, &u.Role, &created)
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
	u, err := scanUser(s.reads.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Profile{}, ErrNotFound
	}
	if err != nil {
		return Profile{}, fmt.Errorf("store: profile: %w", err)
	}
	p := Profile{User: u}
	if p.Asked, err = s.summarize(ctx, `user_id = ?`, id); err != nil {
		return Profile{}, err
	}
	if u.Role == RoleAgent {
		assigned, err := s.summarize(ctx, `agent_id = ?`, id)
		if err != nil {
			return Profile{}, err
		}
		p.Assigned = &assigned
	}
	return p, nil
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
		u, err := scanUser(rows)
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
		before, err = scanUser(tx.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE id = ?`, id))
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
