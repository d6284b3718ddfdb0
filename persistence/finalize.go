package persistence

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// # Finalize
//
// A build runs under a range of formats. Which one is active, and so what may be
// written, is agreed on like everything else:
//
//   - The directory's row of the cluster holds it. Change.Finalize raises it, in one
//     entry of the metadata group.
//   - Every commit names the format it was made under. Who stages one of a format that
//     it does not know must end before anything of it is in its store.
//   - The store's own row holds the newest format of anything in it, and rises in the
//     batch, or ahead of the tables, that bring the first of it. So a build that opens
//     a store knows all of what is there, and one that does not refuses to open it.
//
// What a later format adds is written only where Store.Format allows it, and stage
// goes by the format of the commit, never by that of the store: replicas hear of a
// finalize at different times.
//
// Invariant: the store's format is at or above that of the cluster's row in it.

// Format is the newest format of anything in the store: the active one as far as
// this node knows. It never falls.
func (s *Store) Format() FormatVersion { return FormatVersion(s.format.Load()) }

// Format is the store's.
func (d *Directory) Format() FormatVersion { return d.vault.store.Format() }

// Formats is what this build can run under.
func (s *Store) Formats() Formats { return s.opts.Formats }

// Finalize raises the format of a store to the newest that this build knows.
// REQUIRES: the store is of no cluster, and takes no commits yet.
func (s *Store) Finalize() error {
	to := s.opts.Formats.Newest
	if s.Format() >= to {
		return nil
	}
	if err := s.db.Set(keyFormat(), to.record(), pebble.Sync); err != nil {
		return chat.E("store.Finalize", chat.KindUnavailable, "cannot raise the format of the data directory to "+to.String(), err)
	}
	s.raised(to)
	return nil
}

// AdoptFormat raises the store's format in b, which brings something of format v into
// the store or goes ahead of it. REQUIRES: the caller stages the rounds, and v is known.
func (s *Store) AdoptFormat(b *pebble.Batch, v FormatVersion) error {
	if v <= s.Format() {
		return nil
	}
	s.raised(v)
	return b.Set(keyFormat(), v.record(), nil)
}

// raised makes v the format by which this node writes.
func (s *Store) raised(v FormatVersion) {
	s.format.Store(uint32(v))
	s.opts.Metrics.Format.Set(float64(v))
}

// Writable says why this build must not write to the store as it is, nil when it may.
func (s *Store) Writable() error {
	if has := s.Format(); has < s.opts.Formats.Oldest {
		return chat.E("store.Serve", chat.KindInvalid, "the data directory has format "+has.String()+", this binary writes "+
			s.opts.Formats.Oldest.String()+" at the oldest; run one that can write both, and finalize there", nil)
	}
	return nil
}

// Understands says why this build must not stage what is of format v, nil when it may.
func (s *Store) Understands(v FormatVersion) error {
	if newest := s.opts.Formats.Newest; v > newest {
		return chat.E("persistence.stage", chat.KindInvalid, "the cluster was finalized to format "+v.String()+
			", this binary knows formats up to "+newest.String()+"; start the newer binary that the other nodes run", nil)
	}
	return nil
}

// FormatOf is the format that a commit was made under.
func FormatOf(c *recordpb.Commit) FormatVersion {
	return max(FormatVersion(c.Format), formatUnsaid)
}

// stamp makes a commit name the format it is made under, where it does not yet.
func (s *Store) stamp(c *recordpb.Commit) {
	if v := s.Format(); c.Format == 0 && v > formatUnsaid {
		c.Format = uint32(v)
	}
}

// Finalize raises the cluster's active format; one that is not above it changes
// nothing. The commit that does it is the first of the new format, so that whoever
// does not know that ends at it. REQUIRES: every member knows the format.
func (c *Change) Finalize(to FormatVersion) error {
	const op = "directory.Finalize"
	cl := c.next.cluster
	switch {
	case cl == (Cluster{}):
		return chat.E(op, chat.KindInvalid, "there is no cluster", nil)
	case to <= cl.Format:
		return nil
	}
	if err := c.store.Understands(to); err != nil {
		return err
	}
	cl.Format, c.format = to, to
	c.putCluster(cl)
	return nil
}
