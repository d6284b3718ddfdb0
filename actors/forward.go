package actors

import (
	"context"
	"crypto/sha256"

	"github.com/chumiai/chumi/chat"
)

// errForwarded is a message with a file of somebody else's that is not to be had.
var errForwarded = chat.Verdict{Kind: chat.VerdictRefused, Reason: "media_not_found"}

// forwarded exchanges the files of messages in a content for files of the tenant's own,
// so that what is queued does not depend on the person who sent them. refused is for a
// file that is not there, not there yet, erased, taken back, or another tenant's.
func (i *Ingress) forwarded(ctx context.Context, t chat.TenantID, c *chat.Content) (own *chat.Content, refused bool, err error) {
	names := map[string]string{}
	for _, blob := range c.Blobs() {
		if _, _, ok := chat.BlobID(blob).Message(); !ok || i.sys.opt.Files == nil {
			continue
		}
		u, err := i.sys.library.adopt(ctx, t, chat.BlobID(blob))
		switch chat.KindOf(err) {
		case chat.KindNotFound, chat.KindCorrupt:
			return c, true, nil
		}
		if err != nil {
			return c, false, err
		}
		names[blob] = string(u.Blob)
	}
	own, err = c.Renamed(names)
	return own, false, err
}

// adopt makes a file of a message one of the tenant's own, once: the same file again
// gives the first copy, also when the message is gone by then.
func (l *Library) adopt(ctx context.Context, t chat.TenantID, b chat.BlobID) (u chat.Upload, err error) {
	sum := sha256.Sum256([]byte("forward\x00" + string(t) + "\x00" + string(b)))
	owner := uploadWords.EncodeToString(sum[:16])
	if u, found, err := l.upload(t, owner); err != nil || found {
		return u, err
	}
	if !l.sys.asking.enter() {
		return u, errDraining
	}
	defer l.sys.asking.leave()
	body, info, err := l.File(ctx, t, string(b), 0, 0)
	if err != nil {
		return u, err
	}
	defer func() { _ = body.Close() }()
	u, _, err = l.store(ctx, t, owner, info, body)
	return u, err
}
