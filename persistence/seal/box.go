package seal

import (
	"crypto/rand"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"github.com/chumiai/chumi/chat"
)

// KeyLen is the length of every key, in bytes.
const KeyLen = 32

// Overhead is how much longer a sealed text is than its plain text.
const Overhead = subtle.AESGCMIVSize + subtle.AESGCMTagSize

// NewKey draws a random key.
func NewKey() []byte {
	key := make([]byte, KeyLen)
	// Read fills key entirely or ends the process; it returns no error.
	_, _ = rand.Read(key)
	return key
}

// Box seals and opens with one key. It is safe for concurrent use.
type Box struct{ aead *subtle.AESGCM }

// NewBox returns a box for a key of KeyLen bytes; the key is not kept.
func NewBox(key []byte) (*Box, error) {
	if len(key) != KeyLen {
		return nil, chat.E("seal.NewBox", chat.KindCorrupt, "a key has the wrong length", nil)
	}
	aead, err := subtle.NewAESGCM(key)
	if err != nil {
		return nil, chat.E("seal.NewBox", chat.KindCorrupt, "a key is not usable", err)
	}
	return &Box{aead: aead}, nil
}

// Seal encrypts plain with a fresh nonce and binds ad to it.
func (b *Box) Seal(plain, ad []byte) ([]byte, error) {
	sealed, err := b.aead.Encrypt(plain, ad)
	if err != nil {
		return nil, chat.E("seal.Seal", chat.KindOther, "cannot encrypt", err)
	}
	return sealed, nil
}

// Open decrypts what Seal returned for the same ad. The error is KindCorrupt
// for anything else, and says nothing about the content.
func (b *Box) Open(sealed, ad []byte) ([]byte, error) {
	plain, err := b.aead.Decrypt(sealed, ad)
	if err != nil {
		return nil, chat.E("seal.Open", chat.KindCorrupt, "sealed bytes do not open with this key and place", nil)
	}
	return plain, nil
}
