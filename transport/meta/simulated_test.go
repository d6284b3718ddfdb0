package meta_test

import (
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// The simulator and the decoder were written from the same documents, one apart
// from the other.
func TestDecode_TakesEveryKindTheSimulatorMakes(t *testing.T) {
	type want struct {
		kind       chat.InboundKind
		word, text string
	}
	const (
		message = chat.InboundMessage
		update  = chat.InboundUpdate
	)
	whatsApp := map[metasim.UpdateKind]want{
		metasim.UpdateText:        {message, "text", "words"},
		metasim.UpdateImage:       {message, "image", "words"},
		metasim.UpdateVideo:       {message, "video", "words"},
		metasim.UpdateAudio:       {message, "audio", ""},
		metasim.UpdateVoice:       {message, "audio", ""},
		metasim.UpdateDocument:    {message, "document", "words"},
		metasim.UpdateSticker:     {message, "sticker", ""},
		metasim.UpdateLocation:    {message, "location", ""},
		metasim.UpdateContacts:    {message, "contacts", ""},
		metasim.UpdateButton:      {message, "button", "words"},
		metasim.UpdateButtonReply: {message, "interactive", "words"},
		metasim.UpdateListReply:   {message, "interactive", "words"},
		metasim.UpdateFormReply:   {message, "interactive", ""},
		metasim.UpdateOrder:       {message, "order", "words"},
		metasim.UpdateReaction:    {message, "reaction", ""},
		metasim.UpdateUnreaction:  {message, "reaction", ""},
		metasim.UpdateSystem:      {message, "system", "words"},
		metasim.UpdateWelcome:     {message, "request_welcome", ""},
		metasim.UpdateEdit:        {message, "edit", "words"},
		metasim.UpdateRevoke:      {message, "revoke", ""},
		metasim.UpdateUnsupported: {message, "unsupported", ""},
		metasim.UpdateUnknown:     {message, "hologram", ""},
	}
	instagram := map[metasim.UpdateKind]want{
		metasim.UpdateText:         {message, "text", "words"},
		metasim.UpdateImage:        {message, "image", ""},
		metasim.UpdateVideo:        {message, "video", ""},
		metasim.UpdateAudio:        {message, "audio", ""},
		metasim.UpdateDocument:     {message, "file", ""},
		metasim.UpdateSticker:      {message, "like_heart", ""},
		metasim.UpdateShare:        {message, "ig_post", ""},
		metasim.UpdateReel:         {message, "ig_reel", ""},
		metasim.UpdateStoryMention: {message, "story_mention", ""},
		metasim.UpdateStoryReply:   {message, "story_reply", "words"},
		metasim.UpdateButtonReply:  {message, "quick_reply", "words"},
		metasim.UpdateButton:       {message, "postback", "words"},
		metasim.UpdateReaction:     {update, "reaction", ""},
		metasim.UpdateUnreaction:   {update, "reaction", ""},
		metasim.UpdateEdit:         {update, "message_edit", "words"},
		metasim.UpdateRevoke:       {update, "message_deleted", ""},
		metasim.UpdateReferral:     {update, "referral", ""},
		metasim.UpdateUnsupported:  {message, "unsupported", ""},
		metasim.UpdateUnknown:      {update, "hologram", ""},
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
			if (in.Remote == "") == (in.Digest == "") {
				t.Errorf("%s %s: remote id %q and digest %q; one of them tells it from others", c.account.Kind, kind, in.Remote, in.Digest)
			}
			if in.Time.Unix() != 1_790_000_000 {
				t.Errorf("%s %s: happened at %v", c.account.Kind, kind, in.Time)
			}
		}
	}
}
