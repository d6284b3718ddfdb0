package chat_test

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/chumiai/chumi/chat"
)

// more executes the commands about what happens to messages after they were
// written, and about people. It returns the fact, or what the command says itself.
//
//	edit ID TARGET "text" [rev=N] [by=echo]   on Instagram ID only numbers the edit
//	revoke ID TARGET [by=echo]
//	react ID TARGET EMOJI
//	identity ID KIND [from=A] [before=A] [became=A,A]  an address is wa_id:1555 or bsuid:US.1
//	consent WORD [age=1h] | name "Ada" | control EVENT [ours] | standby ID "text"
//	custom JSON                               what the business has set for the channel
//	call ID EVENT [in] | comment ID "text" [live] [mention] [age=1h] | import ID "text" [ours] [age=24h]
//	elsewhere A CONTACT                       an address of another contact
//	from ID A,A "text"                        a message that names these addresses
//	link CONTACT [member=ana] | split CONTACT [member=ana]
//	prompt | window | contact | participants
func more(w *world, words []string, opt map[string]string, inbound func(chat.InboundKind) *chat.Inbound) (chat.Fact, string) {
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	flag := func(word string) bool { return strings.Contains(" "+strings.Join(words, " ")+" ", " "+word+" ") }
	told := func(typ string, content chat.Content) *chat.Inbound {
		in := inbound(chat.InboundUpdate)
		in.Remote, in.Type, in.Content, in.Digest = "", typ, &content, strings.Join(words, " ")
		return in
	}
	switch arg(0) {
	case "edit", "revoke", "react":
		return afterwards(w, words, opt, inbound), ""
	case "identity":
		in := inbound(chat.InboundMessage)
		if from := opt["from"]; from != "" {
			in.Customer = addresses(from)
		}
		in.Type, in.Content = "system", &chat.Content{Identity: &chat.IdentityChange{
			Kind: arg(2), Before: addresses(opt["before"]), Became: addresses(opt["became"])}}
		return in, ""
	case "consent":
		return told("user_preferences", chat.Content{Consent: &chat.Consent{
			Category: chat.ConsentMarketing, Given: arg(1) != "stop", Word: arg(1)}}), ""
	case "control":
		in := told("control", chat.Content{Control: &chat.Control{Event: arg(1), Ours: flag("ours")}})
		return in, ""
	case "call":
		return told("calls", chat.Content{Call: &chat.Call{ID: arg(1), Event: arg(2), Inbound: flag("in")}}), ""
	case "comment":
		return told("comments", chat.Content{Comment: &chat.Comment{ID: arg(1), Text: arg(2), Live: flag("live"), Mention: flag("mention")}}), ""
	case "custom":
		w.docs[string(w.state.Channel)] = []byte(arg(1))
		return nil, "noted\n"
	case "name":
		in := told("smb_app_state_sync", chat.Content{})
		in.Name, in.Content = arg(1), nil
		return in, ""
	case "standby":
		in := inbound(chat.InboundUpdate)
		in.Type, in.Revision, in.Text = "standby", "standby", arg(2)
		return in, ""
	case "import":
		in := inbound(chat.InboundImport)
		in.Text, in.Ours = arg(2), flag("ours")
		return in, ""
	case "from":
		in := inbound(chat.InboundMessage)
		in.Customer, in.Text = addresses(arg(2)), arg(3)
		return in, ""
	case "link", "split":
		return chat.Link{Other: chat.ContactID(arg(1)), Apart: arg(0) == "split", Member: opt["member"], Proof: "said"}, ""
	case "elsewhere":
		w.others[addresses(arg(1))[0]] = chat.ContactID(arg(2))
		return nil, "noted\n"
	case "prompt":
		return nil, prompt(w)
	case "participants":
		var a chat.Attendance
		for i := range w.events {
			a.Add(&w.events[i])
		}
		var b strings.Builder
		for _, p := range a.People {
			fmt.Fprintf(&b, "%s %s%s: %d messages, %s to %s\n", p.Author, p.Member, p.Model, p.Messages, p.First.Sub(start), p.Last.Sub(start))
		}
		return nil, fmt.Sprintf("%s%s\n", b.String(), a.Duration())
	case "window":
		if w.state.Window().Open(w.now) {
			return nil, "open\n"
		}
		return nil, "closed\n"
	case "contact":
		to, _ := w.contact.Recipient()
		return nil, fmt.Sprintf("%s; send to %s; marketing %v\n", strings.TrimSpace(people(&w.contact)), to.Value, w.contact.Allows(chat.ConsentMarketing))
	}
	return nil, ""
}

// afterwards makes an update about another message, as each product tells it.
func afterwards(w *world, words []string, opt map[string]string, inbound func(chat.InboundKind) *chat.Inbound) *chat.Inbound {
	target, rev := chat.RemoteID(words[2]), 0
	if n, err := strconv.Atoi(opt["rev"]); err == nil {
		rev = n
	}
	in := inbound(chat.InboundMessage)
	if opt["by"] == "echo" {
		in.Kind = chat.InboundEcho
	}
	in.Type, in.Content = words[0], &chat.Content{}
	revision := "deleted"
	switch words[0] {
	case "edit":
		in.Text = words[3]
		in.Content.Edit = &chat.Edit{Target: target, Text: words[3], Revision: rev}
		revision = "edit:" + opt["rev"]
	case "revoke":
		in.Content.Revoke = &chat.Revoke{Target: target}
	case "react":
		in.Type = "reaction"
		in.Content.Reaction = &chat.Reaction{Target: target, Emoji: words[3]}
		revision = "reaction:" + words[1]
	}
	if w.state.Kind == chat.Instagram {
		in.Kind, in.Remote, in.Revision = chat.InboundUpdate, target, revision
	}
	return in
}

// addresses reads wa_id:1555,bsuid:US.1.
func addresses(s string) (list []chat.Address) {
	kinds := map[string]chat.AddressKind{"wa_id": chat.WaID, "bsuid": chat.BSUID, "phone": chat.Phone, "igsid": chat.IGSID}
	for _, word := range strings.Split(s, ",") {
		if kind, value, ok := strings.Cut(word, ":"); ok {
			list = append(list, chat.Address{Kind: kinds[kind], Value: value})
		}
	}
	return list
}

// people tells what a contact is.
func people(c *chat.Contact) string {
	var b strings.Builder
	if c.Name != "" {
		fmt.Fprintf(&b, " name=%q", c.Name)
	}
	for _, a := range c.Addresses {
		fmt.Fprintf(&b, " %s", a.Value)
	}
	for _, k := range c.Consents {
		fmt.Fprintf(&b, " %s=%v", k.Category, k.Given)
	}
	if c.Doubt != nil {
		fmt.Fprintf(&b, " doubt:%s@%s", c.Doubt.Kind, c.Doubt.At.Sub(start))
	}
	for _, l := range c.Links {
		fmt.Fprintf(&b, " linked:%s", l)
	}
	for _, l := range c.Apart {
		fmt.Fprintf(&b, " apart:%s", l)
	}
	return b.String()
}

// prompt is what a model would read for the turn that runs or waits.
func prompt(w *world) string {
	t := w.state.Turn
	if t.Phase != chat.TurnRunning {
		t.From, t.UpTo = w.state.WaitingFrom, w.state.LastIn
	}
	var b strings.Builder
	for _, line := range (&chat.Talk{Settings: &w.set, Events: w.events, Turn: w.state.TurnID(), From: t.From, UpTo: t.UpTo}).Prompt().Lines[1:] {
		who := "customer"
		if line.Role == chat.RoleAssistant {
			who = "assistant"
		}
		fmt.Fprintf(&b, "%s: %s\n", who, line.Text)
	}
	if b.Len() == 0 {
		return "nothing\n"
	}
	return b.String()
}
