package chat

// Passage is a piece of knowledge, or a product, as it was when a model saw it.
type Passage struct {
	// Chunk and Version name the piece; Source the document it is of.
	Chunk   string `json:"chunk"`
	Version int    `json:"version"`
	Source  string `json:"source"`
	// Title and URL are of the document, for people.
	Title string `json:"title,omitempty"`
	URL   string `json:"url,omitempty"`
	Text  string `json:"text"`
	// Score is of the search that found it.
	Score float64 `json:"score,omitempty"`
	// Weak is true of one that shares little with what was asked: it may answer
	// something else.
	Weak bool `json:"weak,omitempty"`
	// Prices are those that the passage states and the store holds, as printed.
	Prices []string `json:"prices,omitempty"`
}

// CatalogItem is a product that the business sells, as its store has it. It is a
// document of the tenant, by its id.
type CatalogItem struct {
	// ID is the business's own, the retailer id of Meta's catalogs.
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Price is in the smallest unit of Currency, an ISO 4217 word.
	Price    int64  `json:"price"`
	Currency string `json:"currency"`
	// Stock is how many there are; nil when nobody counts.
	Stock *int64 `json:"stock,omitempty"`
	URL   string `json:"url,omitempty"`
	// Words are other names customers use.
	Words []string `json:"words,omitempty"`
}
