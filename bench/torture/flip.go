package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// flipsEach is how many bits of each store are flipped, one at a time.
const flipsEach = 24

// The classes of files of a data directory whose bits are flipped.
const (
	classTable    = "table"
	classLog      = "log"
	classManifest = "manifest"
	classOptions  = "options"
	classOther    = "other"
)

// flipClasses lists them in turn; tables and logs hold what customers wrote.
var flipClasses = []string{classTable, classLog, classManifest, classTable, classLog, classOptions, classTable, classOther}

// classOf is the class of a file by its name; "" when it is left alone: keys are
// not data, and a lock is empty.
func classOf(name string) string {
	base := filepath.Base(name)
	switch {
	case strings.HasSuffix(base, ".sst"):
		return classTable
	case strings.HasSuffix(base, ".log"):
		return classLog
	case strings.HasPrefix(base, "MANIFEST-"):
		return classManifest
	case strings.HasPrefix(base, "OPTIONS-"):
		return classOptions
	case base == "LOCK" || base == "kek":
		return ""
	}
	return classOther
}

// restarts makes a store of several tables and logs: what a log holds goes into a
// table when an engine starts. Knowledge is put in, so that tables have it too.
func restarts(ctx context.Context, x *ordeal) error {
	if err := x.teach(ctx); err != nil {
		return err
	}
	for range 3 {
		x.busy(ctx, time.Second)
		x.down()
		if err := x.up(ctx); err != nil {
			return err
		}
	}
	x.busy(ctx, 2*time.Second)
	return nil
}

// teach adds a document to the knowledge of the first tenant.
func (x *ordeal) teach(ctx context.Context) error {
	k := x.world.Keys[0]
	return x.tell(ctx, http.MethodPost, "/v1/knowledge", k.Secret, map[string]any{
		"title": "Opening hours", "text": strings.Repeat("The shop is open from nine to six on every day but Sunday. ", 200)})
}

// flips flips bits of copies of the store that was audited, and looks at what
// each copy is taken for.
func flips(ctx context.Context, x *ordeal, truth *Book) error {
	files, err := flippable(x.start.DataDir)
	if err != nil {
		return err
	}
	for n := range flipsEach {
		class := flipClasses[(n+x.number*flipsEach)%len(flipClasses)]
		if len(files[class]) == 0 {
			class = classTable
		}
		if len(files[class]) == 0 {
			continue
		}
		f := flipped{class: class}
		if err := x.flip(ctx, files[class], truth, &f); err != nil {
			return err
		}
		f.judge(x.out, x.v)
	}
	return ctx.Err()
}

// sized is a file with bytes in it.
type sized struct {
	name string // from the data directory
	size int64
}

// flippable lists the files of a data directory by class.
func flippable(dir string) (map[string][]sized, error) {
	out := map[string][]sized{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, p)
		if class := classOf(name); err == nil && class != "" && info.Size() > 0 {
			out[class] = append(out[class], sized{name, info.Size()})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("torture: %w", err)
	}
	return out, nil
}

// choose draws a bit of the files: each byte is as likely as any other.
func choose(r *rand.Rand, files []sized) (name string, at int64, bit byte) {
	total := int64(0)
	for _, f := range files {
		total += f.size
	}
	at = r.Int64N(total)
	for _, f := range files {
		if at < f.size {
			return f.name, at, 1 << r.IntN(8)
		}
		at -= f.size
	}
	return "", 0, 0
}

// flip makes a copy with one other bit, checks it, and serves from it.
func (x *ordeal) flip(ctx context.Context, files []sized, truth *Book, f *flipped) error {
	copied := x.start
	copied.DataDir = filepath.Join(x.dir, "flipped")
	defer os.RemoveAll(copied.DataDir)
	if err := os.CopyFS(copied.DataDir, os.DirFS(x.start.DataDir)); err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	if err := os.Chmod(filepath.Join(copied.DataDir, "secrets", "kek"), 0o400); err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	name, at, bit := choose(x.r, files)
	f.where = fmt.Sprintf("%s, byte %d, bit %#x", name, at, bit)
	if err := flipBit(filepath.Join(copied.DataDir, name), at, bit); err != nil {
		return err
	}
	f.checked = child.Check(ctx, copied)
	e, err := child.Start(ctx, copied)
	var died *child.DiedError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &died):
		f.refused = err
		return nil
	case err != nil:
		return err
	}
	defer e.Kill()
	for _, k := range x.world.Keys {
		reader := &child.Reader{Client: x.desk.client, Key: k.Secret}
		var got []child.Event
		f.broken = errors.Join(f.broken, reader.Feed(ctx, e.API, 0, func(e *child.Event) { got = append(got, *e) }))
		f.compare(k.Tenant, truth.Exported[k.Tenant], got)
	}
	return ctx.Err()
}

// flipBit changes one bit of a file.
func flipBit(path string, at int64, bit byte) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		if err = os.Chmod(path, 0o600); err == nil {
			f, err = os.OpenFile(path, os.O_RDWR, 0)
		}
	}
	if err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("torture: %w", err)
	}
	b[0] ^= bit
	if _, err := f.WriteAt(b, at); err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	return nil
}

// flipped is what became of a store with one other bit.
type flipped struct {
	class, where string
	// checked is what check said, refused why the engine did not start, broken what
	// reading through the API ended with.
	checked, refused, broken error
	// served counts the events that were read, wrong describes those that are not as
	// they were stored, missing counts those that were not served.
	served  int64
	wrong   []string
	missing int64
}

// compare holds what a tenant's feed showed against what is true. What the engine
// has done since it started comes behind that.
func (f *flipped) compare(tenant string, truth, got []child.Event) {
	f.served += int64(len(got))
	for i := range truth {
		at, found := slices.BinarySearchFunc(got, truth[i].Pos, func(e child.Event, pos uint64) int {
			return int(int64(e.Pos) - int64(pos)) // #nosec G115 -- positions of a trial are small
		})
		switch {
		case !found:
			f.missing++
		case !reflect.DeepEqual(got[at], truth[i]):
			f.wrong = append(f.wrong, fmt.Sprintf("%s: pos %d, %s", tenant, truth[i].Pos, truth[i].Kind))
		}
	}
}

func (f *flipped) judge(t *Tally, v *Verdict) {
	t.Chances[ChanceFlips]++
	t.Chances[ChanceServed] += f.served
	for _, w := range f.wrong {
		t.breach(WrongServed, "%s: %s", f.where, w)
	}
	said := f.checked != nil || f.refused != nil || f.broken != nil
	if f.missing > 0 && !said {
		t.breach(Unnoticed, "%s: %d events are missing, check is content and nothing failed", f.where, f.missing)
	}
	var by []string
	for _, n := range []struct {
		err error
		who string
	}{{f.checked, "by check"}, {f.refused, "at the start"}, {f.broken, "by who read"}} {
		if n.err != nil {
			by = append(by, n.who)
		}
	}
	how := "harmless: everything is as it was stored"
	switch {
	case len(by) > 0:
		how = "noticed " + strings.Join(by, " and ")
	case f.missing > 0 || len(f.wrong) > 0:
		how = "unnoticed"
	}
	if f.refused == nil && f.broken == nil && f.missing > 0 {
		how += ", served less"
	}
	v.Outcomes[f.class+", "+how]++
}
