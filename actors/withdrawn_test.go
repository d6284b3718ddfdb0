package actors

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// A call whose turn ends in the commit that begins it is not made: the journal says
// already that nothing came of it.
func TestTools_AHandoffInTheSameAnswerWithdrawsThem(t *testing.T) {
	ledger := &toolLedger{}
	model := scriptModel{func(context.Context, chat.Prompt) (chat.Answer, error) {
		return chat.Answer{Model: "m", Calls: []chat.ToolCall{{ID: "1.0", Name: "pay", Args: json.RawMessage(`{}`)},
			{ID: "1.1", Name: chat.ToolHandoff, Args: json.RawMessage(`{"reason":"a person is wanted"}`)}}}, nil
	}}
	inBubble(t, func(o *Options) { o.Model, o.Toolbox = model, ledger }, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		a := chat.Assistant{ID: chat.DefaultAssistant, Version: 1, Tools: []chat.ToolGrant{{Name: "pay"}, {Name: chat.ToolHandoff}}}
		for _, d := range append(published(t, a), chat.Doc{Noun: chat.DocTool, ID: "pay", Value: jsonOf(t, chat.Tool{Name: "pay", Kind: chat.ToolHTTP, Acts: true})}) {
			store.setDoc(d.Noun, d.ID, d.Value)
		}
		deliver(t, s, textFrom("1555", "wamid.1", "hello"))
		settle(30 * time.Second)
		if got := ledger.names(); len(got) != 0 {
			t.Errorf("tools run: %q", got)
		}
		if st, _, _ := store.Load("acme", conversationOf("1555")); st.Holder != chat.HolderNobody || len(graph.texts()) != 1 {
			t.Errorf("the conversation is held by %v, sent %q", st.Holder, graph.texts())
		}
	})
}
