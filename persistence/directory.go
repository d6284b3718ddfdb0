package persistence

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Directory knows the apps, tenants, channels, API keys and members, and the nodes
// of the cluster with what they hold, all of it in memory. The metadata group,
// which every node holds, has the same, one sealed row each. Any node may change
// it at any time; a change is durable before it can be seen. What others change
// comes with Follow, and at once with Refresh: before that a number which the
// directory does not know may be known elsewhere.
//
// Safe for concurrent use; a reader costs one atomic load.
type Directory struct {
	vault *vault
	// table is replaced, never changed, and only by a newer one: see adopt.
	table atomic.Pointer[table]
	// replaced wakes when table is.
	replaced signal
	// base and people are the settings of tenants that a model may answer for,
	// and of those that it may not. Replaced, never changed.
	settings atomic.Pointer[settingsPair]
	// changing holds a token while a change is under way: those of one node would
	// only get in each other's way.
	changing chan struct{}
	// refreshing holds a token while the metadata group is asked; whoever holds it
	// owns asked, the time of the last question that was answered.
	refreshing chan struct{}
	asked      time.Time
	// adopting makes comparing and replacing the table one step.
	adopting sync.Mutex
}

type settingsPair struct{ base, people *chat.Settings }

// Change is a set of changes to the directory that becomes durable and visible as
// one. It is valid within the function given to Directory.Change.
// Each Put validates, and replaces what has the same id.
type Change struct {
	old, next *table
	store     *Store
	rows      map[directoryRow]recordMessage
	// format is what the change finalizes to, 0 for nothing.
	format FormatVersion
}

// OpenDirectory reads the directory of s into memory. base is what SetBase takes.
// ctx bounds the one write of the first start.
func OpenDirectory(ctx context.Context, s *Store, base chat.Settings) (*Directory, error) {
	v, err := openVault(ctx, s)
	if err != nil {
		return nil, err
	}
	t, err := v.loadTable()
	if err != nil {
		return nil, err
	}
	if err := s.meta.settle(ctx); err != nil {
		return nil, err
	}
	d := &Directory{vault: v, changing: make(chan struct{}, 1), refreshing: make(chan struct{}, 1)}
	d.table.Store(t)
	d.SetBase(base)
	return d, nil
}

// SetBase replaces the settings that tenants resolve from; unset fields take
// their defaults. Settings handed out before stay as they were.
func (d *Directory) SetBase(base chat.Settings) {
	base.EnsureDefaults()
	people := base
	people.Assistant, people.Simulated = false, false
	d.settings.Store(&settingsPair{base: &base, people: &people})
}

// Change makes all that fill puts durable, or nothing. What is stored already
// in the same form, as far as this node knows, is not written again. It returns
// the first error of fill.
//
// fill is run again, on the newer directory, when another node has changed that
// meanwhile: all that it knows of the directory it must learn from c. After
// KindUnknown the change may yet come; repeat it.
func (d *Directory) Change(ctx context.Context, fill func(c *Change) error) error {
	const op = "directory.Change"
	if err := ctx.Err(); err != nil {
		return chat.E(op, chat.KindUnavailable, "the caller gave up", err)
	}
	select {
	case d.changing <- struct{}{}:
		defer func() { <-d.changing }()
	case <-ctx.Done():
		return chat.E(op, chat.KindUnavailable, "other changes took too long; repeat", context.Cause(ctx))
	}
	for {
		old := d.table.Load()
		err := d.change(ctx, old, fill)
		if !errors.Is(err, errOvertaken) {
			return err
		}
		if err := d.newer(ctx, old.version); err != nil {
			return err
		}
	}
}

// errOvertaken is that the directory is not what a change was made for.
var errOvertaken = chat.E("directory.Change", chat.KindConflict, "another change came first", nil)

// change is one attempt of Change.
func (d *Directory) change(ctx context.Context, old *table, fill func(c *Change) error) error {
	c := &Change{old: old, next: old.clone(), store: d.vault.store, rows: map[directoryRow]recordMessage{}}
	if err := fill(c); err != nil {
		return err
	}
	if len(c.rows) == 0 {
		return nil // the table is as it was
	}
	for id := range c.next.tenants {
		if _, ok := old.tenants[id]; ok {
			continue
		}
		if err := d.vault.store.ensureTenant(ctx, id); err != nil {
			return err
		}
	}
	stamp, err := d.vault.storeRows(ctx, old, c.rows, c.format)
	if chat.KindOf(err) == chat.KindConflict {
		return errOvertaken
	}
	if err != nil {
		return err
	}
	c.next.version, c.next.stamp = old.version+1, stamp
	c.next.index()
	d.adopt(c.next)
	return nil
}

// PutApp adds or replaces a Meta app.
func (d *Directory) PutApp(ctx context.Context, a chat.App) error {
	return d.Change(ctx, func(c *Change) error { return c.PutApp(a) })
}

// PutTenant adds or renames a tenant.
func (d *Directory) PutTenant(ctx context.Context, t chat.Tenant) error {
	return d.Change(ctx, func(c *Change) error { return c.PutTenant(t) })
}

// PutChannel adds or replaces a channel. Its tenant and kind never change, and
// no two channels have the same account: KindConflict.
func (d *Directory) PutChannel(ctx context.Context, ch chat.Channel) error {
	return d.Change(ctx, func(c *Change) error { return c.PutChannel(ch) })
}

// PutAPIKey adds an API key or replaces its scopes. Only the SHA-256 of secret
// is kept.
func (d *Directory) PutAPIKey(ctx context.Context, t chat.TenantID, secret chat.Secret, scopes []string) error {
	return d.Change(ctx, func(c *Change) error { return c.PutAPIKey(t, secret, scopes) })
}

// PutMember adds a member or replaces the role and password. Only an argon2id
// hash of the password is kept.
func (d *Directory) PutMember(ctx context.Context, m Member, password chat.Secret) error {
	return d.Change(ctx, func(c *Change) error { return c.PutMember(m, password) })
}

// PutApp is Directory.PutApp within a change.
func (c *Change) PutApp(a chat.App) error {
	if err := c.next.putApp(a); err != nil {
		return err
	}
	old, ok := c.old.apps[a.ID]
	c.row(directoryRow{rowApp, string(a.ID)}, ok && reflect.DeepEqual(old, c.next.apps[a.ID]), appRecord(c.next.apps[a.ID]))
	return nil
}

// PutTenant is Directory.PutTenant within a change.
func (c *Change) PutTenant(t chat.Tenant) error {
	if err := c.next.putTenant(t, groupOf(t.ID, c.store.Groups())); err != nil {
		return err
	}
	old, ok := c.old.tenants[t.ID]
	c.row(directoryRow{rowTenant, string(t.ID)}, ok && old == c.next.tenants[t.ID], tenantRecord(c.next.tenants[t.ID]))
	return nil
}

// PutChannel is Directory.PutChannel within a change.
func (c *Change) PutChannel(ch chat.Channel) error {
	if err := c.next.putChannel(ch); err != nil {
		return err
	}
	old, ok := c.old.channels[ch.ID]
	c.row(directoryRow{rowChannel, string(ch.ID)}, ok && old == ch, channelRecord(ch))
	return nil
}

// PutAPIKey is Directory.PutAPIKey within a change.
func (c *Change) PutAPIKey(t chat.TenantID, secret chat.Secret, scopes []string) error {
	if secret == "" {
		return chat.E("directory.PutAPIKey", chat.KindInvalid, "the secret of an API key of tenant "+quoted(string(t))+" is empty", nil)
	}
	digest := sha256.Sum256([]byte(secret.Reveal()))
	if err := c.next.putKey(t, digest, scopes); err != nil {
		return err
	}
	old, ok := c.old.keys[digest]
	c.row(directoryRow{rowKey, string(digest[:])}, ok && reflect.DeepEqual(old, c.next.keys[digest]), keyRecord(digest, c.next.keys[digest]))
	return nil
}

// PutMember is Directory.PutMember within a change.
func (c *Change) PutMember(m Member, password chat.Secret) error {
	m.Email = strings.ToLower(m.Email)
	if password == "" {
		return chat.E("directory.PutMember", chat.KindInvalid, "the password of a member of tenant "+quoted(string(m.Tenant))+" is empty", nil)
	}
	old, ok := c.next.members[memberKey{m.Tenant, m.Email}]
	if ok && old.Member == m && old.matches(password) {
		return nil
	}
	e, err := hashPassword(m, password)
	if err != nil {
		return err
	}
	if err := c.next.putMember(e); err != nil {
		return err
	}
	c.row(directoryRow{rowMember, string(m.Tenant) + "\x00" + m.Email}, false, memberRecord(e))
	return nil
}

// row notes that a row must be written, or, when it is stored as it shall be,
// that an earlier Put of this change need not be.
func (c *Change) row(at directoryRow, stored bool, m recordMessage) {
	if stored {
		delete(c.rows, at)
		return
	}
	c.rows[at] = m
}

// Channel resolves the account in a webhook to a channel bound to app. Without
// an account, a WhatsApp update goes by its WABA to the first channel by id,
// if all channels of app with that WABA are one tenant's.
func (d *Directory) Channel(app chat.AppID, kind chat.ChannelKind, account, waba string) (chat.Channel, bool) {
	return d.table.Load().route(app, kind, account, waba)
}

// ChannelByID returns a channel with its token.
func (d *Directory) ChannelByID(id chat.ChannelID) (chat.Channel, bool) {
	ch, ok := d.table.Load().channels[id]
	return ch, ok
}

// Settings returns the tenant's resolved settings; never nil, never mutated.
// The model simulator never answers for a tenant with a live number: such a
// tenant's conversations go to people.
func (d *Directory) Settings(t chat.TenantID) *chat.Settings {
	s := d.settings.Load()
	if s.base.Simulated && d.table.Load().live[t] {
		return s.people
	}
	return s.base
}

// App returns a Meta app with its secrets.
func (d *Directory) App(id chat.AppID) (chat.App, bool) {
	a, ok := d.table.Load().apps[id]
	return a, ok
}

// Apps lists every app by id, with its secrets.
func (d *Directory) Apps() []chat.App {
	t := d.table.Load()
	list := make([]chat.App, 0, len(t.apps))
	for _, id := range slices.Sorted(maps.Keys(t.apps)) {
		list = append(list, t.apps[id])
	}
	return list
}

// Authenticate resolves the secret of an API key.
func (d *Directory) Authenticate(secret string) (chat.Principal, bool) {
	p, ok := d.table.Load().keys[sha256.Sum256([]byte(secret))]
	if !ok {
		return chat.Principal{}, false
	}
	p.Scopes = slices.Clone(p.Scopes)
	return p, true
}

// Tenants lists every tenant by id.
func (d *Directory) Tenants() []chat.Tenant {
	t := d.table.Load()
	list := make([]chat.Tenant, 0, len(t.tenants))
	for _, id := range slices.Sorted(maps.Keys(t.tenants)) {
		list = append(list, t.tenants[id].Tenant)
	}
	return list
}

// Channels lists a tenant's channels by id, with their tokens.
func (d *Directory) Channels(t chat.TenantID) []chat.Channel {
	return slices.DeleteFunc(d.table.Load().channelsSorted(), func(ch chat.Channel) bool { return ch.Tenant != t })
}

// Members lists a tenant's members by e-mail address.
func (d *Directory) Members(t chat.TenantID) []Member {
	var list []Member
	for k, e := range d.table.Load().members {
		if k.tenant == t {
			list = append(list, e.Member)
		}
	}
	slices.SortFunc(list, func(a, b Member) int { return cmp.Compare(a.Email, b.Email) })
	return list
}
