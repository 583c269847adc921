package auth

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/examples/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ann = store.User{ID: 42, Email: "ann@example.com", Role: store.RoleUser}

func signerOf(t *testing.T, secret string) *Signer {
	t.Helper()
	s, err := NewSigner([]byte(secret), time.Hour)
	require.NoError(t, err)
	return s
}

func TestATokenSaysWhoItWasSignedFor(t *testing.T) {
	t.Parallel()
	s := signerOf(t, "0123456789abcdef")
	token, expires := s.Sign(ann)
	c, err := s.Verify(token)
	require.NoError(t, err)
	assert.Equal(t, Claims{ID: 42, Email: "ann@example.com", Role: store.RoleUser, Expires: expires.Unix()}, c)
}

func TestATokenEndsWithItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := signerOf(t, "0123456789abcdef")
		token, _ := s.Sign(ann)
		time.Sleep(time.Hour - time.Second)
		_, err := s.Verify(token)
		require.NoError(t, err)
		time.Sleep(time.Second)
		_, err = s.Verify(token)
		require.ErrorIs(t, err, ErrToken)
	})
}

func TestAForgedTokenIsRefused(t *testing.T) {
	t.Parallel()
	s := signerOf(t, "0123456789abcdef")
	token, _ := s.Sign(ann)
	body, sum, _ := strings.Cut(token, ".")
	other, _ := signerOf(t, "another secret, as long").Sign(ann)
	raw, err := base64.RawURLEncoding.DecodeString(body)
	require.NoError(t, err)
	admin := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(raw), "USER", "SUPERUSER", 1)))
	for name, forged := range map[string]string{
		"empty":             "",
		"no signature":      body,
		"empty signature":   body + ".",
		"another secret":    other,
		"promoted":          admin + "." + sum,
		"signature cut off": token[:len(token)-2],
		"not base64":        body + ".!!!",
		"a third part":      token + ".x",
		"huge":              strings.Repeat("a", 1<<20) + "." + sum,
	} {
		_, err := s.Verify(forged)
		assert.ErrorIs(t, err, ErrToken, name)
	}
}

func FuzzNoBytesButSignedOnesVerify(f *testing.F) {
	s, err := NewSigner([]byte("0123456789abcdef"), time.Hour)
	require.NoError(f, err)
	token, _ := s.Sign(ann)
	f.Add(token)
	f.Add("a.b")
	f.Fuzz(func(t *testing.T, forged string) {
		body, _, _ := strings.Cut(token, ".")
		if c, err := s.Verify(forged); err == nil {
			// base64 without padding has spare bits: the signature may be spelt
			// differently, what is signed may not.
			require.True(t, strings.HasPrefix(forged, body+"."), "%q gave %+v", forged, c)
		}
	})
}

func TestASignerNeedsASecretAndALife(t *testing.T) {
	t.Parallel()
	_, err := NewSigner([]byte("short"), time.Hour)
	require.ErrorContains(t, err, "secret of 5 bytes")
	require.NotContains(t, err.Error(), "short\"")
	_, err = NewSigner([]byte("0123456789abcdef"), 0)
	require.ErrorContains(t, err, "0s")
}

func TestAPasswordMatchesItsHashAndNoOther(t *testing.T) {
	t.Parallel()
	p, err := NewPasswords()
	require.NoError(t, err)
	hash, err := HashPassword("right", 1000)
	require.NoError(t, err)
	again, err := HashPassword("right", 1000)
	require.NoError(t, err)
	assert.NotEqual(t, hash, again, "salted")
	for name, c := range map[string]struct {
		hash, password string
		want           bool
	}{
		"right":                        {hash, "right", true},
		"wrong":                        {hash, "wrong", false},
		"empty":                        {hash, "", false},
		"unknown user":                 {"", "right", false},
		"unknown user, empty password": {"", "", false},
	} {
		ok, err := p.Check(context.Background(), c.hash, c.password)
		require.NoError(t, err, name)
		assert.Equal(t, c.want, ok, name)
	}
	for _, broken := range []string{"plain", "md5$1$AA$AA", "pbkdf2-sha256$0$AA$AA", "pbkdf2-sha256$1000$AA$AA", "pbkdf2-sha256$x$AA$AA"} {
		_, err := p.Check(context.Background(), broken, "right")
		require.Error(t, err, broken)
		require.NotContains(t, err.Error(), "right")
	}
}

func TestACheckThatMustWaitGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	p, err := NewPasswords()
	require.NoError(t, err)
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = p.Check(ctx, "", "x")
	require.ErrorIs(t, err, context.Canceled)
}
