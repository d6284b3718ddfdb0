package actors

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"io"
	"slices"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Sources is what people and programs do with a tenant's knowledge: give it, look how
// far its reading is, take it away. Every change is durable when it returns; the
// reading itself goes on behind it, see reading. Safe for concurrent use. Errors are
// *chat.Error.
type Sources struct{ sys *System }

// Sources returns the way to the knowledge. REQUIRES: Options.Texts is set.
func (s *System) Sources() *Sources { return &Sources{sys: s} }

var (
	errNoSource      = chat.E("sources", chat.KindNotFound, "source_not_found", nil)
	errSourceBusy    = chat.E("sources", chat.KindBusy, "source_changed", nil)
	errKnowledgeFull = chat.E("sources", chat.KindConflict, "too_many_sources", nil)
)

// sourceTries is how often a change is made on a source that changes meanwhile.
const sourceTries = 8

// sourcePause grows with each of them.
const sourcePause = 5 * time.Millisecond

// List returns a tenant's sources, in the order they were given.
func (k *Sources) List(ctx context.Context, t chat.TenantID) ([]chat.Source, error) {
	docs, err := k.sys.opt.Documents.Docs(ctx, t, chat.DocSource)
	if err != nil {
		return nil, err
	}
	var list []chat.Source
	for _, d := range docs {
		if s, known := chat.SourceFrom(d); known {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b chat.Source) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return list, nil
}

// Source returns one source; KindNotFound when there is none, also when it is
// another tenant's.
func (k *Sources) Source(t chat.TenantID, id chat.SourceID) (chat.Source, error) {
	value, found, err := k.sys.opt.Documents.Doc(t, chat.DocSource, string(id))
	if err != nil {
		return chat.Source{}, err
	}
	s, known := chat.SourceFrom(chat.Doc{ID: string(id), Value: value})
	if !found || !known {
		return chat.Source{}, errNoSource
	}
	return s, nil
}

// Add gives a tenant a source. key is the client's: with the same one the first
// source comes again, replayed is true then.
func (k *Sources) Add(ctx context.Context, t chat.TenantID, key string, given chat.Given) (s chat.Source, replayed bool, err error) {
	if !k.sys.asking.enter() {
		return s, false, errDraining
	}
	defer k.sys.asking.leave()
	sum := sha256.Sum256([]byte("source\x00" + string(t) + "\x00" + key))
	id := chat.SourceIDFrom(uploadWords.EncodeToString(sum[:16]))
	first, err := k.Source(t, id)
	if err == nil {
		return first, true, nil
	}
	if chat.KindOf(err) != chat.KindNotFound {
		return s, false, err
	}
	list, err := k.List(ctx, t)
	switch {
	case err != nil:
		return s, false, err
	case len(list) >= chat.SourcesMax:
		return s, false, errKnowledgeFull
	}
	if s, err = k.keep(ctx, t, chat.Source{ID: id}, given); err != nil {
		return s, false, err
	}
	if err = k.sys.learnt(ctx, t, chat.KnowledgeChanged{Source: s}); err != nil {
		k.drop(t, s)
		if first, again := k.Source(t, id); again == nil {
			return first, true, nil
		}
		return s, false, err
	}
	k.sys.reading.wake()
	s, err = k.Source(t, id)
	return s, false, err
}

// Replace gives a source another text, file or address. What is searched stays until
// the new one was read; chunks that say the same as before stay what they are.
func (k *Sources) Replace(ctx context.Context, t chat.TenantID, id chat.SourceID, given chat.Given) (chat.Source, error) {
	return k.change(ctx, t, id, func(was chat.Source) (chat.Source, error) {
		return k.keep(ctx, t, was, given)
	})
}

// Reindex has a source read again: its website fetched, its file cut anew.
func (k *Sources) Reindex(ctx context.Context, t chat.TenantID, id chat.SourceID) (chat.Source, error) {
	return k.change(ctx, t, id, func(s chat.Source) (chat.Source, error) {
		s.Revision++
		s.State, s.Reason, s.Stored, s.Embedded = chat.SourceWaiting, "", 0, 0
		return s, nil
	})
}

// change makes a change on what a source is now.
func (k *Sources) change(ctx context.Context, t chat.TenantID, id chat.SourceID, how func(chat.Source) (chat.Source, error)) (chat.Source, error) {
	if !k.sys.asking.enter() {
		return chat.Source{}, errDraining
	}
	defer k.sys.asking.leave()
	for try := range sourceTries {
		was, err := k.Source(t, id)
		if err != nil {
			return was, err
		}
		next, err := how(was)
		if err != nil {
			return was, err
		}
		err = k.sys.learnt(ctx, t, chat.KnowledgeChanged{Source: next})
		if err == nil {
			if was.Blob != next.Blob {
				k.drop(t, was)
			}
			k.sys.reading.wake()
			return k.Source(t, id)
		}
		if was.Blob != next.Blob {
			k.drop(t, next)
		}
		if err != errSourceBusy { //nolint:errorlint // learnt returns it as it is
			return was, err
		}
		// Its reading goes on in steps of its own.
		if !pause(ctx, k.sys.opt.Clock, time.Duration(try+1)*sourcePause) {
			break
		}
	}
	return chat.Source{}, errSourceBusy
}

// keep stores what was given, sealed, and is the source that waits for its reading.
func (k *Sources) keep(ctx context.Context, t chat.TenantID, s chat.Source, given chat.Given) (chat.Source, error) {
	s.Kind, s.Revision, s.State, s.Reason = given.Kind, s.Revision+1, chat.SourceWaiting, ""
	s.Stored, s.Embedded = 0, 0
	if given.Title != "" || s.Title == "" {
		s.Title = given.Title
	}
	s.URL, s.PagesMax, s.MIME, s.Filename = given.URL, given.PagesMax, given.MIME, given.Filename
	s.Blob, s.Key, s.Size, s.SHA256 = "", nil, 0, ""
	if given.Kind != chat.SourceWebsite {
		body, _ := s.ID.Body()
		kept, err := k.sys.opt.Files.Keep(ctx, t, chat.UploadStem(chat.UploadIDFrom(body)), bytes.NewReader(given.Body))
		if err != nil {
			return s, err
		}
		s.Blob, s.Key, s.Size, s.SHA256 = kept.Blob, kept.Key, kept.Size, kept.SHA256
	}
	if reason := s.Sound(); reason != "" {
		k.drop(t, s)
		return s, chat.E("sources", chat.KindInvalid, reason, nil)
	}
	return s, nil
}

func (k *Sources) drop(t chat.TenantID, s chat.Source) {
	if s.Blob != "" {
		k.sys.files.drop(t, string(s.Blob))
	}
}

// Remove takes a source away: no search that begins after it returned finds it. A
// turn that saw its text has that in its own record.
func (k *Sources) Remove(ctx context.Context, t chat.TenantID, id chat.SourceID) error {
	if !k.sys.asking.enter() {
		return errDraining
	}
	defer k.sys.asking.leave()
	for range sourceTries {
		s, err := k.Source(t, id)
		if err != nil {
			return err
		}
		of, err := k.sys.holdings(ctx, t, id)
		if err != nil {
			return err
		}
		gone := chat.KnowledgeChanged{Source: s, Removed: true, Shown: true, Stale: of.batchKeys()}
		for i := range of.chunks {
			gone.Gone = append(gone.Gone, of.chunks[i].Key())
		}
		switch err := k.sys.learnt(ctx, t, gone); err {
		case nil:
			k.drop(t, s)
			return nil
		case errSourceBusy:
		default:
			return err
		}
	}
	return errSourceBusy
}

// Search has a person try what the assistant would find.
func (k *Sources) Search(ctx context.Context, t chat.TenantID, query string, n int) ([]chat.Passage, error) {
	if k.sys.opt.Knowledge == nil {
		return nil, nil
	}
	return k.sys.opt.Knowledge.Search(ctx, t, query, n)
}

// sourceFile is what a source was given as.
func (s *System) sourceFile(ctx context.Context, t chat.TenantID, of *chat.Source) ([]byte, error) {
	r, err := s.opt.Opener.Open(ctx, t, of.Blob, of.Key, 0)
	if err != nil {
		if chat.KindOf(err) == chat.KindNotFound {
			err = errFileGone
		}
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return io.ReadAll(io.LimitReader(r, of.Size))
}

// learnt makes a step durable. errSourceBusy says that the source is not any more
// what the step was made on.
func (s *System) learnt(ctx context.Context, t chat.TenantID, f chat.KnowledgeChanged) error {
	a := s.ask(ctx, &mail{tenant: t, group: s.opt.Leadership.Group(t), items: []item{{fact: f}}})
	switch {
	case a.err != nil:
		return a.err
	case a.verdicts[0].Kind != chat.VerdictRefused:
		return nil
	case a.verdicts[0].Reason == "source_changed":
		return errSourceBusy
	}
	return chat.E("sources", chat.KindInvalid, a.verdicts[0].Reason, nil)
}
