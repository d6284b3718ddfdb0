package meta_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// gist is what a Content says, in the words of a test.
func gist(c *chat.Content) string {
	if c == nil {
		return ""
	}
	var said []string
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	for _, m := range c.Media {
		say("media %s", m.Kind)
	}
	for _, card := range c.Cards {
		say("card %s", card.Name)
	}
	switch {
	case c.Location != nil:
		say("location %s", c.Location.Name)
	case c.Choice != nil && c.Choice.ID == "payload of words" && c.Choice.Title == "words":
		say("choice %s", c.Choice.Kind)
	case c.Form != nil:
		say("form %s", c.Form.Token)
	case c.Order != nil:
		say("order %s of %s", c.Order.Items[0].Quantity, c.Order.Items[0].Product)
	case c.Story != nil && c.Story.URL != "":
		say("story")
	case c.Referral != nil:
		say("referral %s", c.Referral.Ref)
	case c.Problem != nil:
		say("problem %d", c.Problem.Code)
	case c.Reaction != nil:
		say("reaction on %s: %s", c.Reaction.Target, c.Reaction.Emoji)
	case c.Edit != nil:
		say("edit of %s: %s", c.Edit.Target, c.Edit.Text)
	case c.Revoke != nil:
		say("revoke of %s", c.Revoke.Target)
	case c.Identity != nil:
		say("identity %s", c.Identity.Kind)
	case c.Pricing != nil:
		say("price %s %s %s", c.Pricing.Model, c.Pricing.Type, c.Pricing.Category)
	}
	return strings.Join(said, ", ")
}

// What the simulator reports about sends: a status says its price and keeps no
// JSON, an echo is the business's.
func TestDecode_TakesWhatTheSimulatorReports(t *testing.T) {
	whatsApp := metasim.Account{Kind: metasim.WhatsApp, ID: "200000000000001"}
	instagram := metasim.Account{Kind: metasim.Instagram, ID: "17840000000000001"}
	for _, c := range []struct {
		update metasim.Update
		kind   chat.InboundKind
		says   string
	}{
		{metasim.Update{Kind: metasim.UpdateStatus, Account: whatsApp, Status: "delivered"}, chat.InboundStatus, "price PMP free_customer_service service"},
		{metasim.Update{Kind: metasim.UpdateStatus, Account: whatsApp, Status: "read"}, chat.InboundStatus, ""},
		{metasim.Update{Kind: metasim.UpdateEcho, Account: whatsApp, Text: "words"}, chat.InboundEcho, ""},
		{metasim.Update{Kind: metasim.UpdateEcho, Account: instagram, Text: "words"}, chat.InboundEcho, ""},
		{metasim.Update{Kind: metasim.UpdateEcho, Account: instagram, Attachment: "image"}, chat.InboundEcho, "media image"},
		{metasim.Update{Kind: metasim.UpdateRead, Account: instagram}, chat.InboundRead, ""},
	} {
		c.update.Customer, c.update.RemoteID, c.update.At = metasim.Customer{ID: "4915550100001"}, "own", time.Unix(1_790_000_000, 0)
		body, err := metasim.Body(c.update)
		if err != nil {
			t.Fatal(err)
		}
		got, err := meta.Decode("main", body)
		if err != nil || len(got) != 1 || got[0].Kind != c.kind || got[0].Remote != "own" || len(got[0].Customer) != 1 || gist(got[0].Content) != c.says {
			t.Errorf("%s %s %s: %+v, %v; want kind %d saying %q", c.update.Account.Kind, c.update.Kind, c.update.Status, got, err, c.kind, c.says)
			continue
		}
		if plain := c.update.Attachment == ""; plain != (got[0].Raw == nil) {
			t.Errorf("%s %s %s: %d bytes of JSON are kept", c.update.Account.Kind, c.update.Kind, c.update.Status, len(got[0].Raw))
		}
	}
}

// The simulator and the decoder were written from the same documents, one apart
// from the other.
func TestDecode_TakesEveryKindTheSimulatorMakes(t *testing.T) {
	type want struct {
		kind       chat.InboundKind
		word, text string
		// says is the gist of the Content, "" for none.
		says string
	}
	const (
		message = chat.InboundMessage
		update  = chat.InboundUpdate
	)
	whatsApp := map[metasim.UpdateKind]want{
		metasim.UpdateText:        {message, "text", "words", ""},
		metasim.UpdateImage:       {message, "image", "words", "media image"},
		metasim.UpdateVideo:       {message, "video", "words", "media video"},
		metasim.UpdateAudio:       {message, "audio", "", "media audio"},
		metasim.UpdateVoice:       {message, "audio", "", "media voice"},
		metasim.UpdateDocument:    {message, "document", "words", "media document"},
		metasim.UpdateSticker:     {message, "sticker", "", "media sticker"},
		metasim.UpdateLocation:    {message, "location", "", "location words"},
		metasim.UpdateContacts:    {message, "contacts", "", "card words"},
		metasim.UpdateButton:      {message, "button", "words", "choice button"},
		metasim.UpdateButtonReply: {message, "interactive", "words", "choice button_reply"},
		metasim.UpdateListReply:   {message, "interactive", "words", "choice list_reply"},
		metasim.UpdateFormReply:   {message, "interactive", "", "form payload of words"},
		metasim.UpdateOrder:       {message, "order", "words", "order 2 of sku-1"},
		metasim.UpdateReaction:    {message, "reaction", "", "reaction on earlier: words"},
		metasim.UpdateUnreaction:  {message, "reaction", "", "reaction on earlier: "},
		metasim.UpdateSystem:      {message, "system", "words", "identity identity_changed"},
		metasim.UpdateWelcome:     {message, "request_welcome", "", ""},
		metasim.UpdateEdit:        {message, "edit", "words", "edit of earlier: words"},
		metasim.UpdateRevoke:      {message, "revoke", "", "revoke of earlier"},
		metasim.UpdateUnsupported: {message, "unsupported", "", "problem 131051"},
		metasim.UpdateUnknown:     {message, "hologram", "", ""},
	}
	instagram := map[metasim.UpdateKind]want{
		metasim.UpdateText:         {message, "text", "words", ""},
		metasim.UpdateImage:        {message, "image", "", "media image"},
		metasim.UpdateVideo:        {message, "video", "", "media video"},
		metasim.UpdateAudio:        {message, "audio", "", "media audio"},
		metasim.UpdateDocument:     {message, "file", "", "media document"},
		metasim.UpdateSticker:      {message, "like_heart", "", "media like_heart"},
		metasim.UpdateShare:        {message, "ig_post", "", "media ig_post"},
		metasim.UpdateReel:         {message, "ig_reel", "", "media ig_reel"},
		metasim.UpdateStoryMention: {message, "story_mention", "", "media story_mention, story"},
		metasim.UpdateStoryReply:   {message, "story_reply", "words", "story"},
		metasim.UpdateButtonReply:  {message, "quick_reply", "words", "choice quick_reply"},
		metasim.UpdateButton:       {message, "postback", "words", "choice postback"},
		metasim.UpdateReaction:     {update, "reaction", "", "reaction on earlier: words"},
		metasim.UpdateUnreaction:   {update, "reaction", "", "reaction on earlier: "},
		metasim.UpdateEdit:         {update, "message_edit", "words", "edit of earlier: words"},
		metasim.UpdateRevoke:       {update, "message_deleted", "", "revoke of earlier"},
		metasim.UpdateReferral:     {update, "referral", "", "referral words"},
		metasim.UpdateUnsupported:  {message, "unsupported", "", "problem 0"},
		metasim.UpdateUnknown:      {update, "hologram", "", ""},
	}
	for _, c := range []struct {
		account  metasim.Account
		customer metasim.Customer
		kinds    map[metasim.UpdateKind]want
		all      []metasim.UpdateKind
	}{
		{metasim.Account{Kind: metasim.WhatsApp, ID: "200000000000001"}, metasim.Customer{ID: "4915550100001", UserID: "DE.77", Name: "Ada"}, whatsApp, metasim.Kinds(metasim.WhatsApp)},
		{metasim.Account{Kind: metasim.Instagram, ID: "17840000000000001"}, metasim.Customer{ID: "900000000000001"}, instagram, metasim.Kinds(metasim.Instagram)},
	} {
		if len(c.all) != len(c.kinds) {
			t.Errorf("%s: the simulator makes %d kinds, %d are listed here", c.account.Kind, len(c.all), len(c.kinds))
		}
		for _, kind := range c.all {
			body, err := metasim.Body(metasim.Update{Kind: kind, Account: c.account, Customer: c.customer,
				RemoteID: "own", About: "earlier", Text: "words", At: time.Unix(1_790_000_000, 0)})
			if err != nil {
				t.Fatal(err)
			}
			got, err := meta.Decode("main", body)
			if err != nil || len(got) != 1 {
				t.Errorf("%s %s: %d updates, %v", c.account.Kind, kind, len(got), err)
				continue
			}
			in, want := got[0], c.kinds[kind]
			if in.Problem != "" || in.Kind != want.kind || in.Type != want.word || in.Text != want.text || in.Account != c.account.ID || len(in.Customer) == 0 {
				t.Errorf("%s %s: %+v, want %+v", c.account.Kind, kind, in, want)
			}
			if got := gist(in.Content); got != want.says {
				t.Errorf("%s %s: its content is %q, want %q", c.account.Kind, kind, got, want.says)
			}
			if (in.Remote == "") == (in.Digest == "") {
				t.Errorf("%s %s: remote id %q and digest %q; one of them tells it from others", c.account.Kind, kind, in.Remote, in.Digest)
			}
			if in.Time.Unix() != 1_790_000_000 {
				t.Errorf("%s %s: happened at %v", c.account.Kind, kind, in.Time)
			}
		}
	}
}
