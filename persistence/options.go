package persistence

import (
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/metrics/failpoint"
	"github.com/chumiai/chumi/persistence/seal"
)

// The defaults of Options.
const (
	// DefaultGroups is enough to spread leaders over a handful of nodes.
	DefaultGroups = 16
	// DefaultDiskReserve leaves room for a compaction of every level but the
	// last of a store that filled the disk.
	DefaultDiskReserve = 512 << 20
	// DefaultDiskPoll is how old the knowledge of free space may be: at 500 MB/s
	// the reserve lasts as long.
	DefaultDiskPoll = time.Second
	// DefaultCacheSize holds the hot blocks of a few hundred thousand conversations.
	DefaultCacheSize = 256 << 20
	// DefaultMemTableSize is a second of writing at full speed.
	DefaultMemTableSize = 64 << 20
	// DefaultSyncInterval is what a node that serves should use: about the
	// duration of a sync, far below what a webhook may take.
	DefaultSyncInterval = 300 * time.Microsecond
	// DefaultKeyCacheLen bounds contact keys held unwrapped, 1.5 KB each.
	DefaultKeyCacheLen = 16384
)

// groupMax keeps groups below the metadata group's number.
const groupMax = 4096

// Options configure a Store. Only Dir and KEK are required.
type Options struct {
	// Dir is the directory of the store, made if absent.
	Dir string
	// FS is the file system; nil means the operating system's.
	FS vfs.FS
	// KEK wraps the keys of tenants. A store opens only with the key it was
	// created with.
	KEK *seal.KEK
	// Groups is the number of groups of a new store. An existing one keeps its
	// own number, and another value here is refused; 0 accepts it.
	Groups int
	// Logger receives what the store has to say; nil means slog.Default.
	Logger *slog.Logger
	// Fatal ends the process after a write that may not have become durable,
	// or after corruption. It must not return; the default logs and exits 1.
	Fatal func(reason string)
	// Metrics are the instruments; nil means unregistered ones.
	Metrics *metrics.Journal
	// Clock is the wall clock; nil means time.Now.
	Clock func() time.Time
	// DiskReserve is the free space, in bytes, below which ordinary commits are
	// refused with KindUnavailable; negative means none.
	DiskReserve int64
	// DiskPoll is how often free space is looked at.
	DiskPoll time.Duration
	// DiskFree returns the free bytes; nil asks FS.
	DiskFree func() (uint64, error)
	// CacheSize and MemTableSize are in bytes.
	CacheSize    int64
	MemTableSize int
	// SyncInterval is the least time between two syncs of the log while there is
	// more to sync: a busy node syncs more commits at once for it, an idle one
	// does not wait. Zero means none.
	SyncInterval time.Duration
	// KeyCacheLen bounds contact keys held unwrapped.
	KeyCacheLen int
	// Files are deleted with the person they belong to; nil for a store without.
	Files Files
	// ReadOnly opens the store for offline reading; nothing is written.
	ReadOnly bool
	// Formats is what the build can run under; zero means what this one can. Only
	// tests of upgrades set another.
	Formats Formats
}

// EnsureDefaults fills every unset field but Dir, KEK and Groups.
func (o *Options) EnsureDefaults() {
	if o.Formats == (Formats{}) {
		o.Formats = Formats{Oldest: FormatOldest, Newest: FormatNewest}
	}
	if o.FS == nil {
		o.FS = systemFS()
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Fatal == nil {
		o.Fatal = exit
	}
	if o.Metrics == nil {
		o.Metrics = &metrics.New(nil).Journal
	}
	if o.Clock == nil {
		o.Clock = failpoint.Now
	}
	if o.DiskReserve == 0 {
		o.DiskReserve = DefaultDiskReserve
	}
	if o.DiskPoll <= 0 {
		o.DiskPoll = DefaultDiskPoll
	}
	if o.DiskFree == nil {
		fsys, dir := o.FS, o.Dir
		o.DiskFree = func() (uint64, error) {
			usage, err := fsys.GetDiskUsage(dir)
			return usage.AvailBytes, err
		}
	}
	if o.CacheSize <= 0 {
		o.CacheSize = DefaultCacheSize
	}
	if o.MemTableSize <= 0 {
		o.MemTableSize = DefaultMemTableSize
	}
	if o.KeyCacheLen <= 0 {
		o.KeyCacheLen = DefaultKeyCacheLen
	}
}

// Validate reports the first option that cannot be used.
func (o *Options) Validate() error {
	const op = "persistence.Options"
	switch {
	case o.Dir == "":
		return chat.E(op, chat.KindInvalid, "Dir is empty", nil)
	case o.KEK == nil:
		return chat.E(op, chat.KindInvalid, "KEK is missing", nil)
	case o.Groups < 0 || o.Groups > groupMax:
		return chat.E(op, chat.KindInvalid, "Groups must be between 1 and 4096", nil)
	}
	return nil
}

// formatMajorVersion is the newest Pebble format without experimental parts.
const formatMajorVersion = pebble.FormatWALSyncChunks
