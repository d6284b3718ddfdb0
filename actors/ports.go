package actors

import (
	"context"
	"io"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/chumiai/chumi/chat"
)

// The ports: what the actors need from the other wings. Every method is safe
// for concurrent use. Errors are *chat.Error; a method that returns one changed
// nothing unless it says otherwise.

// Journal is the durable record. An activation is the only writer of its
// conversation; others may read.
type Journal interface {
	// Append makes c durable or tells why not, and returns only then. It blocks
	// for one fsync. An error means that nothing was written (too many commits
	// wait, the disk is full); every other outcome, Unknown included, is in the
	// Receipt. It keeps nothing that c points to.
	Append(ctx context.Context, c chat.Commit) (chat.Receipt, error)
	// Load returns the conversation's state; found is false for one without events.
	Load(t chat.TenantID, c chat.ConversationID) (state chat.Conversation, found bool, err error)
	// Events returns up to limit events with seq > after, in order, unsealed.
	Events(t chat.TenantID, c chat.ConversationID, after chat.Seq, limit int) ([]chat.Event, error)
}

// Histories reads what prompts are made of.
type Histories interface {
	// History is Journal.Events for a prompt that answers what stands at from and after it: of
	// events before from whose kind is not chat.Recalled it tells only Seq, Pos, Kind,
	// Tenant and Conversation.
	History(t chat.TenantID, c chat.ConversationID, after, from chat.Seq, limit int) ([]chat.Event, error)
}

// Pairs makes the commits of two conversations of one tenant durable together, or
// neither. WrongSeq may be of either; else it is like Journal.Append.
type Pairs interface {
	AppendBoth(ctx context.Context, c, also chat.Commit) (chat.Receipt, error)
}

// Index looks up what Step must know besides the state.
type Index interface {
	// Locate resolves a customer's addresses on a channel. For an unknown
	// person it returns the ids that a first commit shall claim: they are a
	// keyed hash of channel and address, so that racing deliveries agree.
	Locate(t chat.TenantID, ch chat.ChannelID, addresses []chat.Address) (chat.Place, error)
	// Row returns the index row of a remote id on a channel.
	Row(t chat.TenantID, ch chat.ChannelID, remote chat.RemoteID, revision string) (row chat.RemoteRow, found bool, err error)
	// Claimed reports whether a digest or idempotency claim exists.
	Claimed(t chat.TenantID, kind chat.ClaimKind, key string) (o chat.Original, found bool, err error)
}

// Contacts reads the people side of a conversation, unsealed.
type Contacts interface {
	Contact(t chat.TenantID, id chat.ContactID) (chat.Contact, error)
	// Person is Contact with the conversation it was made with, which the contacts of
	// an old store do not name; it may be slow.
	Person(t chat.TenantID, id chat.ContactID) (chat.Contact, error)
}

// Talks lists the conversations of a tenant, latest activity first; next is "" at the
// end.
type Talks interface {
	Conversations(ctx context.Context, t chat.TenantID, cursor string, limit int) (page []chat.ConversationView, next string, err error)
}

// Documents reads the tenant's documents, unsealed. It may see what is not yet
// durable.
type Documents interface {
	// Doc returns the JSON of a document; found is false when there is none.
	Doc(t chat.TenantID, noun chat.DocNoun, id string) (value []byte, found bool, err error)
	// Docs returns every document of a noun, in no order.
	Docs(ctx context.Context, t chat.TenantID, noun chat.DocNoun) ([]chat.Doc, error)
}

// Counters reads what a tenant has used. It may see what is not yet durable.
type Counters interface {
	// Counter is the value of a counter; 0 for one that was never counted.
	Counter(t chat.TenantID, name string) (int64, error)
}

// Barrier waits until all that can be read of a tenant now is durable. A reader
// that answers "duplicate" from a row must wait first: rows are visible before
// their fsync returned.
type Barrier interface {
	Barrier(ctx context.Context, t chat.TenantID) error
}

// Directory knows channels and settings; all from memory.
type Directory interface {
	// Channel resolves the account in a webhook to a channel bound to app.
	// found is false when there is none, or when it is bound to another app.
	Channel(app chat.AppID, kind chat.ChannelKind, account, waba string) (ch chat.Channel, found bool)
	// ChannelByID returns a channel with its token.
	ChannelByID(id chat.ChannelID) (ch chat.Channel, found bool)
	// Settings returns the tenant's resolved settings; never nil, never mutated.
	Settings(t chat.TenantID) *chat.Settings
}

// Registry lists what the directory knows, from memory, and replaces tokens.
type Registry interface {
	Tenants() []chat.Tenant
	// Channels lists a tenant's channels by id, with their tokens.
	Channels(t chat.TenantID) []chat.Channel
	// ReplaceToken is durable when it returns. KindConflict means that the channel
	// has not the token was any more.
	ReplaceToken(ctx context.Context, id chat.ChannelID, was, token chat.Secret) error
}

// Accounts asks Meta about channels. Errors hold a *chat.GraphError.
type Accounts interface {
	// Check asks all that can be asked of a channel. What Meta did not answer is
	// left out of the report; the error is the first of what failed for now.
	Check(ctx context.Context, ch chat.Channel) (chat.ChannelReport, error)
	// Refresh gets a token that ends later.
	Refresh(ctx context.Context, ch chat.Channel) (token chat.Secret, expires time.Time, err error)
	// Templates lists the templates of the channel's WABA.
	Templates(ctx context.Context, ch chat.Channel) ([]chat.Template, error)
}

// Onboarding is Meta's side of connecting an account. Errors hold a
// *chat.GraphError where Meta gave one.
type Onboarding interface {
	// Exchange makes a token of a login's code, with its end; zero for none.
	Exchange(ctx context.Context, ch chat.Channel, code, redirectURI string) (token chat.Secret, expires time.Time, err error)
	// Identify returns the account the token is good for: the channel's own number
	// once the token is seen to grant its WABA, or whose Instagram token it is.
	// KindConflict means that it grants something else.
	Identify(ctx context.Context, ch chat.Channel) (account string, err error)
	// Open has Meta post the account's webhooks and registers the number when a pin
	// is given. Repeating it is harmless.
	Open(ctx context.Context, ch chat.Channel, pin string) error
}

// Releaser is Meta's side of giving a channel up. Errors hold a *chat.GraphError where
// Meta gave one.
type Releaser interface {
	// Unsubscribe ends that webhooks are posted: of an Instagram account, or of all
	// numbers of a WABA.
	Unsubscribe(ctx context.Context, ch chat.Channel) error
	// Deregister frees a number for another registration.
	Deregister(ctx context.Context, ch chat.Channel) error
}

// Binder stores channels.
type Binder interface {
	// Unbind forgets the channel's token and frees its account; durable when it
	// returns. Repeating it changes nothing.
	Unbind(ctx context.Context, id chat.ChannelID, at chat.Millis) error
	// PutChannel is durable when it returns. KindConflict means that the account is
	// another channel's.
	PutChannel(ctx context.Context, ch chat.Channel) error
}

// Portfolios counts whom the numbers of a business portfolio write to outside the
// customer service window, on all nodes and for all tenants together.
type Portfolios interface {
	// Reserve counts persons, known by their identity, as written to from now until
	// chat.ReserveSpan from now, each unless that made more than limit in some span
	// of 24 hours. frees is when a place frees for those refused. It is durable when
	// it returns; after an error some may be counted, and nobody may be written to.
	Reserve(ctx context.Context, portfolio string, limit int, persons []chat.Address) (granted []bool, frees time.Time, err error)
	// Reached returns how many persons count now, as far as this node knows, and when
	// a place of limit frees; zero when there is one.
	Reached(portfolio string, limit int) (persons int, frees time.Time, err error)
}

// Sightings remembers which webhooks came in on this node.
type Sightings interface {
	Sighting(ch chat.Channel) chat.Sighting
}

// Quarantine keeps, durably and sealed, what cannot be given to a tenant.
type Quarantine interface {
	// Keep is durable when it returns. Keeping the same item again is a no-op.
	Keep(ctx context.Context, app chat.AppID, reason string, in *chat.Inbound, now time.Time) error
}

// Leadership tells which group a tenant is in and which epoch rules it.
type Leadership interface {
	Group(t chat.TenantID) chat.Group
	Groups() int
	// Epoch is one atomic load; a change fences every activation born before.
	Epoch(g chat.Group) chat.Epoch
}

// Elections tells when another epoch rules.
type Elections interface {
	// Changed blocks until the epoch of g is not than, and returns it; or until
	// ctx ends, and returns than.
	Changed(ctx context.Context, g chat.Group, than chat.Epoch) chat.Epoch
}

// Leaders is the leadership table of a cluster, as this node knows it. A wrong
// entry costs a detour: who does not lead says so.
type Leaders interface {
	// Leader is the node that leads g; 0 while nobody is known to.
	Leader(g chat.Group) chat.NodeID
	// Misled notes that asked does not lead g, or does not answer, and who does
	// by its account; 0 when it named nobody.
	Misled(g chat.Group, asked, leader chat.NodeID)
}

// Peers connects the actors of this node with those of others. What it carries
// arrives at most once.
type Peers interface {
	// Attach gives the system an address and mail a way in. Called once, when the
	// routers have been spawned and nothing else runs.
	Attach(system *actor.ActorSystem)
	// Address is that of the actors of a node.
	Address(node chat.NodeID) string
	// Call carries a request that is too large for mail to System.Answer of the
	// node, and its answer back. KindFenced means that the node was not reached.
	Call(ctx context.Context, node chat.NodeID, g chat.Group, request []byte) (answer []byte, err error)
}

// Places bounds the requests to each node that wait for answers.
type Places interface {
	// Acquire takes a place for one request to a node, or reports that there is none.
	Acquire(node chat.NodeID) bool
	// Release gives it back.
	Release(node chat.NodeID)
}

// Refresher makes the directory current.
type Refresher interface {
	// Refresh returns when the directory knows all that was acknowledged anywhere
	// up to about a second ago.
	Refresh(ctx context.Context) error
}

// Owed is one row of the agenda.
type Owed = chat.Owed

// Agenda lists what is owed, per group.
type Agenda interface {
	// Due returns up to max rows with At <= until and after the cursor
	// (nil cursor: from the start), oldest first, only durable ones, and the
	// cursor to go on from.
	Due(g chat.Group, until time.Time, cursor []byte, max int) (rows []Owed, next []byte, err error)
	// Live returns rows, of any due time, whose obligation died with the
	// process that armed it: a running turn or an attempt of an older epoch, a
	// queued send that no sender knows of.
	Live(g chat.Group, cursor []byte, max int) (rows []Owed, next []byte, err error)
	// Earliest blocks until a row earlier than `than` may have become durable
	// in g, or ctx ends.
	Earliest(ctx context.Context, g chat.Group, than time.Time) error
}

// Model answers prompts. An error is *chat.ModelError.
type Model interface {
	Complete(ctx context.Context, p chat.Prompt) (chat.Answer, error)
}

// Models knows which models can be asked.
type Models interface {
	// Knows reports whether there is a provider of the model's name, and it may be asked
	// for the model.
	Knows(m chat.ModelRef) bool
}

// Prices knows what models cost.
type Prices interface {
	// CallCost is the most that one call of any of the models costs within limits; no
	// models are those of the configuration.
	CallCost(models []chat.ModelRef, limits chat.TurnLimits) chat.CallCost
	// Unpriced are those of the models whose price is not known.
	Unpriced(models []chat.ModelRef) []chat.ModelRef
	// Price is what a model costs; found is false for one without a price.
	Price(m chat.ModelRef) (p chat.Price, found bool)
}

// Knowledge finds what a business has written down.
type Knowledge interface {
	// Search returns up to limit passages of the tenant's own that bear on the query, the
	// best first: the same for the same knowledge and query, none where nothing does.
	Search(ctx context.Context, t chat.TenantID, query string, limit int) ([]chat.Passage, error)
}

// RemoteTools carries out calls of tools that are elsewhere. It returns within ctx;
// what goes wrong is a word in the result, and nothing of a secret.
type RemoteTools interface {
	Run(ctx context.Context, r chat.ToolRun) chat.ToolResult
}

// Graph sends one message, once. It returns within ctx; every outcome is a value.
type Graph interface {
	Send(ctx context.Context, out chat.Outbound) chat.SendOutcome
}

// Toolbox makes tool calls.
type Toolbox interface {
	// Run returns within ctx; every outcome is a value.
	Run(ctx context.Context, r chat.ToolRun) chat.ToolResult
}

// Transcriber writes down what is said in a voice note, and says what that took but
// for its cost.
type Transcriber interface {
	Transcribe(ctx context.Context, t chat.TenantID, name, mimeType string, r io.Reader) (text string, used chat.Spend, err error)
}

// Uploads knows under which id Meta has a file of the engine.
type Uploads interface {
	// MediaID returns the id that a channel may send blob under now, and uploads it
	// when Meta has it no more or not for long. KindInvalid and KindNotFound are for
	// good: the file cannot be sent on this channel, or there is none.
	MediaID(ctx context.Context, ch chat.Channel, blob string) (id string, err error)
}

// Media opens files at Meta and gives it files.
type Media interface {
	// UploadMedia gives a file of size bytes to Meta and returns the id to send it by.
	// Its error is a *chat.MediaError.
	UploadMedia(ctx context.Context, ch chat.Channel, mimeType, filename string, size int64, body io.Reader) (id string, err error)
	// OpenMedia opens a file of a message. Its error, and that of a read other than
	// io.EOF, is a *chat.MediaError; io.EOF means that the file is whole and what
	// Meta said it is. The caller closes the body.
	OpenMedia(ctx context.Context, ch chat.Channel, m chat.Media) (body io.ReadCloser, mimeType string, err error)
}

// Persons knows the public profiles of Instagram customers.
type Persons interface {
	// Person returns a profile. KindInvalid and KindNotFound mean that this person's
	// is not to be had, other errors that it may be later.
	Person(ctx context.Context, ch chat.Channel, igsid string) (chat.Person, error)
}

// Files keeps files, sealed. Names are chat.BlobIDs.
type Files interface {
	// Keep stores what r yields up to io.EOF; it is durable when it returns. An
	// error of r is returned as it is, and nothing is stored.
	Keep(ctx context.Context, t chat.TenantID, stem chat.BlobStem, r io.Reader) (chat.Kept, error)
	// Drop deletes every file of a tenant whose name begins with prefix.
	Drop(ctx context.Context, t chat.TenantID, prefix string) error
	// Each visits every file that was stored before a time. An error of visit ends it.
	Each(ctx context.Context, before time.Time, visit func(chat.TenantID, chat.BlobID) error) error
}

// Opener reads what Files keeps.
type Opener interface {
	// Open returns the plain file from an offset within it on; KindNotFound when it is
	// not here. The body proves itself while it is read: an error other than io.EOF
	// means that it is not whole.
	Open(ctx context.Context, t chat.TenantID, b chat.BlobID, key []byte, from int64) (io.ReadCloser, error)
}

// Texts makes text of files and websites. Errors of KindInvalid are for good.
type Texts interface {
	// FileText is the text of a file.
	FileText(ctx context.Context, mimeType, filename string, body []byte) ([]chat.Excerpt, error)
	// SiteText fetches up to pages of a website, and says how many it read.
	SiteText(ctx context.Context, url string, pages int) (excerpts []chat.Excerpt, read int, err error)
}

// Embedder makes vectors of texts.
type Embedder interface {
	// EmbeddingModel names the model of a tenant; "" for none.
	EmbeddingModel(t chat.TenantID) string
	// Embed returns one vector for each text, all of one length.
	Embed(ctx context.Context, t chat.TenantID, texts []string) ([][]float32, error)
}

// Strikes remembers, across a crash of the process, which updates were in Step.
type Strikes interface {
	// Enter marks fingerprint as being processed and returns a slot for Leave
	// and how many unclean exits found it marked.
	Enter(fingerprint uint64) (slot int, strikes int)
	Leave(slot int)
}

// Clock is the wall clock and the monotonic one, injected.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f on its own goroutine after d.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}
