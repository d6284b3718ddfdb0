package actors

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Keeping stored files in step with what refers to them.
const (
	// dropsMax bounds deletions under way; what is turned away is found by the
	// sweep.
	dropsMax = 256
	// dropTries is how often one deletion is tried.
	dropTries = 3
	// orphanAge is how old a file must be before nobody can be about to refer to
	// it.
	orphanAge = 24 * time.Hour
	// filesSweepEvery is how often the node looks for files nobody refers to.
	filesSweepEvery = 6 * time.Hour
)

// drop deletes files by prefix, soon. It may fail: see chat.DropFiles.
func (f *fetches) drop(t chat.TenantID, prefix string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.drops >= dropsMax || f.parked {
		return
	}
	if f.sys.workers.run(func() { f.dropNow(t, prefix) }) {
		f.drops++
	}
}

func (f *fetches) dropNow(t chat.TenantID, prefix string) {
	defer func() {
		f.mu.Lock()
		f.drops--
		f.mu.Unlock()
	}()
	for try := range dropTries {
		err := f.sys.opt.Files.Drop(f.sys.life, t, prefix)
		if err == nil {
			return
		}
		f.sys.opt.Logger.Warn("files could not be deleted; the sweep will", "tenant", t, "err", err)
		if !pause(f.sys.life, f.sys.opt.Clock, fetchPause<<try) {
			return
		}
	}
}

// sweepFiles looks for files that nobody refers to, until the process stops.
func (f *fetches) sweepFiles() {
	for pause(f.sys.walk, f.sys.opt.Clock, jittered(filesSweepEvery, f.sys.opt.Rand)) {
		if err := f.sweepOnce(f.sys.walk); err != nil && f.sys.walk.Err() == nil {
			f.sys.opt.Logger.Warn("files nobody refers to were not all found", "err", err)
		}
	}
}

// sweepOnce deletes every file that is a day old and that nothing refers to: the
// rest of a crash between a file and its commit, of an erase, of a withdrawal. A
// file of a tenant whose group this node does not lead is left to its leader.
func (f *fetches) sweepOnce(ctx context.Context) error {
	before := f.sys.opt.Clock.Now().Add(-orphanAge)
	return f.sys.opt.Files.Each(ctx, before, func(t chat.TenantID, b chat.BlobID) error {
		if f.sys.opt.Leadership.Epoch(f.sys.opt.Leadership.Group(t)) == 0 {
			return nil
		}
		wanted, err := f.referred(t, b)
		switch {
		case chat.KindOf(err) == chat.KindNotFound:
			return nil // a tenant of another installation that shares the bucket
		case err != nil:
			return err
		case wanted:
			return nil
		}
		f.sys.met.Media.Orphans.Inc()
		return f.sys.opt.Files.Drop(ctx, t, string(b))
	})
}

// referred reports whether anything refers to a file.
func (f *fetches) referred(t chat.TenantID, b chat.BlobID) (bool, error) {
	if m, index, ok := b.Message(); ok {
		value, found, err := f.sys.opt.Documents.Doc(t, chat.DocFiles, string(m))
		if err != nil || f.fetching(m, index) {
			return true, err
		}
		return found && names(value, b), nil
	}
	owner, ok := b.Owner()
	if !ok {
		return true, nil
	}
	u, found, err := f.sys.library.upload(t, owner)
	if err != nil || found {
		return err != nil || u.Blob == b, err
	}
	source, found, err := f.sys.opt.Documents.Doc(t, chat.DocSource, string(chat.SourceIDFrom(owner)))
	if err != nil || found {
		s, known := chat.SourceFrom(chat.Doc{ID: owner, Value: source})
		return err != nil || !known || s.Blob == b, err
	}
	_, _, err = f.sys.library.picture(t, chat.ContactIDFrom(owner), b)
	if errors.Is(err, errNoFile) {
		return false, nil
	}
	return true, err
}

// names reports whether the document of a message's files has the file.
func names(value []byte, b chat.BlobID) bool {
	var files chat.MessageFiles
	if json.Unmarshal(value, &files) != nil {
		return true // not to be deleted for being unreadable
	}
	for _, at := range files.Files {
		if at.Blob == b {
			return true
		}
	}
	return false
}
