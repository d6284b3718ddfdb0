package blob

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/seal"
)

// Place is where sealed files lie: a directory or a bucket. Safe for concurrent
// use. Errors are *chat.Error, KindUnavailable unless said otherwise.
type Place interface {
	// Put stores what fill writes. When fill fails, its error is returned and
	// nothing is stored. What Put returned without error survives a crash.
	Put(ctx context.Context, name string, fill func(io.Writer) error) error
	// Get opens a file; KindNotFound when there is none.
	Get(ctx context.Context, name string) (io.ReadSeekCloser, error)
	// Delete removes a file; one that is not there is no error.
	Delete(ctx context.Context, name string) error
	// List visits every file whose name begins with prefix, in no order. What is
	// added or removed meanwhile may be visited or not.
	List(ctx context.Context, prefix string, visit func(name string, modified time.Time) error) error
}

// Store seals files into a place and opens them. Safe for concurrent use.
type Store struct{ place Place }

// New returns a Store in a place.
func New(p Place) *Store { return &Store{place: p} }

// randomLen is 8 bytes in base32: chat.BlobRandomLen characters.
const randomLen = 8

var words32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Keep seals what r yields until io.EOF and stores it under a name of its own.
// An error of r is returned as it is, and nothing is stored.
func (s *Store) Keep(ctx context.Context, t chat.TenantID, stem chat.BlobStem, r io.Reader) (chat.Kept, error) {
	var random [randomLen]byte
	_, _ = rand.Read(random[:]) // fills it or ends the process
	k := chat.Kept{Blob: stem.Named(words32.EncodeToString(random[:])), Key: seal.NewKey()}
	file, err := seal.NewFile(k.Key, bound(t, stem))
	if err != nil {
		return chat.Kept{}, err
	}
	sum := sha256.New()
	err = s.place.Put(ctx, nameOf(t, k.Blob), func(dst io.Writer) error {
		w, err := file.Seal(dst)
		if err != nil {
			return err
		}
		if k.Size, err = io.Copy(io.MultiWriter(w, sum), r); err != nil {
			return err
		}
		return w.Close()
	})
	if err != nil {
		return chat.Kept{}, err
	}
	k.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return k, nil
}

// Open returns the plain file from an offset within it on, of which it reads no more
// than a piece too much. KindNotFound when it is not there, KindCorrupt from Open or
// Read when it is not what was kept.
func (s *Store) Open(ctx context.Context, t chat.TenantID, b chat.BlobID, key []byte, from int64) (io.ReadCloser, error) {
	stem, ok := b.Stem()
	if !ok {
		return nil, chat.E("blob.Open", chat.KindNotFound, "no file has such a name", nil)
	}
	file, err := seal.NewFile(key, bound(t, stem))
	if err != nil {
		return nil, err
	}
	sealed, err := s.place.Get(ctx, nameOf(t, b))
	if err != nil {
		return nil, err
	}
	plain, err := file.OpenAt(sealed, from)
	if err != nil {
		return nil, errors.Join(err, sealed.Close())
	}
	return &opened{plain, sealed}, nil
}

type opened struct {
	io.Reader
	io.Closer
}

// Drop deletes every file of the tenant whose name begins with prefix, which is
// at least a whole id: see chat.BlobStem.Prefix and chat.OwnerPrefix.
func (s *Store) Drop(ctx context.Context, t chat.TenantID, prefix string) error {
	if len(prefix) < prefixMin {
		return chat.E("blob.Drop", chat.KindInvalid, "the prefix does not name an owner", nil)
	}
	return s.place.List(ctx, nameOf(t, chat.BlobID(prefix)), func(name string, _ time.Time) error {
		return s.place.Delete(ctx, name)
	})
}

// prefixMin is "blob_" and an id.
const prefixMin = 5 + 26

// Each visits every file last changed before a time. An error of visit ends it.
// Files without a name of this package's are passed over: a bucket may hold
// others' too.
func (s *Store) Each(ctx context.Context, before time.Time, visit func(chat.TenantID, chat.BlobID) error) error {
	return s.place.List(ctx, "", func(name string, modified time.Time) error {
		t, b, ok := parseName(name)
		if !ok || !modified.Before(before) {
			return nil
		}
		return visit(t, b)
	})
}

// bound is what a file is sealed to.
func bound(t chat.TenantID, stem chat.BlobStem) []byte {
	return []byte("chumi.blob.v1\x00" + string(t) + "\x00" + string(stem))
}

// nameOf is where a file of a tenant lies. Two characters of the id spread the
// files of a tenant over a thousand directories.
func nameOf(t chat.TenantID, b chat.BlobID) string {
	return tenantName(t) + "/" + string(b[5:7]) + "/" + string(b)
}

// Prefix begins the name of every file of a tenant, and of no other's.
func Prefix(t chat.TenantID) string { return tenantName(t) + "/" }

// Named is the name of the file of a tenant with this name below Prefix; ok is false
// when no file of a tenant has such a name.
func Named(t chat.TenantID, rest string) (name string, ok bool) {
	name = Prefix(t) + rest
	of, _, ok := parseName(name)
	return name, ok && of == t
}

// tenantName makes a tenant's id one path segment, and never "." or "..".
func tenantName(t chat.TenantID) string {
	return strings.ReplaceAll(url.PathEscape(string(t)), ".", "%2E")
}

// parseName is the inverse of nameOf.
func parseName(name string) (chat.TenantID, chat.BlobID, bool) {
	parts := strings.Split(name, "/")
	if len(parts) != 3 {
		return "", "", false
	}
	tenant, err := url.PathUnescape(parts[0])
	b := chat.BlobID(parts[2])
	if _, ok := b.Stem(); !ok || err != nil || nameOf(chat.TenantID(tenant), b) != name {
		return "", "", false
	}
	return chat.TenantID(tenant), b, true
}
