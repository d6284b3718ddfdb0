package persistence

import (
	"bytes"
	"context"
	"crypto/rand"
	"reflect"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// Arrival says that a tenant came from an archive.
type Arrival struct {
	// Archive is the id of the archive, Since when its import was begun.
	Archive string
	Since   time.Time
	Stage   ArrivalStage
}

// ArrivalStage is how far a tenant from an archive is. Stored; never changes.
type ArrivalStage uint32

const (
	// ArrivalComing: it is not whole, and nobody can see it.
	ArrivalComing ArrivalStage = 1
	// ArrivalHeld: it is whole and must not act: what it owes may have been done since
	// by the one that it is a copy of. It takes in what comes, and nothing leaves.
	ArrivalHeld ArrivalStage = 2
	// ArrivalReleased: it is a tenant like any other.
	ArrivalReleased ArrivalStage = 3
)

// Arrivals has every tenant that came, or is coming, from an archive: true for those
// that must not act. The map is not changed.
func (d *Directory) Arrivals() map[chat.TenantID]bool { return d.table.Load().waiting }

// ReleaseTenant lets a tenant that came from an archive act, for good. One that acts
// already stays as it is.
func (d *Directory) ReleaseTenant(ctx context.Context, id chat.TenantID) error {
	const op = "directory.ReleaseTenant"
	return d.Change(ctx, func(c *Change) error {
		a, ok := c.next.arrivals[id]
		switch {
		case !ok:
			return chat.E(op, chat.KindNotFound, "tenant "+quoted(string(id))+" did not come from an archive", nil)
		case a.Stage == ArrivalComing:
			return chat.E(op, chat.KindConflict, "tenant "+string(id)+" is not whole: repeat its import", nil)
		}
		a.Stage = ArrivalReleased
		c.putArrival(id, a)
		return nil
	})
}

func (c *Change) putArrival(id chat.TenantID, a Arrival) {
	c.next.arrivals[id] = a
	old, ok := c.old.arrivals[id]
	c.row(directoryRow{rowArrival, string(id)}, ok && old == a, &recordpb.DirectoryArrival{
		Tenant: string(id), Archive: a.Archive, SinceMs: millis(a.Since), Stage: uint32(a.Stage)})
}

// Import is an import of a tenant under way. It is for one goroutine.
type Import struct {
	directory *Directory
	store     *Store
	realm     realm
	archive   string
	records   []Piece
	keys      []byte
	// whole is true when an import before this one has put every row.
	whole bool
	// attempt is the value of the tenant's arrival row while this import may go on.
	attempt []byte

	pending []*recordpb.Write
	bytes   int
}

// importChunk bounds the rows of one commit: what follows a large commit waits for it.
const importChunk = 64 << 10

// Import begins to put a tenant in place: records are its directory records, keys its
// PieceKeys, archive names where it comes from. Nothing of the tenant can be seen until
// Finish, and an import that was interrupted is repeated from its begin.
//
// KindConflict means that the tenant exists, or that something of it is another
// tenant's here; KindInvalid that something which it needs is not there. Nothing was
// written then. KindFenced: another node leads the tenant's group, and has to do it.
func (d *Directory) Import(ctx context.Context, archive string, records []Piece, keys []byte) (*Import, error) {
	const op = "persistence.Import"
	s := d.vault.store
	t, err := arrivingTable(records)
	if err != nil {
		return nil, err
	}
	var id chat.TenantID
	for id = range t.tenants {
	}
	i := &Import{directory: d, store: s, realm: realmOf(s.Group(id), id), archive: archive, records: records, keys: bytes.Clone(keys)}
	if s.Epoch(i.realm.group()) == 0 {
		return nil, chat.E(op, chat.KindFenced, "another node leads group "+strconv.Itoa(int(i.realm.group()))+
			", which tenant "+string(id)+" belongs to: name that node's --ops-addr; chumi cluster status shows which it is", nil)
	}
	err = d.Change(ctx, func(c *Change) error {
		if err := i.admit(c); err != nil {
			return err
		}
		now := c.next.clone()
		if err := i.settle(now); err != nil {
			return err
		}
		c.putArrival(id, Arrival{Archive: archive, Since: s.opts.Clock().UTC().Truncate(time.Millisecond), Stage: ArrivalComing})
		return nil
	})
	if err != nil || i.whole {
		return i, err
	}
	i.attempt = []byte(rand.Text())
	// Whoever was putting the tenant's rows is over with this.
	err = s.write(ctx, i.realm.group(), []*recordpb.Write{
		{Key: i.realm.meta(nil), Fresh: true, Delete: true}, {Key: i.realm.arrival(nil), Value: i.attempt}})
	if err != nil {
		return nil, err
	}
	return i, i.clear(ctx)
}

// arrivingTable is a table of the records of one tenant.
func arrivingTable(records []Piece) (*table, error) {
	t := newTable()
	for _, p := range records {
		if p.Kind != PieceRecord || len(p.Key) != 1 || !bytes.Contains([]byte{rowTenant, rowChannel, rowKey, rowMember}, p.Key) || !t.put(p.Key[0], p.Value) {
			return nil, errRecord("a record of the directory is unreadable")
		}
	}
	if len(t.tenants) != 1 {
		return nil, errRecord("the records are not those of one tenant")
	}
	for id := range t.tenants {
		if !validWord(string(id)) {
			return nil, errRecord("the tenant's id cannot stand in a key")
		}
		of, err := t.recordsOf(id)
		if err != nil || len(of) != len(records) {
			return nil, errRecord("a record is of another tenant")
		}
	}
	return t, nil
}

// admit refuses a tenant that exists, and tells whether its rows are all here.
func (i *Import) admit(c *Change) error {
	const op = "persistence.Import"
	id := i.realm.tenant()
	if _, exists := c.next.tenants[id]; exists {
		return chat.E(op, chat.KindConflict, "tenant "+string(id)+" exists already: an import makes a tenant, it does not change one", nil)
	}
	_, meta, err := i.store.get(i.realm.meta(nil))
	if err != nil {
		return err
	}
	a, begun := c.next.arrivals[id]
	switch {
	case meta && !begun:
		return chat.E(op, chat.KindConflict, "tenant "+string(id)+" was about to be created here: create it, or import under another store", nil)
	case meta && a.Archive != i.archive:
		return chat.E(op, chat.KindConflict, "tenant "+string(id)+" is here from archive "+a.Archive+", whose import has to be repeated to its end first", nil)
	}
	i.whole = meta
	return nil
}

// settle puts the tenant's records into a table, by the rules for new ones.
func (i *Import) settle(t *table) error {
	from, err := arrivingTable(i.records)
	if err != nil {
		return err
	}
	delete(t.arrivals, i.realm.tenant())
	for _, tn := range from.tenants {
		if err := t.putTenant(tn.Tenant, i.realm.group()); err != nil {
			return err
		}
	}
	for _, ch := range from.channelsSorted() {
		if _, taken := t.channels[ch.ID]; taken {
			return chat.E("persistence.Import", chat.KindConflict, "channel "+string(ch.ID)+" exists already and is another tenant's", nil)
		}
		if err := t.putChannel(ch); err != nil {
			return err
		}
	}
	for digest, k := range from.keys {
		if err := t.putKey(k.Tenant, digest, k.Scopes); err != nil {
			return err
		}
	}
	for _, m := range from.members {
		if err := t.putMember(m); err != nil {
			return err
		}
	}
	return nil
}

// clear removes what an import before this one has left.
func (i *Import) clear(ctx context.Context) error {
	view := i.store.db.NewSnapshot()
	defer func() { _ = view.Close() }()
	var rows [][]byte
	err := rowsOf(ctx, view, i.realm, func(key []byte, _ Piece) error {
		rows = append(rows, bytes.Clone(key))
		return nil
	})
	// Rows of indexes came last and go first: none is ever about what is not there.
	for n := len(rows) - 1; n >= 0 && err == nil; n-- {
		err = i.add(ctx, &recordpb.Write{Key: rows[n], Delete: true})
	}
	if err != nil {
		return err
	}
	return i.flush(ctx)
}

// Whole reports whether every row is here already: nothing has to be Put.
func (i *Import) Whole() bool { return i.whole }

// Put puts a row. It may keep it until more have come.
func (i *Import) Put(ctx context.Context, p Piece) error {
	key, ok := settled(i.realm, p.Key)
	if !ok || p.Kind != PieceRow {
		return errRecord("a row of the archive is none of a tenant")
	}
	return i.add(ctx, &recordpb.Write{Key: key, Value: bytes.Clone(p.Value)})
}

func (i *Import) add(ctx context.Context, w *recordpb.Write) error {
	i.pending, i.bytes = append(i.pending, w), i.bytes+len(w.Key)+len(w.Value)
	if i.bytes < importChunk {
		return nil
	}
	return i.flush(ctx)
}

// flush commits what is pending, if this import still may.
func (i *Import) flush(ctx context.Context) error {
	if len(i.pending) == 0 {
		return nil
	}
	err := i.commit(ctx, append(i.pending, &recordpb.Write{Key: i.realm.arrival(nil), Value: i.attempt, Was: i.attempt}))
	i.pending, i.bytes = nil, 0
	return err
}

func (i *Import) commit(ctx context.Context, rows []*recordpb.Write) error {
	if err := i.store.writable(); err != nil {
		return err
	}
	err := i.store.write(ctx, i.realm.group(), rows)
	if chat.KindOf(err) == chat.KindConflict {
		return chat.E("persistence.Import", chat.KindConflict, "another import of tenant "+string(i.realm.tenant())+" was begun meanwhile", nil)
	}
	return err
}

// Finish makes the tenant one of the store, held: it takes in what comes and does
// nothing until ReleaseTenant. The tenant must add up to sum. Then whoever is in erased
// is erased before anybody sees the tenant; it returns how many that were.
func (i *Import) Finish(ctx context.Context, sum StateSum, erased []Tombstone) (n int, err error) {
	id := i.realm.tenant()
	if !i.whole {
		if err := i.complete(ctx, sum); err != nil {
			return 0, err
		}
	}
	var of []Tombstone
	for _, b := range erased {
		if b.Tenant == id {
			of = append(of, b)
		}
	}
	if n, err = i.store.EraseAgain(ctx, of); err != nil {
		return n, err
	}
	return n, i.directory.Change(ctx, func(c *Change) error {
		if a := c.next.arrivals[id]; a.Archive != i.archive || a.Stage != ArrivalComing {
			return chat.E("persistence.Import", chat.KindConflict, "another import of tenant "+string(id)+" was begun meanwhile", nil)
		}
		a := c.next.arrivals[id]
		if err := i.settle(c.next); err != nil {
			return err
		}
		a.Stage = ArrivalHeld
		c.putArrival(id, a)
		return i.rows(c)
	})
}

// complete proves the rows and writes the meta row, which makes them a tenant's.
func (i *Import) complete(ctx context.Context, sum StateSum) error {
	if err := i.flush(ctx); err != nil {
		return err
	}
	have := NewPieceSum()
	for _, p := range i.records {
		have.Add(p)
	}
	have.Add(Piece{Kind: PieceKeys, Value: i.keys})
	view := i.store.db.NewSnapshot()
	err := rowsOf(ctx, view, i.realm, func(_ []byte, p Piece) error { have.Add(p); return nil })
	_ = view.Close()
	if err != nil {
		return err
	}
	if have.Sum() != sum {
		return chat.E("persistence.Import", chat.KindCorrupt, "tenant "+string(i.realm.tenant())+" is not here what it is in the archive; nobody can see it; repeat the import", nil)
	}
	meta, err := i.store.metaRow(i.realm.tenant(), i.keys)
	if err != nil {
		return err
	}
	return i.commit(ctx, []*recordpb.Write{{Key: i.realm.meta(nil), Value: meta, Fresh: true},
		{Key: i.realm.arrival(nil), Was: i.attempt, Delete: true}})
}

// rows notes the rows of the tenant's records, which are in the table.
func (i *Import) rows(c *Change) error {
	list, err := c.next.recordsOf(i.realm.tenant())
	if err != nil {
		return err
	}
	for n, p := range list {
		m, at, err := recordOf(p)
		if err != nil {
			return err
		}
		if t, ok := m.(*recordpb.DirectoryTenant); ok {
			t.Group = uint32(i.realm.group())
		} else if !reflect.DeepEqual(p, i.records[n]) {
			return errRecord("a record of the directory is not what it was")
		}
		c.row(at, false, m)
	}
	return nil
}

// recordOf is a piece as a record of the directory, and where it goes.
func recordOf(p Piece) (m recordMessage, at directoryRow, err error) {
	at.kind = p.Key[0]
	switch at.kind {
	case rowTenant:
		r := new(recordpb.DirectoryTenant)
		err, m = proto.Unmarshal(p.Value, r), r
		at.id = r.GetId()
	case rowChannel:
		r := new(recordpb.DirectoryChannel)
		err, m = proto.Unmarshal(p.Value, r), r
		at.id = r.GetId()
	case rowKey:
		r := new(recordpb.DirectoryKey)
		err, m = proto.Unmarshal(p.Value, r), r
		at.id = string(r.GetDigest())
	default:
		r := new(recordpb.DirectoryMember)
		err, m = proto.Unmarshal(p.Value, r), r
		at.id = r.GetTenant() + "\x00" + r.GetEmail()
	}
	if err != nil {
		err = errRecord("a record of the directory is unreadable")
	}
	return m, at, err
}
