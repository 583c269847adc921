package app

import (
	"context"

	"github.com/tiercache/tiercache/examples/internal/auth"
	"github.com/tiercache/tiercache/examples/internal/store"
)

// direct answers from the database alone.
type direct struct{ *store.Store }

func (d direct) Profile(ctx context.Context, who auth.Claims) (store.Profile, error) {
	p, err := d.Store.Profile(ctx, who.ID)
	if err != nil {
		return store.Profile{}, err
	}
	return current(p, who)
}

// current returns the profile if it is still that of the claims' account.
func current(p store.Profile, who auth.Claims) (store.Profile, error) {
	if p.Email != who.Email || p.Role != who.Role {
		return store.Profile{}, errOutdated
	}
	return p, nil
}

func (direct) ChangeUser(ctx context.Context, _ auth.Claims, _ *string, write func(context.Context) error) error {
	return write(ctx)
}

func (direct) AddInquiry(ctx context.Context, _, _ int64, write func(context.Context) error) error {
	return write(ctx)
}
