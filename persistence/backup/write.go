package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/blob"
)

// Progress is how far something is. Total is 0 while that is not known.
type Progress struct {
	// Doing is a word or two for people.
	Doing        string `json:"doing"`
	Done, Total  int64
	Bytes        int64 // read or written so far
	Stored, Same int64 // objects that were new, and that the target had
}

// Source is what one node gives to a backup.
type Source struct {
	Node chat.NodeID
	// Dir holds the files of the store, which stand still; Store reads them.
	FS    vfs.FS
	Dir   string
	Store *persistence.Store
	// Identity is that of the store which the files are of.
	Identity string
	// Groups are those to be taken from this part. With none, the store is left out.
	Groups []chat.Group
	// Media is where files of messages lie; nil when they are not part of the backup.
	Media blob.Place
}

// WritePart stores what a node gives to a backup that is not there yet. Known are the
// manifests of before: media they name are not read again. progress may be nil.
func (t *Target) WritePart(ctx context.Context, s Source, known *Manifest, progress func(Progress)) (*Part, error) {
	w := &writer{target: t, tell: progress}
	var err error
	if w.have, err = t.under(ctx, objectsDir); err != nil {
		return nil, err
	}
	p := &Part{Node: s.Node, Store: s.Identity}
	w.say("reading the state")
	sums, err := s.Store.StateSums(ctx, s.Groups)
	if err != nil {
		return nil, err
	}
	for _, g := range s.Groups {
		p.Groups = append(p.Groups, Group{g, sums[g].String()})
	}
	if len(s.Groups) > 0 {
		if p.Files, err = w.store(ctx, s); err != nil {
			return nil, err
		}
	}
	p.Media, err = w.media(ctx, s.Media, known)
	return p, err
}

// store stores the files of a store.
func (w *writer) store(ctx context.Context, s Source) (files []File, err error) {
	names, err := storeFiles(s.FS, s.Dir)
	if err != nil {
		return nil, err
	}
	w.say("copying the store")
	w.at.Total = int64(len(names))
	for _, name := range names {
		open := func() (io.ReadCloser, error) { return openFile(s.FS, s.FS.PathJoin(s.Dir, name)) }
		f, err := w.file(ctx, "store/"+name, open)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// storeFiles lists the files of a store's directory: not what lies deeper, nor the
// lock.
func storeFiles(fs vfs.FS, dir string) ([]string, error) {
	all, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range all {
		info, err := fs.Stat(fs.PathJoin(dir, name))
		if err != nil {
			return nil, err
		}
		if !info.IsDir() && name != "LOCK" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func openFile(fs vfs.FS, name string) (io.ReadCloser, error) {
	return fs.Open(name, vfs.SequentialReadsOption)
}

// writer stores files as objects.
type writer struct {
	target *Target
	// have holds the objects of the target.
	have map[string]time.Time
	tell func(Progress)

	mu sync.Mutex // guards at, which a reader of a file moves
	at Progress
}

func (w *writer) say(doing string) {
	w.at = Progress{Doing: doing, Bytes: w.at.Bytes, Stored: w.at.Stored, Same: w.at.Same}
	w.moved(0)
}

func (w *writer) moved(files int64) {
	w.mu.Lock()
	w.at.Done += files
	at := w.at
	w.mu.Unlock()
	if w.tell != nil {
		w.tell(at)
	}
}

// file stores a file, unless the target has its content.
func (w *writer) file(ctx context.Context, name string, open func() (io.ReadCloser, error)) (File, error) {
	f := File{Name: name}
	sum := sha256.New()
	size, err := w.read(open, io.Discard, sum)
	if err != nil {
		return f, fmt.Errorf("%s cannot be read: %w", name, err)
	}
	content := [sha256.Size]byte(sum.Sum(nil))
	f.Size, f.SHA256, f.Object = size, hex.EncodeToString(content[:]), w.target.key.object(content, size)
	if _, ok := w.have[f.Object]; ok {
		w.at.Same++
		w.moved(1)
		return f, nil
	}
	if err := w.put(ctx, f, open); err != nil {
		return f, err
	}
	w.have[f.Object] = time.Time{}
	w.at.Stored++
	w.moved(1)
	return f, nil
}

// put puts the content of a file into the target. It must be what was read before.
func (w *writer) put(ctx context.Context, f File, open func() (io.ReadCloser, error)) error {
	r, err := open()
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", f.Name, err)
	}
	sum := sha256.New()
	err = w.target.put(ctx, f.Object, &whole{r: io.TeeReader(r, sum), sum: sum, want: f.SHA256})
	if err != nil {
		err = fmt.Errorf("%s: %w", f.Name, err)
	}
	return errors.Join(err, r.Close())
}

func (w *writer) read(open func() (io.ReadCloser, error), dst io.Writer, sum hash.Hash) (int64, error) {
	r, err := open()
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.MultiWriter(dst, sum), r)
	w.mu.Lock()
	w.at.Bytes += n
	w.mu.Unlock()
	return n, errors.Join(err, r.Close())
}

// whole fails at the end of a content that is not the one expected.
type whole struct {
	r    io.Reader
	sum  hash.Hash
	want string
}

// Read implements io.Reader.
func (h *whole) Read(b []byte) (int, error) {
	n, err := h.r.Read(b)
	if errors.Is(err, io.EOF) && hex.EncodeToString(h.sum.Sum(nil)) != h.want {
		return n, chat.E("backup", chat.KindCorrupt, "the content is not what it was: the disk or its memory is damaged", nil)
	}
	return n, err
}

// media stores files of messages. Their names are never used twice, so that what a
// backup of before names is not read again.
func (w *writer) media(ctx context.Context, from blob.Place, known *Manifest) ([]File, error) {
	if from == nil {
		return nil, nil
	}
	w.say("copying media")
	before := map[string]File{}
	if known != nil {
		for _, p := range known.Parts {
			for _, f := range p.Media {
				before[f.Name] = f
			}
		}
	}
	var names []string
	err := from.List(ctx, "", func(name string, _ time.Time) error {
		names = append(names, name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	w.at.Total = int64(len(names))
	var files []File
	for _, name := range names {
		f, ok := before[path.Join("media", name)]
		if _, stored := w.have[f.Object]; ok && stored {
			w.at.Same++
			w.moved(1)
			files = append(files, f)
			continue
		}
		f, err := w.file(ctx, path.Join("media", name), func() (io.ReadCloser, error) { return from.Get(ctx, name) })
		if chat.KindOf(err) == chat.KindNotFound {
			continue // deleted meanwhile, with what it belonged to
		}
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}
