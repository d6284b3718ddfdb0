package meta

// What this package allows the platform. What the platform allows stands in
// chat.Check.
const (
	// depthMax is the deepest nesting of a webhook body. Meta's own bodies
	// reach about 14; the parser recurses, so depth is stack.
	depthMax = 32
	// entryMax is the number of entries of one body: Meta batches at most
	// 1,000 updates.
	entryMax = 1000
	// valueMax bounds the JSON values of a body, which cost about 100 bytes
	// each while it is decoded. A 3 MB history import has some 300,000.
	valueMax = 1 << 19
	// idMax is the longest id in bytes. Meta's longest are mids of about 200;
	// ids become keys on disk.
	idMax = 512
	// wordMax is the longest type, field or status word that is kept as one;
	// the whole word stays in the raw update.
	wordMax = 128
	// nameMax is the longest profile name, in bytes. WhatsApp allows 25
	// characters.
	nameMax = 1024
	// textMax is the longest text, in bytes: far above WhatsApp's 4,096 characters
	// and what a form can hold. The whole one stays in the raw update.
	textMax = 64 << 10
	// urlMax is the longest address. Those of Meta's files have signatures and reach
	// about 1,000 bytes.
	urlMax = 8 << 10
	// listMax is how many files, cards, items and the like one message has in its
	// Content. Meta's own bound on an order is the largest, 30 products.
	listMax = 256
	// pooledBodyMax is the largest body whose parser is kept for reuse: beyond
	// it a rare import would pin megabytes for each processor.
	pooledBodyMax = 256 << 10

	// responseMax is how much of a Graph response is read. Answers to sends
	// are below 1 KB.
	responseMax = 64 << 10
)
