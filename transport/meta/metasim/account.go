package metasim

// Kind is the product an account belongs to.
type Kind string

// The kinds.
const (
	WhatsApp  Kind = "whatsapp"
	Instagram Kind = "instagram"
)

// Account is one business endpoint: a WhatsApp number or an Instagram account.
type Account struct {
	Kind Kind `json:"kind"`
	// ID is the phone_number_id or the Instagram account id.
	ID string `json:"id"`
	// Name is a word that people may use instead of ID. Can be empty.
	Name string `json:"name,omitempty"`
	// WABA is the WhatsApp Business Account id; DefaultWABA when empty.
	WABA string `json:"waba,omitempty"`
	// Portfolio is the business whose numbers share a messaging limit; when empty
	// the WABA has one of its own.
	Portfolio string `json:"portfolio,omitempty"`
	// Display is the number customers see; DefaultDisplay when empty.
	Display string `json:"display,omitempty"`
	// App names the Meta app whose callback, /hooks/{App}, gets the updates.
	App string `json:"app"`
	// AppID is that app's id at Meta, the client_id of logins; one is made when empty.
	AppID string `json:"-"`
	// AppSecret signs them. Without one, accepted messages are not reported on.
	AppSecret string `json:"-"`
	// AccessToken is the only bearer token accepted for this account; any
	// token is when it is empty.
	AccessToken string `json:"-"`
}

// What a WhatsApp account shows when it does not say.
const (
	DefaultWABA    = "100000000000001"
	DefaultDisplay = "15550100000"
)

func (a Account) waba() string {
	if a.WABA == "" {
		return DefaultWABA
	}
	return a.WABA
}

func (a Account) display() string {
	if a.Display == "" {
		return DefaultDisplay
	}
	return a.Display
}

// Customer is the person on the other side of an account.
type Customer struct {
	// ID is the WhatsApp id (digits) or the Instagram-scoped id. May be empty
	// on WhatsApp when UserID is set: people with a username hide their number.
	ID string
	// UserID is the business-scoped user id on WhatsApp. Can be empty.
	UserID string
	// Name is the profile name. Can be empty.
	Name string
}

// ConversationKey names the conversation of a customer with an account in the
// ledgers.
func ConversationKey(a Account, c Customer) string {
	if c.ID == "" {
		return a.ID + "/" + c.UserID
	}
	return a.ID + "/" + c.ID
}
