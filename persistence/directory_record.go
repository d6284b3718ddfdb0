package persistence

import (
	"crypto/sha256"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
	"google.golang.org/protobuf/proto"
)

// recordMessage is a record of the directory.
type recordMessage = proto.Message

// directoryRow names one row of the metadata group: its kind and an id that is
// unique within it.
type directoryRow struct {
	kind byte
	id   string
}

// The kinds of rows in the metadata group. Stored; never change.
const (
	rowRoot    = 'r' // the vault's keys
	rowApp     = 'a'
	rowTenant  = 't'
	rowChannel = 'c'
	rowKey     = 'k'
	rowMember  = 'u'

	rowVersion   = 'v' // one: how often the directory changed
	rowCluster   = 'i' // one: the cluster's identity
	rowNode      = 'n'
	rowPlacement = 'p'
	rowHeld      = 'h' // one: the store was restored and nobody has let it act yet
	rowArrival   = 'j' // of a tenant that came from an archive
)

func appRecord(a chat.App) recordMessage {
	r := &recordpb.DirectoryApp{Id: string(a.ID), VerifyToken: a.VerifyTokens[0].Reveal(),
		MetaId: a.MetaID, InstagramId: a.InstagramID, InstagramSecret: a.InstagramSecret.Reveal(), Declared: a.Declared, DeclaredRest: a.DeclaredRest}
	for _, s := range a.Secrets {
		r.Secrets = append(r.Secrets, s.Reveal())
	}
	for _, v := range a.VerifyTokens[1:] {
		r.MoreVerifyTokens = append(r.MoreVerifyTokens, v.Reveal())
	}
	return r
}

func tenantRecord(t tenantEntry) recordMessage {
	return &recordpb.DirectoryTenant{Id: string(t.ID), Name: t.Name, Group: uint32(t.group)}
}

func channelRecord(ch chat.Channel) recordMessage {
	return &recordpb.DirectoryChannel{
		Id: string(ch.ID), Tenant: string(ch.Tenant), App: string(ch.App), Kind: uint32(ch.Kind),
		Account: ch.Account, Waba: ch.WABA, Token: ch.Token.Reveal(), Simulated: ch.Simulated,
		Declared: ch.Declared, DisconnectedMs: int64(ch.Disconnected),
	}
}

func keyRecord(digest keyDigest, p chat.Principal) recordMessage {
	return &recordpb.DirectoryKey{Tenant: string(p.Tenant), Digest: digest[:], Scopes: p.Scopes}
}

func memberRecord(e memberEntry) recordMessage {
	return &recordpb.DirectoryMember{
		Tenant: string(e.Tenant), Email: e.Email, Role: e.Role, Salt: e.salt, Hash: e.hash,
		Passes: e.passes, MemoryKib: e.memKiB, Lanes: e.lanes,
	}
}

// put adds one stored record to the table without the rules for new ones: they
// were kept when it was stored. It reports whether the record has its form.
func (t *table) put(kind byte, plain []byte) bool {
	switch kind {
	case rowApp:
		var r recordpb.DirectoryApp
		if proto.Unmarshal(plain, &r) != nil {
			return false
		}
		a := chat.App{ID: chat.AppID(r.GetId()), VerifyTokens: []chat.Secret{chat.Secret(r.GetVerifyToken())},
			MetaID: r.GetMetaId(), InstagramID: r.GetInstagramId(), InstagramSecret: chat.Secret(r.GetInstagramSecret()), Declared: r.GetDeclared(), DeclaredRest: r.GetDeclaredRest()}
		for _, s := range r.GetSecrets() {
			a.Secrets = append(a.Secrets, chat.Secret(s))
		}
		for _, v := range r.GetMoreVerifyTokens() {
			a.VerifyTokens = append(a.VerifyTokens, chat.Secret(v))
		}
		t.apps[a.ID] = a
	case rowTenant:
		var r recordpb.DirectoryTenant
		if proto.Unmarshal(plain, &r) != nil {
			return false
		}
		id := chat.TenantID(r.GetId())
		t.tenants[id] = tenantEntry{Tenant: chat.Tenant{ID: id, Name: r.GetName()}, group: chat.Group(r.GetGroup())}
	case rowChannel:
		var r recordpb.DirectoryChannel
		if proto.Unmarshal(plain, &r) != nil {
			return false
		}
		ch := chat.Channel{
			ID: chat.ChannelID(r.GetId()), Tenant: chat.TenantID(r.GetTenant()), App: chat.AppID(r.GetApp()),
			Kind: chat.ChannelKind(r.GetKind()), Account: r.GetAccount(), WABA: r.GetWaba(),
			Token: chat.Secret(r.GetToken()), Simulated: r.GetSimulated(), Declared: r.GetDeclared(),
			Disconnected: chat.Millis(r.GetDisconnectedMs()),
		}
		t.channels[ch.ID] = ch
		if ch.Disconnected == 0 {
			t.accounts[accountKey{ch.Kind, ch.Account}] = ch.ID
		}
	case rowKey:
		var r recordpb.DirectoryKey
		if proto.Unmarshal(plain, &r) != nil || len(r.GetDigest()) != len(keyDigest{}) {
			return false
		}
		digest := keyDigest(r.GetDigest())
		t.keys[digest] = chat.Principal{Tenant: chat.TenantID(r.GetTenant()), Key: publicKeyID(digest), Scopes: r.GetScopes()}
	case rowMember:
		var r recordpb.DirectoryMember
		if proto.Unmarshal(plain, &r) != nil {
			return false
		}
		m := Member{Tenant: chat.TenantID(r.GetTenant()), Email: r.GetEmail(), Role: r.GetRole()}
		t.members[memberKey{m.Tenant, m.Email}] = memberEntry{Member: m, salt: r.GetSalt(), hash: r.GetHash(),
			passes: r.GetPasses(), memKiB: r.GetMemoryKib(), lanes: r.GetLanes()}
	default:
		return t.putPlace(kind, plain)
	}
	return true
}

// publicKeyID names an API key without telling anything about its secret.
func publicKeyID(digest keyDigest) string {
	sum := sha256.Sum256(append([]byte("chumi key id "), digest[:]...))
	id := words32.EncodeToString(sum[:10])
	return "key_" + id
}
