package persistence

import (
	"crypto/rand"
	"crypto/subtle"

	"github.com/chumiai/chumi/chat"
	"golang.org/x/crypto/argon2"
)

// The argon2id parameters of new passwords: the least OWASP recommends. Each
// stored hash carries its own, so that they may be raised.
const (
	passwordPasses = 2
	passwordMemKiB = 19 << 10
	passwordLanes  = 1
	passwordHash   = 32
)

// Member is a person of a tenant's team.
type Member struct {
	Tenant chat.TenantID
	// Email is in lower case; it names the member within the tenant.
	Email string
	// Role is a plain word such as "owner".
	Role string
}

// hashPassword makes the entry of a member; the salt is fresh.
func hashPassword(m Member, password chat.Secret) (memberEntry, error) {
	e := memberEntry{Member: m, salt: make([]byte, 16),
		passes: passwordPasses, memKiB: passwordMemKiB, lanes: passwordLanes}
	if _, err := rand.Read(e.salt); err != nil {
		return memberEntry{}, chat.E("directory.PutMember", chat.KindUnavailable, "no randomness for a salt", err)
	}
	e.hash = e.digest(password)
	return e, nil
}

// matches reports whether password is the member's.
func (e *memberEntry) matches(password chat.Secret) bool {
	return subtle.ConstantTimeCompare(e.hash, e.digest(password)) == 1
}

func (e *memberEntry) digest(password chat.Secret) []byte {
	return argon2.IDKey([]byte(password.Reveal()), e.salt, e.passes, e.memKiB, uint8(e.lanes), passwordHash)
}
