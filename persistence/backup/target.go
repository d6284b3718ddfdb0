package backup

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/blob"
	"github.com/chumiai/chumi/persistence/seal"
)

// Key is what everything in a Target is sealed with.
type Key struct {
	secret []byte
	// fingerprint names the key without telling anything about it.
	fingerprint string
}

// NewKey returns the backup key that a key-encryption key, or any other key of its
// form, leads to. The key itself is not kept.
func NewKey(from *seal.KEK) Key {
	secret := from.Derive("chumi.backup.v1")
	sum := sha256.Sum256(append([]byte("chumi.backup.key.v1"), secret...))
	return Key{secret, hex.EncodeToString(sum[:8])}
}

// Fingerprint names the key: 16 hexadecimal characters.
func (k Key) Fingerprint() string { return k.fingerprint }

// object is the name of a content.
func (k Key) object(content [sha256.Size]byte, size int64) string {
	mac := hmac.New(sha256.New, seal.Derive(k.secret, "name"))
	mac.Write(binary.BigEndian.AppendUint64(content[:], uint64(size))) // #nosec G115 -- not negative
	name := hex.EncodeToString(mac.Sum(nil))
	return objectsDir + "/" + name[:2] + "/" + name
}

// file seals and opens what has a name in the target.
func (k Key) file(name string) (*seal.File, error) {
	return seal.NewFile(seal.Derive(k.secret, "file "+name), []byte("chumi.backup.v1\x00"+name))
}

// Target is where backups are. Safe for concurrent use.
type Target struct {
	place blob.Place
	key   Key
	// name is how the operator called it.
	name string
}

// The parts of a target.
const (
	objectsDir  = "objects"
	backupsDir  = "backups"
	erasuresDir = "erasures"
)

// NewTarget returns the target in a place. name is for people.
func NewTarget(p blob.Place, name string, k Key) *Target { return &Target{p, k, name} }

// String is the target as the operator called it.
func (t *Target) String() string { return t.name }

// put stores what r yields under a name, sealed.
func (t *Target) put(ctx context.Context, name string, r io.Reader) error {
	file, err := t.key.file(name)
	if err != nil {
		return err
	}
	return t.place.Put(ctx, name, func(dst io.Writer) error {
		w, err := file.Seal(dst)
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
		return w.Close()
	})
}

// get opens what is stored under a name. Errors name it.
func (t *Target) get(ctx context.Context, name string) (io.ReadCloser, error) {
	file, err := t.key.file(name)
	if err != nil {
		return nil, err
	}
	sealed, err := t.place.Get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	plain, err := file.Open(sealed)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, damaged(err)), sealed.Close())
	}
	return &reading{name, plain, sealed}, nil
}

// reading is an open file of the target.
type reading struct {
	name  string
	plain io.Reader
	io.Closer
}

// Read implements io.Reader.
func (r *reading) Read(b []byte) (int, error) {
	n, err := r.plain.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%s: %w", r.name, damaged(err))
	}
	return n, err
}

// damaged says what it means that a sealed file does not open.
func damaged(err error) error {
	if chat.KindOf(err) == chat.KindCorrupt {
		return chat.E("backup", chat.KindCorrupt, "the file is damaged, cut or not what was stored under this name", nil)
	}
	return err
}

// under lists the names below a directory of the target.
func (t *Target) under(ctx context.Context, dir string) (map[string]time.Time, error) {
	names := map[string]time.Time{}
	err := t.place.List(ctx, dir+"/", func(name string, modified time.Time) error {
		if strings.HasPrefix(name, dir+"/") {
			names[name] = modified
		}
		return nil
	})
	return names, err
}
