package persistence

import (
	"context"
	"errors"
	"strconv"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
)

// Invariant names a rule that stored data keeps. The names are what `chumi
// check` prints and what runbooks refer to; they never change meaning.
type Invariant string

// The invariants.
const (
	// InvariantKeyspace: every key is of the map in this package's doc.
	InvariantKeyspace Invariant = "keyspace"
	// InvariantTenant: a tenant lies in its own group and has its keys; no
	// position is above its last.
	InvariantTenant Invariant = "tenant"
	// InvariantSeq: a journal is numbered gap-free from 1 to its state's seq.
	InvariantSeq Invariant = "seq"
	// InvariantReplay: applying a journal's events gives the stored state. A
	// conversation with erased records is exempt.
	InvariantReplay Invariant = "replay"
	// InvariantOwes: a conversation has a due time iff it owes something.
	InvariantOwes Invariant = "owes"
	// InvariantAgenda: agenda rows and the due times of states are the same.
	InvariantAgenda Invariant = "agenda"
	// InvariantView: inbox rows and the activity of states are the same.
	InvariantView Invariant = "view"
	// InvariantSends: a conversation is in the index of sends iff its state says so,
	// and one that is has sends.
	InvariantSends Invariant = "sends"
	// InvariantFeed: each event has one feed row, each feed row one event, and
	// both agree on place and position.
	InvariantFeed Invariant = "feed"
	// InvariantSealed: every sealed part opens with its key in its place.
	InvariantSealed Invariant = "sealed"
	// InvariantKey: a conversation that is not erased, and every contact, has
	// its contact's key, and the key is the one the conversation names.
	InvariantKey Invariant = "key"
	// InvariantErased: an erased conversation holds skeletons only.
	InvariantErased Invariant = "erased"
	// InvariantRemote: a remote-id row leads to an event.
	InvariantRemote Invariant = "remote"
	// InvariantAddress: an address leads to a conversation and its contact.
	InvariantAddress Invariant = "address"
	// InvariantClaim: a claim is of an existing conversation or of none, and is
	// dated in the expiry index iff it has a day.
	InvariantClaim Invariant = "claim"
	// InvariantCounter: a usage counter is what the events add up to. What
	// erased turns and summaries cost is exempt.
	InvariantCounter Invariant = "counter"
	// InvariantTurn: a turn under way has its work, and nobody else has any.
	InvariantTurn Invariant = "turn"
	// InvariantTool: a call of a tool that was begun has a result or is waited for, never
	// two of them; it is not begun again once it has one, nor ever when it changes
	// something and the other side does not know repetitions.
	InvariantTool Invariant = "tool"
	// InvariantBudget: what is counted against a month's budget is what the calls of
	// models cost, and what is held for those under way. What erased ones cost is exempt.
	InvariantBudget Invariant = "budget"
	// InvariantDirectory: a channel has its app, its tenant and an account of
	// its own; a tenant is in the group that its id leads to; the store's format is at
	// or above that of its cluster.
	InvariantDirectory Invariant = "directory"
	// InvariantReach: a person of a portfolio is counted in the quarter that the
	// person's row names, and a quarter counts the persons in it.
	InvariantReach Invariant = "reach"
	// InvariantKnowledge: a chunk and a batch of vectors belong to a source that there
	// is, and a source that was read has the chunks that it says.
	InvariantKnowledge Invariant = "knowledge"
	// InvariantRecord: every row has the form of its kind.
	InvariantRecord Invariant = "record"
	// InvariantEnd: an attempt, a send whose end is not known and a call of a model have
	// an end that is not long past. Of a node that runs.
	InvariantEnd Invariant = "end"
	// InvariantSilence: nobody waits for the assistant long beyond the deadline. Of a node
	// that runs.
	InvariantSilence Invariant = "silence"
)

// Violation is one row that breaks an invariant. It holds no personal data.
type Violation struct {
	Invariant Invariant
	// Key is the row's key in readable form.
	Key    string
	Detail string
}

// String is one line for people.
func (v Violation) String() string { return string(v.Invariant) + " " + v.Key + ": " + v.Detail }

// violationMax bounds the violations kept; more are counted only.
const violationMax = 1000

// CheckReport is what a check has seen so far.
type CheckReport struct {
	Tenants, Conversations, Events, Rows int64
	// Violations holds the first ones; Broken counts all.
	Violations []Violation
	Broken     int64
}

// progressEvery is how many rows lie between two reports of progress.
const progressEvery = 1 << 16

// Check walks every row of the store, as of one moment, and holds it against
// every invariant. progress, which may be nil, is called now and then. An error
// means that the walk could not go on; violations are not errors.
func (s *Store) Check(ctx context.Context, progress func(CheckReport)) (CheckReport, error) {
	const op = "check.Check"
	snapshot := s.db.NewSnapshot()
	defer func() { _ = snapshot.Close() }()
	k := &checker{store: s, at: snapshot, directory: newTable()}
	it, err := snapshot.NewIterWithContext(ctx, nil)
	if err != nil {
		return k.report, chat.E(op, chat.KindOther, "cannot read the store", err)
	}
	for it.First(); it.Valid(); it.Next() {
		k.report.Rows++
		if k.report.Rows%progressEvery == 0 {
			if err := ctx.Err(); err != nil {
				break
			}
			if progress != nil {
				progress(k.report)
			}
		}
		if err := k.row(it.Key(), it.Value()); err != nil {
			_ = it.Close()
			return k.report, err
		}
	}
	if err := errors.Join(ctx.Err(), it.Close()); err != nil {
		return k.report, chat.E(op, chat.KindCorrupt, "the store cannot be read to its end", err)
	}
	err = errors.Join(k.endDirectory(), k.endTenant())
	return k.report, err
}

// checker is one check under way. Rows come in the order of their keys, so a
// tenant's events come before its feed, and counters can be compared when the
// tenant ends.
type checker struct {
	store  *Store
	at     pebble.Reader
	report CheckReport

	vault *vault
	// directory collects the metadata rows; they are the last rows of all.
	directory *table
	tenant    *checkedTenant
	// live is nil in a check of a store that nobody works with.
	live *liveCheck
}

// broken notes a violation.
func (k *checker) broken(i Invariant, key []byte, detail string) {
	k.report.Broken++
	if len(k.report.Violations) < violationMax {
		k.report.Violations = append(k.report.Violations, Violation{i, prettyKey(key).String(), detail})
	}
}

// get returns a row as of the check's moment; nil when there is none.
func (k *checker) get(key []byte) ([]byte, error) { return readRow(k.at, key) }

// row checks one row.
func (k *checker) row(key, value []byte) error {
	if r, kind, rest, ok := splitRealm(key); ok {
		return k.tenantRow(r, kind, rest, key, value)
	}
	if err := k.endTenant(); err != nil {
		return err
	}
	switch {
	case len(key) >= 2 && key[0] == spaceNode:
		k.nodeRow(key, value)
	case len(key) >= 4 && key[0] == spaceRaft:
		k.raftRow(key, value)
	case len(key) == 5 && key[0] == spaceGroup && key[3] == sectionApplied:
		k.appliedRow(key, value)
	case len(key) > 4 && key[0] == spaceGroup && key[3] == sectionIndex && key[4] == indexDue:
		return k.dueRow(key, value)
	case len(key) > 4 && key[0] == spaceGroup && key[3] == sectionIndex && key[4] == indexExpiry:
		return k.expiryRow(key)
	case len(key) > 4 && key[0] == spaceGroup && (key[3] == sectionQuarantine || key[3] == sectionMeta):
		return k.vaultRow(key, value)
	case len(key) > 4 && key[0] == spaceGroup && key[3] == sectionPortfolio:
		return k.portfolioRow(key, value)
	default:
		k.broken(InvariantKeyspace, key, "no such section")
	}
	return nil
}

func (k *checker) nodeRow(key, value []byte) {
	want := -1
	switch {
	case key[1] == nodeFormat && len(key) == 2:
		want = 4
	case key[1] == nodeGroups && len(key) == 2:
		want = 2
	case key[1] == nodeEpoch && len(key) == 4:
		want = 8
	case key[1] == nodeShredded && len(key) > 5 && key[len(key)-1] == wordEnd:
		want = 8
	case key[1] == nodeIdentity && len(key) == 2:
		want = idLen
	case key[1] == nodeFingerprint && len(key) == 2:
		want = len(k.store.opts.KEK.Fingerprint())
	default:
		k.broken(InvariantKeyspace, key, "no such node row")
		return
	}
	k.sized(key, value, want)
}

// vaultRow checks that a row of the directory or the quarantine opens.
func (k *checker) vaultRow(key, value []byte) error {
	if key[3] == sectionMeta && key[4] == rowRoot && len(key) == 5 {
		return nil // opened below, when it is needed
	}
	if ok, err := k.unsealing(key); !ok {
		return err
	}
	plain, err := k.vault.box.Open(value, key)
	switch {
	case err != nil:
		k.broken(InvariantSealed, key, "does not open")
	case key[3] == sectionMeta && !k.directory.put(key[4], plain):
		k.broken(InvariantRecord, key, "not a directory record")
	}
	return nil
}

// unsealing reads the vault when it is first needed. ok is false without one, which
// is a violation that key shows.
func (k *checker) unsealing(key []byte) (ok bool, err error) {
	if k.vault != nil {
		return true, nil
	}
	if k.vault, err = readVault(k.store); err == nil && k.vault == nil {
		k.broken(InvariantSealed, key, "the metadata key is missing")
	}
	return k.vault != nil, err
}

// endDirectory checks that what the directory names exists.
func (k *checker) endDirectory() error {
	d := k.directory
	v, _, err := readFormat(k.at)
	if has := d.cluster.Format; has > formatUnsaid && v < has {
		k.broken(InvariantDirectory, keyFormat(), "the store has format "+v.String()+", its cluster "+has.String())
	}
	for id, t := range d.tenants {
		if t.group != k.store.Group(id) {
			k.broken(InvariantDirectory, appendWord(append(appendMeta(nil), rowTenant), string(id)), "names another group than the tenant's")
		}
	}
	for id, ch := range d.channels {
		_, app := d.apps[ch.App]
		_, tenant := d.tenants[ch.Tenant]
		bound := d.accounts[accountKey{ch.Kind, ch.Account}] == id
		if !app || !tenant || bound != (ch.Disconnected == 0) || !bound && ch.Token != "" {
			k.broken(InvariantDirectory, appendWord(append(appendMeta(nil), rowChannel), string(id)), "has no app, no tenant, another's account, or was given up and has one")
		}
	}
	return err
}

// dueRow checks that an agenda row is the due time of a conversation.
func (k *checker) dueRow(key, value []byte) error {
	at, id, c, ok := parseDue(key)
	live, _, okValue := readOwed(value)
	if !ok || !okValue {
		k.broken(InvariantRecord, key, "not an agenda row")
		return nil
	}
	h, found, err := k.head(realmOf(groupOfKey(key), id), c)
	switch {
	case err != nil:
		return err
	case !found:
		k.broken(InvariantAgenda, key, "there is no such conversation")
	case h.armed != at || h.live != live:
		k.broken(InvariantAgenda, key, "the conversation is due at "+strconv.FormatInt(h.armed, 10))
	}
	return nil
}

// expiryRow checks that an expiry row is of a claim with that day.
func (k *checker) expiryRow(key []byte) error {
	day, id, h, ok := parseExpiry(key)
	if !ok {
		k.broken(InvariantRecord, key, "not an expiry row")
		return nil
	}
	v, err := k.get(realmOf(groupOfKey(key), id).claim(nil, h))
	if err != nil {
		return err
	}
	if has, ok := claimDay(v); v == nil || !ok || has != day {
		k.broken(InvariantClaim, key, "there is no claim with this day")
	}
	return nil
}

// head reads the head of a conversation's state.
func (k *checker) head(r realm, c id16) (h head, found bool, err error) {
	v, err := k.get(r.state(nil, c))
	if err != nil || v == nil {
		return head{}, false, err
	}
	h, _, err = readHead(v)
	return h, err == nil, err
}

func groupOfKey(key []byte) chat.Group { return chat.Group(key[1])<<8 | chat.Group(key[2]) }
