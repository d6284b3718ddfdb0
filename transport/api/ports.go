package api

import (
	"context"
	"io"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

// Keys resolves a bearer token. Safe for concurrent use.
type Keys interface {
	Authenticate(secret string) (p chat.Principal, ok bool)
}

// Views reads what is stored and durable. Errors are *chat.Error; an unknown
// conversation is KindNotFound, also when another tenant owns it.
type Views interface {
	// Conversations lists a tenant's conversations, latest activity first.
	// cursor is "" or the next of an earlier page; next is "" at the end.
	Conversations(ctx context.Context, t chat.TenantID, cursor string, limit int) (page []chat.ConversationView, next string, err error)
	Conversation(ctx context.Context, t chat.TenantID, id chat.ConversationID) (chat.ConversationView, error)
	// ConversationEvents returns up to limit events with seq > after, with Pos.
	ConversationEvents(ctx context.Context, t chat.TenantID, id chat.ConversationID, after chat.Seq, limit int) ([]chat.Event, error)
}

// Sends reads what is not known to have ended. Safe for concurrent use.
type Sends interface {
	// Sends lists the sends whose end is not known, with an empty state all of
	// them. cursor is as in Views; a page may be empty and not the last.
	Sends(ctx context.Context, t chat.TenantID, state, cursor string, limit int) (page []chat.SendView, next string, err error)
}

// Templates reads the registry of templates. Safe for concurrent use.
type Templates interface {
	// Templates lists a tenant's templates by name and language.
	Templates(ctx context.Context, t chat.TenantID) ([]chat.Template, error)
}

// People reads contacts, with all that is linked. An unknown contact is KindNotFound,
// also when another tenant has it. Safe for concurrent use.
type People interface {
	Contact(ctx context.Context, t chat.TenantID, id chat.ContactID) (chat.ContactView, error)
	// ContactEvents returns up to limit events of a person with pos > after.
	ContactEvents(ctx context.Context, t chat.TenantID, id chat.ContactID, after chat.Pos, limit int) ([]chat.Event, error)
}

// Links says that contacts are one person, or are not. The verdict is durable, on both
// sides, when it returns without error.
type Links interface {
	Link(ctx context.Context, t chat.TenantID, id chat.ContactID, f chat.Link) (chat.Verdict, error)
}

// Feed reads the tenant's one ordered feed, never past the durable position.
type Feed interface {
	// Feed returns up to limit events with pos > after.
	Feed(ctx context.Context, t chat.TenantID, after chat.Pos, limit int) ([]chat.Event, error)
	// WaitFeed returns when an event with pos > after may be durable, or ctx ends.
	WaitFeed(ctx context.Context, t chat.TenantID, after chat.Pos) error
}

// Library gives and takes files. Safe for concurrent use.
type Library interface {
	// Info describes a file by its own id, or by its message's and its number there,
	// without a look at its bytes. The reason of a KindNotFound is "media_not_found".
	Info(t chat.TenantID, id string, index int) (chat.FileInfo, error)
	// File opens a file at an offset within it. A read of the body fails when the file
	// is not whole. The reason of a KindNotFound may also be "media_elsewhere".
	File(ctx context.Context, t chat.TenantID, id string, index int, from int64) (body io.ReadCloser, info chat.FileInfo, err error)
	// Upload stores a file to send. key is the client's: the same file again gives the
	// first, with replayed true, another is KindConflict.
	Upload(ctx context.Context, t chat.TenantID, key string, info chat.FileInfo, body io.Reader) (u chat.Upload, replayed bool, err error)
}

// Sources is a tenant's knowledge, and its search. Every change is durable when it
// returns; what was given is read behind it. An unknown source is KindNotFound, also
// when another tenant has it. Safe for concurrent use.
type Sources interface {
	SourceReads
	SourceWrites
	// Search returns up to n passages, best first.
	Search(ctx context.Context, t chat.TenantID, query string, n int) ([]chat.Passage, error)
}

// SourceReads looks at sources.
type SourceReads interface {
	// List returns them in the order they were given.
	List(ctx context.Context, t chat.TenantID) ([]chat.Source, error)
	Source(t chat.TenantID, id chat.SourceID) (chat.Source, error)
	// Reindex has a source read again.
	Reindex(ctx context.Context, t chat.TenantID, id chat.SourceID) (chat.Source, error)
}

// SourceWrites gives, replaces and removes sources.
type SourceWrites interface {
	// Add gives a source; with the same key the first comes again, replayed then true.
	Add(ctx context.Context, t chat.TenantID, key string, given chat.Given) (s chat.Source, replayed bool, err error)
	Replace(ctx context.Context, t chat.TenantID, id chat.SourceID, given chat.Given) (chat.Source, error)
	Remove(ctx context.Context, t chat.TenantID, id chat.SourceID) error
}

// Home knows which node of a cluster answers for a tenant. Safe for concurrent use.
type Home interface {
	// Home returns the node that answers for t; 0 for this one, which then shows
	// all that was acknowledged anywhere before. It waits while no node is known.
	Home(ctx context.Context, t chat.TenantID) (chat.NodeID, error)
	// Relay has a node answer the request under way, streams included. again means
	// that it did nothing and asking anew may help.
	Relay(ctx context.Context, node chat.NodeID, t chat.TenantID, request *fasthttp.RequestCtx) (again bool, err error)
	// Refuse tells a node that relays a request whom to ask instead.
	Refuse(request *fasthttp.RequestCtx, t chat.TenantID)
}

// Commands are the writes: each goes the one road webhooks go. The verdict is
// durable when they return without error.
type Commands interface {
	Send(ctx context.Context, t chat.TenantID, id chat.ConversationID, m chat.MemberSend) (chat.Verdict, error)
	// TakeOver returns when no attempt of the assistant is under way any more.
	TakeOver(ctx context.Context, t chat.TenantID, id chat.ConversationID, m chat.TakeOver) (chat.Verdict, error)
	HandBack(ctx context.Context, t chat.TenantID, id chat.ConversationID, m chat.HandBack) (chat.Verdict, error)
}

// Approvals takes what people say of tool calls that wait for them.
type Approvals interface {
	// Decide is durable when it returns. KindNotFound: no such call waits. Deciding
	// again what was decided changes nothing.
	Decide(ctx context.Context, t chat.TenantID, id chat.ConversationID, d chat.ToolDecision) error
}

// TrainingPolicy is what a tenant allows to be made of its talks.
type TrainingPolicy interface {
	Policy(t chat.TenantID) (chat.TrainingPolicy, error)
	// SetPolicy is durable when it returns.
	SetPolicy(ctx context.Context, t chat.TenantID, p chat.TrainingPolicy) error
}

// Training makes training data. Both may take minutes; without a policy that allows it
// there is none.
type Training interface {
	Preview(ctx context.Context, t chat.TenantID) ([]chat.TrainingRow, chat.TrainingReport, error)
	// Export is remembered, with what its rows were made of, when it returns.
	Export(ctx context.Context, t chat.TenantID, by string) (chat.TrainingExport, error)
}

// TrainingReports reads what was exported. KindNotFound: there is no such export.
type TrainingReports interface {
	Exports(ctx context.Context, t chat.TenantID) ([]chat.TrainingExport, error)
	// Report returns the lineage of an export, and its contacts that were erased since.
	Report(ctx context.Context, t chat.TenantID, id string) (x chat.TrainingExport, lineage []chat.TrainingRow, retracted []chat.ContactID, err error)
	// Rows makes them again. KindConflict: the tenant allows nothing any more.
	Rows(ctx context.Context, t chat.TenantID, id string) ([]chat.TrainingRow, error)
}

// Marks tells customers that they were read. Safe for concurrent use.
type Marks interface {
	// MarkRead asks Meta, once, to mark the customer's messages as read. It returns
	// the latest of them, "" when there is none.
	MarkRead(ctx context.Context, t chat.TenantID, id chat.ConversationID) (chat.RemoteID, error)
}

// Channels reads what is known of a tenant's channels. An unknown channel is
// KindNotFound, also when another tenant owns it.
type Channels interface {
	// List returns the channels by id, and their states in the same order.
	List(t chat.TenantID) ([]chat.Channel, []chat.ChannelState)
	Channel(t chat.TenantID, id chat.ChannelID) (chat.Channel, chat.ChannelState, error)
	Health(ctx context.Context, t chat.TenantID, id chat.ChannelID) (chat.Health, error)
}

// Onboarding connects channels and looks after them; what it changed is durable.
// Errors that Meta caused hold a *chat.GraphError; the reasons of others are for
// people.
type Onboarding interface {
	Connect(ctx context.Context, t chat.TenantID, n chat.Connection) (chat.Channel, error)
	SetToken(ctx context.Context, t chat.TenantID, id chat.ChannelID, token chat.Secret) error
	Check(ctx context.Context, t chat.TenantID, id chat.ChannelID, subscribe bool) error
}

// Settings reads and changes what a business decides about a channel. Errors are
// *chat.Error: KindNotFound for a channel that is not the tenant's.
type Settings interface {
	Settings(t chat.TenantID, id chat.ChannelID) (chat.Channel, chat.ChannelSettings, error)
	// SetSettings is durable when it returns what was set, with its new version.
	// KindConflict means that the version in s is not the latest. REQUIRES: s.Check says
	// that the channel can have them.
	SetSettings(ctx context.Context, t chat.TenantID, id chat.ChannelID, s chat.ChannelSettings) (chat.ChannelSettings, error)
}

// Disconnection gives channels up. What it changed is durable.
type Disconnection interface {
	// Disconnect returns what Meta was asked to undo and did not.
	Disconnect(ctx context.Context, t chat.TenantID, id chat.ChannelID, deregister bool) (left []chat.Leftover, err error)
}

// TemplateSync fetches templates from Meta.
type TemplateSync interface {
	// SyncTemplates returns the templates of a channel's WABA as Meta has them.
	SyncTemplates(ctx context.Context, t chat.TenantID, id chat.ChannelID) ([]chat.Template, error)
}

// Profiles reads and writes what customers see of a number, at Meta.
type Profiles interface {
	Profile(ctx context.Context, ch chat.Channel) (chat.BusinessProfile, error)
	SetProfile(ctx context.Context, ch chat.Channel, p chat.BusinessProfile) error
	SetLogo(ctx context.Context, ch chat.Channel, picture []byte) error
}

// Assistants reads what assistants a tenant has. Safe for concurrent use.
type Assistants interface {
	// Heads lists them by id.
	Heads(ctx context.Context, t chat.TenantID) ([]chat.AssistantHead, error)
	// Version returns a version with its tag; KindNotFound when there is none.
	Version(t chat.TenantID, ref chat.AssistantRef) (v chat.Assistant, tag string, err error)
}

// AssistantChanges changes which assistant answers. The verdict is durable when it is
// returned without error, and what was published is used by every turn that starts
// afterwards.
type AssistantChanges interface {
	Draft(ctx context.Context, t chat.TenantID, f chat.DraftAssistant) (chat.Verdict, error)
	Publish(ctx context.Context, t chat.TenantID, f chat.PublishAssistant) (chat.Verdict, error)
	RollBack(ctx context.Context, t chat.TenantID, f chat.RollBackAssistant) (chat.Verdict, error)
}

// AssistantPlaces says where assistants answer.
type AssistantPlaces interface {
	Place(ctx context.Context, t chat.TenantID, f chat.PlaceAssistant) (chat.Verdict, error)
}

// Usage reads what a tenant has used.
type Usage interface {
	// Usage sums what was counted from one day until another, both included, as
	// 2026-11-27 in UTC.
	Usage(ctx context.Context, t chat.TenantID, from, to string) (map[chat.UsageKey]chat.UsageSum, error)
}

// Budgets reads and sets what a tenant lets its assistants spend.
type Budgets interface {
	Budget(ctx context.Context, t chat.TenantID) (chat.BudgetView, error)
	SetAllowance(ctx context.Context, t chat.TenantID, f chat.SetAllowance) (chat.Verdict, error)
}

// Pasts knows what prompts were made of.
type Pasts interface {
	// Past is what prompts of the tenant's calls were made of, beside its journals.
	Past(ctx context.Context, t chat.TenantID) (*chat.Past, error)
}
