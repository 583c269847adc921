package rivals

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Profile is what a service's "me" route returns.
type Profile struct {
	ID        int64             `json:"id"`
	Name      string            `json:"name"`
	Email     string            `json:"email"`
	Role      string            `json:"role"`
	CreatedAt time.Time         `json:"createdAt"`
	Labels    map[string]string `json:"labels"`
	Counts    []int             `json:"counts"`
	About     string            `json:"about"`
}

// rest is how long the JSON of a Profile is without About, nearly.
const rest = 268

// about is cut to length; a megabyte is the longest.
var about = strings.Repeat("abcdefghijklmnopqrstuvwxyz", 1<<20/26)

// Make returns a profile whose JSON has about so many bytes, if that is more than
// 268; below, the least that says who it is.
func Make(id int64, size int) *Profile {
	if size <= rest {
		return &Profile{ID: id, Name: "Ann Example"}
	}
	return &Profile{
		ID: id, Name: "Ann Example", Email: "ann@example.com", Role: "AGENT",
		CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Labels:    map[string]string{"team": "north", "language": "en", "plan": "large"},
		Counts:    []int{12, 0, 7, 31, 2, 5, 88, 1, 0, 3},
		About:     about[:size-rest],
	}
}

// Key is of the profile with the ID, for one of those who use the same Redis:
// their keys differ, and have the same length.
func Key(user int, id int64) string { return fmt.Sprintf("p%03d:user:%d", user, id) }

// Source is where profiles come from. It counts how often it is asked.
type Source struct {
	Size  int           // of a profile's JSON
	Delay time.Duration // of an answer; zero: at once
	Loads atomic.Int64
	Last  atomic.Int64 // how long the last load that was asked for took, in ns
}

// Load returns the profile of a key that Key made.
func (s *Source) Load(ctx context.Context, key string) (*Profile, error) {
	s.Loads.Add(1)
	if s.Delay > 0 {
		begun := time.Now()
		// A source that takes its time: what is measured is what callers do meanwhile.
		select {
		case <-time.After(s.Delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		s.Last.Store(int64(time.Since(begun)))
	}
	id, err := strconv.ParseInt(key[strings.LastIndexByte(key, ':')+1:], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", key, err)
	}
	return Make(id, s.Size), nil
}

// LoadMany is Load for many, as one question.
func (s *Source) LoadMany(ctx context.Context, keys []string) (map[string]*Profile, error) {
	all := make(map[string]*Profile, len(keys))
	for _, key := range keys {
		p, err := s.Load(ctx, key)
		if err != nil {
			return nil, err
		}
		all[key] = p
	}
	return all, nil
}
