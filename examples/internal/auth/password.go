package auth

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strconv"
	"strings"
)

// Iterations of PBKDF2-HMAC-SHA256, as OWASP's Password Storage Cheat Sheet
// advises.
const Iterations = 600_000

// DemoPassword is the password of every seeded user. They share one salt and
// hash too: deriving 100,000 keys properly would take hours, and a derivation
// cheap enough to do 100,000 times would not be proper.
const DemoPassword = "demo"

const scheme, keySize = "pbkdf2-sha256", 32

// HashPassword returns the password's hash with all that is needed to check it.
// Iterations is a parameter for the sake of tests; the service uses the
// constant.
func HashPassword(password string, iterations int) (string, error) {
	salt := make([]byte, 16)
	rand.Read(salt) // never fails
	key, err := pbkdf2.Key(sha256.New, password, salt, iterations, keySize)
	if err != nil {
		return "", fmt.Errorf("auth: hash: %w", err)
	}
	b64 := base64.RawStdEncoding.EncodeToString
	return strings.Join([]string{scheme, strconv.Itoa(iterations), b64(salt), b64(key)}, "$"), nil
}

// Passwords checks passwords, as many at a time as there are CPUs: the
// derivation is slow by design, and unbounded logins would be an easy way to
// starve everybody else. Safe for concurrent use.
type Passwords struct {
	slots chan struct{}
	decoy string
}

// NewPasswords returns a checker.
func NewPasswords() (*Passwords, error) {
	decoy, err := HashPassword("", Iterations)
	if err != nil {
		return nil, err
	}
	return &Passwords{slots: make(chan struct{}, runtime.GOMAXPROCS(0)), decoy: decoy}, nil
}

// Check reports whether the password has this hash. An empty hash stands for an
// unknown user: it never matches, and takes as long as one that could, so that
// the time does not tell who has an account. The error is ctx's, or that of a
// hash that is none.
func (p *Passwords) Check(ctx context.Context, hash, password string) (bool, error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	known := hash != ""
	if !known {
		hash = p.decoy
	}
	iterations, salt, want, err := parse(hash)
	if err != nil {
		return false, err
	}
	got, err := pbkdf2.Key(sha256.New, password, salt, iterations, len(want))
	if err != nil {
		return false, fmt.Errorf("auth: check: %w", err)
	}
	return subtle.ConstantTimeCompare(got, want) == 1 && known, nil
}

func parse(hash string) (iterations int, salt, key []byte, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) == 4 && parts[0] == scheme {
		var errs [3]error
		iterations, errs[0] = strconv.Atoi(parts[1])
		salt, errs[1] = base64.RawStdEncoding.DecodeString(parts[2])
		key, errs[2] = base64.RawStdEncoding.DecodeString(parts[3])
		if errs == [3]error{} && iterations > 0 && len(key) == keySize {
			return iterations, salt, key, nil
		}
	}
	return 0, nil, nil, fmt.Errorf("auth: the stored hash is not %s", scheme)
}
