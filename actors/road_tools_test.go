package actors_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/transport/tools/toolstest"
)

// bench is a road with a second tenant and a Workbench.
type bench struct {
	*road
	desk *actors.Workbench
}

func newBench(t *testing.T) *bench {
	b := &bench{road: newRoad(t)}
	err := b.dir.Change(t.Context(), func(c *persistence.Change) error {
		return c.PutTenant(chat.Tenant{ID: "bolt", Name: "Bolt"})
	})
	if err != nil {
		t.Fatal(err)
	}
	b.desk = actors.NewWorkbench(actors.WorkbenchOptions{Documents: b.store, Contacts: b.store})
	return b
}

// run calls an engine tool for a person of acme.
func (b *bench) run(who, tool, args string) chat.ToolResult {
	place := b.place(who)
	t, _ := chat.EngineTool(tool)
	return b.desk.Run(b.t.Context(), chat.ToolRun{Tenant: "acme", Channel: "acme-wa", Conversation: place.Conversation, Contact: place.Contact,
		Call: chat.ToolCall{ID: "1.1", Name: tool, Args: json.RawMessage(args)}, Tool: t})
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestWorkbench_FindsTheTenantsProductsAsTheyAreNow(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	b.deliver(said("15550001", "wamid.1", "hello"))
	b.graph.await(t, 1)
	if _, err := b.sys.Catalog().Put(ctx, "acme", []chat.CatalogItem{{ID: "BIKE-1", Name: "Blue bike", Price: 69900, Currency: "EUR"}}, "k"); err != nil {
		t.Fatal(err)
	}
	_, err := b.sys.Catalog().Put(ctx, "bolt", []chat.CatalogItem{{ID: "BIKE-2", Name: "Bolt bike", Price: 100, Currency: "EUR"}}, "k")
	b.must(err)
	got := b.run("15550001", chat.ToolSearchCatalog, `{"query":"bike"}`)
	if got.Error != "" || len(got.Saw) != 1 || got.Saw[0].Chunk != "product/BIKE-1" || !strings.Contains(got.Content, "699.00 EUR") || strings.Contains(got.Content, "Bolt") {
		t.Fatalf("%+v", got)
	}
	_, err = b.sys.Catalog().Put(ctx, "acme", []chat.CatalogItem{{ID: "BIKE-1", Name: "Blue bike", Price: 59900, Currency: "EUR"}}, "k")
	b.must(err)
	if got = b.run("15550001", chat.ToolSearchCatalog, `{"query":"bike"}`); !strings.Contains(got.Content, "599.00 EUR") {
		t.Errorf("the price of yesterday: %s", got.Content)
	}
	b.must(b.sys.Catalog().Drop(ctx, "acme", "BIKE-1", "k"))
	if got = b.run("15550001", chat.ToolSearchCatalog, `{"query":"bike"}`); len(got.Saw) != 0 {
		t.Errorf("a product that is no more: %+v", got)
	}
	if err := b.sys.Catalog().Drop(ctx, "acme", "BIKE-1", "k"); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestCatalog_ReplaceLeavesWhatItWasGiven(t *testing.T) {
	b := newBench(t)
	var items []chat.CatalogItem
	for i := range 450 {
		items = append(items, chat.CatalogItem{ID: fmt.Sprintf("P%04d", i), Name: "Product", Price: int64(i), Currency: "EUR"})
	}
	if n, err := b.sys.Catalog().Put(t.Context(), "acme", items, "k"); err != nil || n != 450 {
		t.Fatal(n, err)
	}
	n, gone, err := b.sys.Catalog().Replace(t.Context(), "acme", items[:200], "k")
	if err != nil || n != 200 || gone != 250 {
		t.Fatal(n, gone, err)
	}
	var ids []string
	for cursor, more := "", true; more; more = cursor != "" {
		var page []chat.CatalogItem
		if page, cursor, err = b.sys.Catalog().Items(t.Context(), "acme", cursor, 70); err != nil {
			t.Fatal(err)
		}
		for i := range page {
			ids = append(ids, page[i].ID)
		}
	}
	if len(ids) != 200 || !slices.IsSorted(ids) {
		t.Errorf("%d products", len(ids))
	}
}

func TestWorkbench_ShowsOrdersOfItsContactAlone(t *testing.T) {
	b := newBench(t)
	b.deliver(said("15550001", "wamid.1", "hello"), said("15550002", "wamid.2", "hello"))
	b.graph.await(t, 2)
	mine, theirs := b.place("15550001"), b.place("15550002")
	for _, o := range []chat.OrderRecord{
		{ID: "A-1", Phone: "15550001", Status: "sent", Total: 69900, Currency: "EUR"},
		{ID: "A-2", Contact: mine.Contact, Status: "packed"},
		{ID: "B-1", Phone: "15550002", Status: "secret of B"},
		{ID: "B-2", Contact: theirs.Contact, Status: "secret of B"},
	} {
		if err := o.Check(); err != nil {
			t.Fatal(err)
		}
		b.must(b.sys.Catalog().PutOrder(t.Context(), "acme", o, "k"))
	}
	got := b.run("15550001", chat.ToolOrderStatus, `{"order":""}`)
	if !strings.Contains(got.Content, "A-1") || !strings.Contains(got.Content, "A-2") || strings.Contains(got.Content, "B-") || len(got.Saw) != 2 {
		t.Errorf("%+v", got)
	}
	if got = b.run("15550001", chat.ToolOrderStatus, `{"order":"a1"}`); !strings.Contains(got.Content, `"sent"`) || !strings.Contains(got.Content, "699.00 EUR") || len(got.Saw) != 1 {
		t.Errorf("%+v", got)
	}
	unknown := b.run("15550001", chat.ToolOrderStatus, `{"order":"Z-9"}`)
	for _, id := range []string{"B-1", "B-2"} {
		if got := b.run("15550001", chat.ToolOrderStatus, `{"order":"`+id+`"}`); got.Content != unknown.Content || len(got.Saw) != 0 || got.Error != "" {
			t.Errorf("%s differs from an order that is not there: %+v", id, got)
		}
	}
	for _, args := range []string{`{"order":"B-1","contact_id":"` + string(theirs.Contact) + `"}`, `{"order":"B-1","tenant":"bolt"}`, `{"order":["B-1"]}`, `{"order":"B-1","order":"B-1"}`} {
		if got := b.run("15550001", chat.ToolOrderStatus, args); got.Error != "arguments_invalid" {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

func TestTools_AreDocumentsThatTheFeedTellsOf(t *testing.T) {
	b := newBench(t)
	ctx, tools := t.Context(), b.sys.Tools()
	tool := chat.Tool{Name: "book", Kind: chat.ToolHTTP, Parameters: json.RawMessage(`{"type":"object"}`), HTTP: &chat.HTTPTool{Method: "POST", URL: "https://a.example"}}
	b.must(tools.PutTool(ctx, "acme", tool, "key_1"))
	b.must(tools.PutTool(ctx, "acme", tool, "key_1"))
	b.must(tools.PutSecret(ctx, "acme", "SHOP", "canary-secret", "key_1"))
	b.must(tools.PutHosts(ctx, "acme", chat.ToolHosts{Hosts: []string{"a.example"}}, "key_1"))
	if got, err := tools.Tool(ctx, "acme", "book"); err != nil || got.HTTP.URL != tool.HTTP.URL {
		t.Fatal(got, err)
	}
	if _, err := tools.Tool(ctx, "bolt", "book"); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("another tenant reads it: %v", err)
	}
	if names, err := tools.SecretNames(ctx, "acme"); err != nil || !slices.Equal(names, []string{"SHOP"}) {
		t.Error(names, err)
	}
	b.must(tools.Drop(ctx, "acme", chat.DocTool, "book", "key_2"))
	if err := tools.Drop(ctx, "acme", chat.DocTool, "book", "key_2"); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("dropped twice: %v", err)
	}
	if list, err := tools.List(ctx, "acme"); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	feed, err := b.store.Views().Feed(ctx, "acme", 0, 100)
	b.must(err)
	var told []string
	for _, e := range feed {
		if e.Kind == chat.ToolsChanged {
			told = append(told, fmt.Sprintf("%s +%d -%d %v by %s", e.Change.What, e.Change.Put, e.Change.Deleted, e.Change.IDs, e.Change.By))
		}
		if strings.Contains(fmt.Sprintf("%+v", e), "canary-secret") {
			t.Error("the feed tells a secret")
		}
	}
	want := []string{"tool +1 -0 [book] by key_1", "tool_secret +1 -0 [SHOP] by key_1", "tool_hosts +1 -0 [hosts] by key_1", "tool +0 -1 [book] by key_2"}
	if !slices.Equal(told, want) {
		t.Errorf("%q", told)
	}
}

func TestErase_TakesTheOrders(t *testing.T) {
	b := newBench(t)
	b.deliver(said("15550001", "wamid.1", "hello"), said("15550002", "wamid.2", "hello"))
	b.graph.await(t, 2)
	mine := b.place("15550001")
	for _, o := range []chat.OrderRecord{{ID: "A-1", Phone: "15550001", Status: "sent"}, {ID: "A-2", Contact: mine.Contact, Status: "x"}, {ID: "B-1", Phone: "15550002", Status: "sent"}} {
		b.must(b.sys.Catalog().PutOrder(t.Context(), "acme", o, "k"))
	}
	if _, err := b.store.Erase(t.Context(), "acme", mine.Contact); err != nil {
		t.Fatal(err)
	}
	left, _, err := b.sys.Catalog().Orders(t.Context(), "acme", "", 10)
	if err != nil || len(left) != 1 || left[0].ID != "B-1" {
		t.Errorf("%+v, %v", left, err)
	}
	for _, owner := range []string{"p/15550001", "c/" + string(mine.Contact)} {
		if _, found, err := b.store.Doc("acme", chat.DocOrders, owner); found || err != nil {
			t.Errorf("%s is left, %v", owner, err)
		}
	}
}

// TestHostile_OfTheOthersNothing runs the corpus against the engine's own tools, and
// asks for tools that nobody granted: not one byte of another contact or tenant comes
// back, and nothing that is not granted is carried out.
func TestHostile_OfTheOthersNothing(t *testing.T) {
	b := newBench(t)
	b.deliver(said("15550001", "wamid.1", "hello"), said("15550002", "wamid.2", "hello"))
	b.graph.await(t, 2)
	theirs := b.place("15550002")
	const canary = "CANARY-of-another"
	for _, o := range []chat.OrderRecord{{ID: "B-1", Phone: "15550002", Status: canary}, {ID: "B-2", Contact: theirs.Contact, Status: canary}, {ID: "A-1", Phone: "15550001", Status: "mine"}} {
		b.must(b.sys.Catalog().PutOrder(t.Context(), "acme", o, "k"))
	}
	b.must(b.sys.Catalog().PutOrder(t.Context(), "bolt", chat.OrderRecord{ID: "B-1", Phone: "15550001", Status: canary}, "k"))
	_, err := b.sys.Catalog().Put(t.Context(), "bolt", []chat.CatalogItem{{ID: "B-1", Name: canary, Price: 1, Currency: "EUR"}}, "k")
	b.must(err)
	_, err = b.sys.Catalog().Put(t.Context(), "acme", []chat.CatalogItem{{ID: "BIKE", Name: "Bike of acme", Price: 1, Currency: "EUR"}}, "k")
	b.must(err)

	attacks := toolstest.Attacks(toolstest.World{OtherOrder: "B-1", OtherContact: string(theirs.Contact), OtherNumber: "15550002", OtherTenant: "bolt", Secret: "SHOP", Inside: "https://10.0.0.1/"})
	if len(attacks) < 500 {
		t.Fatalf("%d attacks", len(attacks))
	}
	remote := 0
	b.desk = actors.NewWorkbench(actors.WorkbenchOptions{Documents: b.store, Contacts: b.store, Remote: remoteTools(func(chat.ToolRun) { remote++ })})
	mine := b.place("15550001")
	for _, a := range attacks {
		// What the model asks for is a name; the tool is what the engine has of it.
		tool, _ := chat.EngineTool(a.Tool)
		if tool.Parameters == nil {
			tool = chat.Tool{}
		}
		got := b.desk.Run(t.Context(), chat.ToolRun{Tenant: "acme", Channel: "acme-wa", Conversation: mine.Conversation, Contact: mine.Contact,
			Call: chat.ToolCall{ID: "1.1", Name: a.Tool, Args: a.Args}, Tool: tool})
		if tool.Name == "" && got.Error == "" {
			t.Errorf("%s was carried out: %+v", a.Name, got)
		}
		if text := fmt.Sprintf("%+v", got); strings.Contains(text, canary) || strings.Contains(text, "15550002") || strings.Contains(text, string(theirs.Contact)) {
			t.Errorf("%s: %s", a.Name, text)
		}
	}
	// A tool that bears another name than the call, or the engine's name and leads out.
	order, _ := chat.EngineTool(chat.ToolOrderStatus)
	out := chat.Tool{Name: chat.ToolOrderStatus, Kind: chat.ToolHTTP, HTTP: &chat.HTTPTool{}}
	for _, r := range []chat.ToolRun{{Tool: order, Call: chat.ToolCall{Name: "shell"}}, {Tool: out, Call: chat.ToolCall{Name: chat.ToolOrderStatus}},
		{Tool: chat.Tool{Name: "x", Kind: chat.ToolHTTP}, Call: chat.ToolCall{Name: "x", Invalid: "not granted"}}} {
		r.Tenant, r.Contact = "acme", mine.Contact
		if got := b.desk.Run(t.Context(), r); got.Error == "" {
			t.Errorf("%s as %s was carried out", r.Call.Name, r.Tool.Name)
		}
	}
	if remote != 0 {
		t.Errorf("%d calls led out", remote)
	}
}

type remoteTools func(chat.ToolRun)

// Run implements actors.RemoteTools.
func (f remoteTools) Run(_ context.Context, r chat.ToolRun) chat.ToolResult {
	f(r)
	return chat.ToolResult{}
}
