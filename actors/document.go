package actors

import (
	"encoding/json"
	"slices"

	"github.com/chumiai/chumi/chat"
)

// news is the documents that an update is news about; nil for other updates. What
// is said of a WABA as a whole concerns each of its channels.
func (d *draft) news(in *chat.Inbound) ([]chat.Doc, error) {
	noun, id, ok := chat.DocOf(in, d.a.state.Channel)
	switch {
	case !ok:
		return nil, nil
	case noun == chat.DocTemplate:
		docs, err := d.documents(noun, id)
		if err != nil {
			return nil, err
		}
		more, err := d.documents(chat.DocChannel, string(d.a.state.Channel))
		return append(docs, more...), err
	case in.Account == "" && in.WABA != "" && d.a.core.opt.Registry != nil:
		var ids []string
		for _, ch := range d.a.core.opt.Registry.Channels(d.a.state.Tenant) {
			if ch.Kind == chat.WhatsApp && ch.WABA == in.WABA && ch.App == in.App {
				ids = append(ids, string(ch.ID))
			}
		}
		return d.documents(noun, ids...)
	}
	return d.documents(noun, id)
}

// templates is the documents that fetched templates may replace, and that of the
// channel they were fetched through.
func (d *draft) templates(f chat.TemplatesFetched) ([]chat.Doc, error) {
	ids := append([]string(nil), f.Gone...)
	for _, t := range f.Templates {
		ids = append(ids, chat.TemplateKey(t.WABA, t.Name, t.Language))
	}
	docs, err := d.documents(chat.DocTemplate, ids...)
	if err != nil {
		return nil, err
	}
	more, err := d.documents(chat.DocChannel, string(f.Channel))
	return append(docs, more...), err
}

// stored is what there is of documents that are to be written.
func (d *draft) stored(written []chat.Doc) (docs []chat.Doc, err error) {
	for i := range written {
		one, err := d.documents(written[i].Noun, written[i].ID)
		if err != nil {
			return nil, err
		}
		docs = append(docs, one...)
	}
	return docs, nil
}

// products is the documents that a change of the catalog may replace.
func (d *draft) products(f chat.CatalogPut) ([]chat.Doc, error) {
	ids := append([]string(nil), f.Gone...)
	for i := range f.Items {
		ids = append(ids, f.Items[i].ID)
	}
	docs, err := d.documents(chat.DocCatalog, ids...)
	if err != nil {
		return nil, err
	}
	head, err := d.documents(chat.DocCatalogHead, chat.CatalogHeadID)
	return append(docs, head...), err
}

// orders is the documents that a put of orders may replace: the orders, and the
// books of the customers they are of, before and after.
func (d *draft) orders(f chat.OrdersPut) ([]chat.Doc, error) {
	docs, err := d.documents(chat.DocOrder, f.IDs()...)
	if err != nil {
		return nil, err
	}
	owners := f.Owners()
	for i := range docs {
		var o chat.OrderRecord
		if docs[i].Value != nil && json.Unmarshal(docs[i].Value, &o) == nil {
			owners = append(owners, o.OrderOwner())
		}
	}
	slices.Sort(owners)
	books, err := d.documents(chat.DocOrders, slices.Compact(owners)...)
	return append(docs, books...), err
}

// documents are documents of a noun as this draft sees them: stored, overlaid by
// what earlier facts will have written.
func (d *draft) documents(noun chat.DocNoun, ids ...string) ([]chat.Doc, error) {
	docs := make([]chat.Doc, 0, len(ids)+1)
next:
	for _, id := range ids {
		for i := range d.commit.Docs {
			if c := &d.commit.Docs[i]; c.Noun == noun && c.ID == id {
				docs = append(docs, *c)
				continue next
			}
		}
		value, _, err := d.a.core.opt.Documents.Doc(d.a.state.Tenant, noun, id)
		if err != nil {
			return nil, err
		}
		docs = append(docs, chat.Doc{Noun: noun, ID: id, Value: value})
	}
	return docs, nil
}

// assistants is the heads of the tenant's assistants, and the version of one that its
// head leads to.
func (d *draft) assistants(id chat.AssistantID, which func(*chat.AssistantHead) int) ([]chat.Doc, error) {
	docs, err := d.every(chat.DocAssistant)
	if err != nil {
		return nil, err
	}
	head, _ := chat.HeadOf(docs, id)
	more, err := d.documents(chat.DocVersion, string(chat.RefOf(id, which(&head))))
	return append(docs, more...), err
}

// every is all documents of a noun as this draft sees them.
func (d *draft) every(noun chat.DocNoun) ([]chat.Doc, error) {
	docs, err := d.a.core.opt.Documents.Docs(d.a.core.life, d.a.state.Tenant, noun)
	for i := range d.commit.Docs {
		if d.commit.Docs[i].Noun == noun {
			docs = setDoc(docs, d.commit.Docs[i])
		}
	}
	return docs, err
}

// standing is the state of a channel under the token it has. One that cannot be
// read holds nothing: the send itself then tells.
func (s *System) standing(ch chat.Channel) (st chat.ChannelState) {
	st.Channel = ch.ID
	value, found, err := s.opt.Documents.Doc(ch.Tenant, chat.DocChannel, string(ch.ID))
	if err == nil && found && json.Unmarshal(value, &st) != nil {
		st = chat.ChannelState{Channel: ch.ID}
	}
	st.Disconnected = ch.Disconnected.Time()
	return st.With(ch.Token)
}
