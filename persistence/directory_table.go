package persistence

import (
	"cmp"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"

	"github.com/chumiai/chumi/chat"
)

// table is everything the directory knows, at one moment. A table that readers
// can see is immutable; a writer clones it, changes the clone and swaps it in
// after the change is durable.
type table struct {
	// version counts the changes that led here; stamp is the row that says so, nil
	// in a directory that never counted.
	version uint64
	stamp   []byte

	apps     map[chat.AppID]chat.App
	tenants  map[chat.TenantID]tenantEntry
	channels map[chat.ChannelID]chat.Channel
	keys     map[keyDigest]chat.Principal
	members  map[memberKey]memberEntry

	// held is zero but in a restored store that nobody has let act yet.
	held Hold
	// arrivals are the tenants that came from an archive, or are coming.
	arrivals map[chat.TenantID]Arrival

	// cluster is zero on a node alone, and the maps below are empty.
	cluster Cluster
	nodes   map[chat.NodeID]Node
	places  map[chat.Group]Placement

	// accounts follows channels at each put. A disconnected one has none.
	accounts map[accountKey]chat.ChannelID
	// wabas is derived from channels by index, and so is live: the tenants with
	// a channel that is not simulated. waiting has every tenant of arrivals, true for
	// those that must not act.
	wabas   map[wabaKey]chat.ChannelID
	live    map[chat.TenantID]bool
	waiting map[chat.TenantID]bool
}

// keyDigest is the SHA-256 of an API key's secret. Looking it up in a map takes
// time that depends on the digest, which tells nothing about the secret.
type keyDigest = [sha256.Size]byte

// accountKey is what Meta routes a webhook by. An account has one channel,
// whatever app delivers it.
type accountKey struct {
	kind    chat.ChannelKind
	account string
}

type wabaKey struct {
	app  chat.AppID
	waba string
}

type memberKey struct {
	tenant chat.TenantID
	email  string
}

type tenantEntry struct {
	chat.Tenant
	group chat.Group
}

// memberEntry is a member with the parameters that hashed the password.
type memberEntry struct {
	Member
	salt, hash            []byte
	passes, memKiB, lanes uint32
}

func newTable() *table {
	t := &table{
		apps: map[chat.AppID]chat.App{}, tenants: map[chat.TenantID]tenantEntry{},
		channels: map[chat.ChannelID]chat.Channel{}, keys: map[keyDigest]chat.Principal{},
		members: map[memberKey]memberEntry{}, accounts: map[accountKey]chat.ChannelID{},
		arrivals: map[chat.TenantID]Arrival{},
		nodes:    map[chat.NodeID]Node{}, places: map[chat.Group]Placement{},
	}
	t.index()
	return t
}

// clone copies the maps; their values are immutable.
func (t *table) clone() *table {
	return &table{
		version: t.version, stamp: t.stamp, held: t.held,
		cluster: t.cluster, nodes: maps.Clone(t.nodes), places: maps.Clone(t.places),
		apps: maps.Clone(t.apps), tenants: maps.Clone(t.tenants), channels: maps.Clone(t.channels),
		keys: maps.Clone(t.keys), members: maps.Clone(t.members),
		accounts: maps.Clone(t.accounts), wabas: t.wabas, live: t.live,
		arrivals: maps.Clone(t.arrivals), waiting: t.waiting,
	}
}

// index derives wabas and live from the channels, after the last put. A WhatsApp update of a whole
// account names only the WABA: it goes to the first channel by id when all
// channels of the app with that WABA have one tenant, and nowhere otherwise.
func (t *table) index() {
	t.wabas = map[wabaKey]chat.ChannelID{}
	t.live = map[chat.TenantID]bool{}
	t.waiting = map[chat.TenantID]bool{}
	for id, a := range t.arrivals {
		t.waiting[id] = a.Stage != ArrivalReleased
	}
	torn := map[wabaKey]bool{}
	for _, ch := range t.channelsSorted() {
		if !ch.Simulated {
			t.live[ch.Tenant] = true
		}
		if ch.Kind != chat.WhatsApp || ch.WABA == "" || ch.Disconnected != 0 {
			continue
		}
		k := wabaKey{ch.App, ch.WABA}
		if first, ok := t.wabas[k]; !ok {
			t.wabas[k] = ch.ID
		} else if t.channels[first].Tenant != ch.Tenant {
			torn[k] = true
		}
	}
	for k := range torn {
		delete(t.wabas, k)
	}
}

func (t *table) channelsSorted() []chat.Channel {
	return slices.SortedFunc(maps.Values(t.channels), func(a, b chat.Channel) int { return cmp.Compare(a.ID, b.ID) })
}

// route finds the channel an update belongs to.
func (t *table) route(app chat.AppID, kind chat.ChannelKind, account, waba string) (chat.Channel, bool) {
	var id chat.ChannelID
	var ok bool
	switch {
	case account != "":
		id, ok = t.accounts[accountKey{kind, account}]
	case kind == chat.WhatsApp && waba != "":
		id, ok = t.wabas[wabaKey{app, waba}]
	}
	if !ok {
		return chat.Channel{}, false
	}
	ch := t.channels[id]
	return ch, ch.App == app
}

// verifyTokensMax is above one for each WABA of a large business.
const verifyTokensMax = 256

// putApp checks an app and puts it in.
func (t *table) putApp(a chat.App) error {
	const op = "directory.PutApp"
	if err := checkWord(op, "app", string(a.ID)); err != nil {
		return err
	}
	if n := len(a.Secrets); n < 1 || n > 2 {
		return chat.E(op, chat.KindInvalid, "app "+string(a.ID)+": give one app secret, or two during a rotation", nil)
	}
	if slices.Contains(a.Secrets, "") {
		return chat.E(op, chat.KindInvalid, "app "+string(a.ID)+": an app secret is empty", nil)
	}
	if len(a.VerifyTokens) == 0 || slices.Contains(a.VerifyTokens, "") {
		return chat.E(op, chat.KindInvalid, "app "+string(a.ID)+": the verify token is empty", nil)
	}
	if len(a.VerifyTokens) > verifyTokensMax {
		return chat.E(op, chat.KindConflict, "app "+string(a.ID)+" has as many verify tokens as it may; retire one first", nil)
	}
	a.Secrets, a.VerifyTokens = slices.Clone(a.Secrets), slices.Clone(a.VerifyTokens)
	t.apps[a.ID] = a
	return nil
}

// putTenant checks a tenant and puts it in. A tenant keeps the group it was
// created in.
func (t *table) putTenant(tn chat.Tenant, group chat.Group) error {
	if err := checkWord("directory.PutTenant", "tenant", string(tn.ID)); err != nil {
		return err
	}
	if old, ok := t.tenants[tn.ID]; ok {
		group = old.group
	} else if t.arrivals[tn.ID].Stage == ArrivalComing {
		return chat.E("directory.PutTenant", chat.KindConflict, "tenant "+string(tn.ID)+" is being imported: let the import end, or repeat it", nil)
	}
	t.tenants[tn.ID] = tenantEntry{Tenant: tn, group: group}
	return nil
}

// putChannel checks a channel and puts it in.
func (t *table) putChannel(ch chat.Channel) error {
	const op = "directory.PutChannel"
	if err := checkWord(op, "channel", string(ch.ID)); err != nil {
		return err
	}
	name := "channel " + string(ch.ID)
	if err := t.knowsTenant(op, name, ch.Tenant); err != nil {
		return err
	}
	if _, ok := t.apps[ch.App]; !ok {
		return chat.E(op, chat.KindInvalid, name+": there is no app "+quoted(string(ch.App))+"; create it first", nil)
	}
	if ch.Kind != chat.WhatsApp && ch.Kind != chat.Instagram {
		return chat.E(op, chat.KindInvalid, name+": the kind must be whatsapp or instagram", nil)
	}
	if ch.Account == "" {
		return chat.E(op, chat.KindInvalid, name+": give the phone_number_id or the ig_id that Meta routes by", nil)
	}
	if ch.Kind == chat.Instagram && ch.WABA != "" {
		return chat.E(op, chat.KindInvalid, name+": an Instagram channel has no waba_id", nil)
	}
	if old, ok := t.channels[ch.ID]; ok {
		if old.Tenant != ch.Tenant {
			return chat.E(op, chat.KindConflict, name+" belongs to another tenant; choose another id", nil)
		}
		if old.Kind != ch.Kind {
			return chat.E(op, chat.KindConflict, name+" is of kind "+old.Kind.String()+"; choose another id", nil)
		}
	}
	if id, ok := t.accounts[accountKey{ch.Kind, ch.Account}]; ok && id != ch.ID && ch.Disconnected == 0 {
		return chat.E(op, chat.KindConflict, name+": account "+ch.Account+" is bound to channel "+string(id)+" already", nil)
	}
	if old, ok := t.channels[ch.ID]; ok && old.Disconnected == 0 {
		delete(t.accounts, accountKey{old.Kind, old.Account})
	}
	t.channels[ch.ID] = ch
	if ch.Disconnected == 0 {
		t.accounts[accountKey{ch.Kind, ch.Account}] = ch.ID
	}
	return nil
}

// putKey checks an API key and puts it in.
func (t *table) putKey(tenant chat.TenantID, digest keyDigest, scopes []string) error {
	const op = "directory.PutAPIKey"
	if err := t.knowsTenant(op, "API key", tenant); err != nil {
		return err
	}
	if len(scopes) == 0 {
		return chat.E(op, chat.KindInvalid, `an API key of tenant `+string(tenant)+` has no scopes; give ["*"] for all`, nil)
	}
	if old, ok := t.keys[digest]; ok && old.Tenant != tenant {
		return chat.E(op, chat.KindConflict, "this API key is another tenant's; make a new secret", nil)
	}
	t.keys[digest] = chat.Principal{Tenant: tenant, Key: publicKeyID(digest), Scopes: slices.Clone(scopes)}
	return nil
}

// putMember checks a member, whose password is hashed already, and puts it in.
func (t *table) putMember(m memberEntry) error {
	const op = "directory.PutMember"
	if err := t.knowsTenant(op, "member", m.Tenant); err != nil {
		return err
	}
	at := strings.IndexByte(m.Email, '@')
	if at < 1 || at == len(m.Email)-1 || len(m.Email) > 254 || strings.ContainsAny(m.Email, " \t\r\n") {
		return chat.E(op, chat.KindInvalid, "a member of tenant "+string(m.Tenant)+" has no valid e-mail address", nil)
	}
	if err := checkWord(op, "role", m.Role); err != nil {
		return err
	}
	t.members[memberKey{m.Tenant, m.Email}] = m
	return nil
}

func (t *table) knowsTenant(op, name string, id chat.TenantID) error {
	if _, ok := t.tenants[id]; !ok {
		return chat.E(op, chat.KindInvalid, name+": there is no tenant "+quoted(string(id))+"; create it first", nil)
	}
	return nil
}

// wordMax is the longest id: it fits a DNS label.
const wordMax = 63

// checkWord refuses an id that is not a plain word.
func checkWord(op, noun, id string) error {
	ok := id != "" && len(id) <= wordMax && id[0] != '-'
	for i := 0; ok && i < len(id); i++ {
		b := id[i]
		ok = b == '-' || b >= 'a' && b <= 'z' || b >= '0' && b <= '9'
	}
	if ok {
		return nil
	}
	return chat.E(op, chat.KindInvalid, "the "+noun+" id "+quoted(id)+
		" is not a plain word: a-z, 0-9 and '-', at most 63, beginning with a letter or digit", nil)
}

// quoted shows a word from outside in an error, shortened.
func quoted(s string) string {
	const max = 80
	if len(s) > max {
		s = s[:max] + "..."
	}
	return `"` + strings.Map(func(r rune) rune {
		if r < ' ' || r == '"' || r == 0x7f {
			return '?'
		}
		return r
	}, s) + `"`
}
