package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/chumiai/chumi/chat"
)

// KEK is the key-encryption key: it wraps the keys of tenants and lives
// outside the store. It is safe for concurrent use.
type KEK struct {
	box         *Box
	fingerprint string
	key         []byte
}

// NewKEK returns a key-encryption key of KeyLen bytes.
func NewKEK(key []byte) (*KEK, error) {
	box, err := NewBox(key)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte("chumi.kek.v1"), key...))
	return &KEK{box: box, fingerprint: hex.EncodeToString(sum[:8]), key: bytes.Clone(key)}, nil
}

// Fingerprint names the key without revealing it: 16 hex characters. It is
// stored with the data, so that another key is refused at start.
func (k *KEK) Fingerprint() string { return k.fingerprint }

// Derive returns a key of KeyLen bytes for a purpose. Whoever has it learns neither
// this key nor that of another purpose.
func (k *KEK) Derive(purpose string) []byte { return Derive(k.key, purpose) }

// Derive is the key for a purpose that a key leads to.
func Derive(key []byte, purpose string) []byte {
	out, err := hkdf.Key(sha256.New, key, nil, purpose, KeyLen)
	if err != nil {
		panic(err) // only of a length that SHA-256 cannot give
	}
	return out
}

// Wrap encrypts a key or secret for the place ad.
func (k *KEK) Wrap(secret, ad []byte) ([]byte, error) { return k.box.Seal(secret, ad) }

// Unwrap is the inverse of Wrap.
func (k *KEK) Unwrap(wrapped, ad []byte) ([]byte, error) { return k.box.Open(wrapped, ad) }

// LoadKEK reads a key file: KeyLen bytes as hexadecimal text. A file that is
// Exposed is refused, and so is one that is not a key. A missing file is
// KindNotFound.
func LoadKEK(path string) (*KEK, error) {
	const op = "seal.LoadKEK"
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, chat.E(op, chat.KindNotFound, "no key-encryption key at "+path, nil)
	}
	if err != nil {
		return nil, chat.E(op, chat.KindOther, "cannot look at the key file", err)
	}
	if Exposed(info) {
		return nil, chat.E(op, chat.KindInvalid, "others may read "+path+"; run: chmod 0400 "+path, nil)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, chat.E(op, chat.KindOther, "cannot read the key file", err)
	}
	key, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != KeyLen {
		return nil, chat.E(op, chat.KindInvalid, path+" is not a key: want 64 hexadecimal characters", nil)
	}
	return NewKEK(key)
}

// LoadOrCreateKEK reads the key file at path, or draws a key and writes it
// there, readable by its owner only and durable before it returns.
func LoadOrCreateKEK(path string) (kek *KEK, created bool, err error) {
	const op = "seal.LoadOrCreateKEK"
	kek, err = LoadKEK(path)
	if chat.KindOf(err) != chat.KindNotFound {
		return kek, false, err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, chat.E(op, chat.KindOther, "cannot make the directory of the key file", err)
	}
	err = writeKey(dir, path, NewKey())
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, false, chat.E(op, chat.KindOther, "cannot write the key file", err)
	}
	created = err == nil
	kek, err = LoadKEK(path)
	return kek, created, err
}

// writeKey makes path hold key, entirely or not at all. It does not replace a
// file that another process put there meanwhile: the error is then fs.ErrExist.
func writeKey(dir, path string, key []byte) error {
	tmp, err := os.CreateTemp(dir, ".kek-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(hex.EncodeToString(key) + "\n")
	err = errors.Join(err, tmp.Chmod(0o400), tmp.Sync())
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
