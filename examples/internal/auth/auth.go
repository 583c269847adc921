// Package auth is the example's login: passwords and signed tokens.
package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tiercache/tiercache/examples/internal/store"
)

// ErrToken is returned for a token that is malformed, forged or expired; which
// of the three is nobody's business but the log's.
var ErrToken = errors.New("auth: invalid or expired token")

// MinSecret is the length of the shortest secret accepted, in bytes.
const MinSecret = 16

// maxToken bounds the work done for an unauthenticated caller.
const maxToken = 2048

// Claims say who holds a token.
type Claims struct {
	ID      int64      `json:"id"`
	Email   string     `json:"email"`
	Role    store.Role `json:"role"`
	Expires int64      `json:"exp"` // Unix seconds
}

// Signer makes and checks tokens. Safe for concurrent use.
type Signer struct {
	secret []byte
	life   time.Duration
}

// NewSigner returns a Signer whose tokens live for life.
func NewSigner(secret []byte, life time.Duration) (*Signer, error) {
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("auth: a secret of %d bytes is too short, %d are needed", len(secret), MinSecret)
	}
	if life <= 0 {
		return nil, fmt.Errorf("auth: tokens cannot live for %v", life)
	}
	return &Signer{secret: append([]byte(nil), secret...), life: life}, nil
}

// Sign returns a token for the user and when it expires. A token is two parts
// of unpadded base64url joined by a dot: the claims in JSON and their
// HMAC-SHA256. There is one algorithm, and the token does not get to name it.
func (s *Signer) Sign(u store.User) (token string, expires time.Time) {
	expires = time.Now().Add(s.life).Truncate(time.Second)
	claims, err := json.Marshal(Claims{ID: u.ID, Email: u.Email, Role: u.Role, Expires: expires.Unix()})
	if err != nil {
		panic("bug: claims do not marshal: " + err.Error())
	}
	body := base64.RawURLEncoding.EncodeToString(claims)
	return body + "." + base64.RawURLEncoding.EncodeToString(s.mac(body)), expires
}

// Verify returns the claims of a token that this Signer's secret signed and
// that has not expired; else ErrToken.
func (s *Signer) Verify(token string) (Claims, error) {
	body, sum, ok := strings.Cut(token, ".")
	if !ok || len(token) > maxToken {
		return Claims{}, ErrToken
	}
	mac, err := base64.RawURLEncoding.DecodeString(sum)
	if err != nil || !hmac.Equal(mac, s.mac(body)) {
		return Claims{}, ErrToken
	}
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return Claims{}, ErrToken
	}
	var c Claims
	if err := json.Unmarshal(raw, &c); err != nil || time.Now().Unix() >= c.Expires {
		return Claims{}, ErrToken
	}
	return c, nil
}

func (s *Signer) mac(body string) []byte {
	h := hmac.New(sha256.New, s.secret)
	h.Write([]byte(body))
	return h.Sum(nil)
}
