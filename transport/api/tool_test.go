package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/api"
	"github.com/chumiai/chumi/transport/edge"
)

// toolHouse fills the ports of Tooling from memory, for one tenant.
type toolHouse struct {
	mu      sync.Mutex
	tools   map[string]chat.Tool
	servers map[string]chat.ToolServer
	secrets map[string]chat.Secret
	hosts   chat.ToolHosts
	items   map[string]chat.CatalogItem
	orders  map[string]chat.OrderRecord
	by      []string
	ran     []chat.ToolRun
}

var errNone = chat.E("x", chat.KindNotFound, "", nil)

func sortedOf[T any](m map[string]T) (list []T) {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		list = append(list, m[k])
	}
	return list
}

func one[T any](m map[string]T, t chat.TenantID, id string) (v T, err error) {
	v, ok := m[id]
	if !ok || t != "acme" {
		return v, errNone
	}
	return v, nil
}

func (h *toolHouse) List(context.Context, chat.TenantID) ([]chat.Tool, error) {
	return sortedOf(h.tools), nil
}

func (h *toolHouse) Tool(_ context.Context, t chat.TenantID, name string) (chat.Tool, error) {
	return one(h.tools, t, name)
}

func (h *toolHouse) PutTool(_ context.Context, _ chat.TenantID, tool chat.Tool, by string) error {
	h.tools[tool.Name], h.by = tool, append(h.by, by)
	return nil
}

func (h *toolHouse) Servers(context.Context, chat.TenantID) ([]chat.ToolServer, error) {
	return sortedOf(h.servers), nil
}

func (h *toolHouse) Server(_ context.Context, t chat.TenantID, name string) (chat.ToolServer, error) {
	return one(h.servers, t, name)
}

func (h *toolHouse) PutServer(_ context.Context, _ chat.TenantID, s chat.ToolServer, _ string) error {
	h.servers[s.Name] = s
	return nil
}

func (h *toolHouse) SecretNames(context.Context, chat.TenantID) (names []string, err error) {
	for n := range h.secrets {
		names = append(names, n)
	}
	return names, nil
}

func (h *toolHouse) PutSecret(_ context.Context, _ chat.TenantID, name string, s chat.Secret, _ string) error {
	h.secrets[name] = s
	return nil
}

func (h *toolHouse) Hosts(context.Context, chat.TenantID) (chat.ToolHosts, error) {
	return h.hosts, nil
}

func (h *toolHouse) PutHosts(_ context.Context, _ chat.TenantID, hosts chat.ToolHosts, _ string) error {
	h.hosts = hosts
	return nil
}

func (h *toolHouse) CheckTool(_ chat.TenantID, t *chat.Tool) *chat.LimitError {
	if t.HTTP != nil && !strings.HasPrefix(t.HTTP.URL, "https://") {
		return &chat.LimitError{Param: "http.url", Code: "url_unsafe", Message: "https, please."}
	}
	return nil
}

func (h *toolHouse) CheckServer(chat.TenantID, *chat.ToolServer) *chat.LimitError { return nil }

func (h *toolHouse) Discover(context.Context, chat.TenantID, *chat.ToolServer) ([]chat.PinnedTool, []string, error) {
	return []chat.PinnedTool{{Name: "echo", Description: "Echoes.", Schema: json.RawMessage(`{"type":"object"}`), Digest: "d1"}}, []string{"odd"}, nil
}

func (h *toolHouse) Run(_ context.Context, r chat.ToolRun) chat.ToolResult {
	h.ran = append(h.ran, r)
	return chat.ToolResult{Content: "done"}
}

func (h *toolHouse) Items(_ context.Context, _ chat.TenantID, _ string, limit int) ([]chat.CatalogItem, string, error) {
	list := sortedOf(h.items)
	return list[:min(limit, len(list))], "", nil
}

func (h *toolHouse) Item(_ context.Context, t chat.TenantID, id string) (chat.CatalogItem, error) {
	return one(h.items, t, id)
}

func (h *toolHouse) Put(_ context.Context, _ chat.TenantID, items []chat.CatalogItem, _ string) (int, error) {
	for _, it := range items {
		h.items[it.ID] = it
	}
	return len(items), nil
}

func (h *toolHouse) Replace(ctx context.Context, t chat.TenantID, items []chat.CatalogItem, by string) (int, int, error) {
	before := len(h.items)
	h.items = map[string]chat.CatalogItem{}
	n, err := h.Put(ctx, t, items, by)
	return n, before, err
}

func (h *toolHouse) Orders(context.Context, chat.TenantID, string, int) ([]chat.OrderRecord, string, error) {
	return sortedOf(h.orders), "", nil
}

func (h *toolHouse) PutOrder(_ context.Context, _ chat.TenantID, o chat.OrderRecord, _ string) error {
	h.orders[o.ID] = o
	return nil
}

func (h *toolHouse) DropOrder(_ context.Context, t chat.TenantID, id, _ string) error {
	_, err := one(h.orders, t, id)
	delete(h.orders, id)
	return err
}

// drops are the two ports that both delete.
type drops struct{ *toolHouse }

func (d drops) Drop(_ context.Context, t chat.TenantID, noun chat.DocNoun, id, _ string) error {
	var err error
	switch noun {
	case chat.DocTool:
		_, err = one(d.tools, t, id)
		delete(d.tools, id)
	case chat.DocToolServer:
		_, err = one(d.servers, t, id)
		delete(d.servers, id)
	case chat.DocToolSecret:
		_, err = one(d.secrets, t, id)
		delete(d.secrets, id)
	}
	return err
}

type products struct{ *toolHouse }

func (p products) Drop(_ context.Context, t chat.TenantID, id, _ string) error {
	_, err := one(p.items, t, id)
	delete(p.items, id)
	return err
}

func startTools(t *testing.T) (*site, *toolHouse) {
	h := &toolHouse{tools: map[string]chat.Tool{}, servers: map[string]chat.ToolServer{}, secrets: map[string]chat.Secret{}, items: map[string]chat.CatalogItem{}, orders: map[string]chat.OrderRecord{}}
	s := start(t, func(o *api.Options, _ *edge.Limits) {
		o.Tooling = &api.Tooling{Tools: h, Servers: h, Secrets: h, Hosts: h, Drops: drops{h}, Checks: h, Trials: h, Products: products{h}, Imports: h, Orders: h}
	})
	return s, h
}

const goodTool = `{"description":"Books.","parameters":{"type":"object"},"kind":"http","acts":true,"timeout_ms":2000,"http":{"method":"POST","url":"https://a.example/{x}","headers":{"Authorization":"Bearer {{secret:SHOP}}"}}}`

func TestContract_ToolsCatalogAndOrders(t *testing.T) {
	s, h := startTools(t)
	doc := contract(t)
	doc.Servers = nil
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	csv := []string{"Content-Type", "text/csv"}
	for _, tc := range []struct {
		method, path, key, body string
		ok                      bool
		want                    int
		holds                   string
		header                  []string
	}{
		{"GET", "/v1/tools", "acme-reader", "", true, 200, `"search_catalog"`, nil},
		{"GET", "/v1/tools", "acme-writer", "", true, 403, "", nil},
		{"POST", "/v1/tools/validate", "acme-manager", goodTool, true, 200, "", nil},
		{"GET", "/v1/tools/book", "acme-reader", "", true, 404, "tool_not_found", nil},
		{"PUT", "/v1/tools/book", "acme-manager", goodTool, true, 200, `"timeout_ms":2000`, nil},
		{"PUT", "/v1/tools/book", "acme-writer", goodTool, true, 403, "", nil},
		{"PUT", "/v1/tools/book", "acme-manager", strings.Replace(goodTool, "https:", "http:", 1), true, 400, "url_unsafe", nil},
		{"PUT", "/v1/tools/book", "acme-manager", `{"kind":"http","http":{"method":"POST","url":"https://a","Host":"b"}}`, false, 400, "http.Host", nil},
		{"PUT", "/v1/tools/book", "acme-manager", strings.Replace(goodTool, "{", `{"name":"other",`, 1), true, 400, "name", nil},
		{"GET", "/v1/tools/book", "acme-reader", "", true, 200, "{{secret:SHOP}}", nil},
		{"POST", "/v1/tools/book/test", "acme-manager", `{"arguments":{"x":"1"}}`, true, 400, "tool_acts", nil},
		{"POST", "/v1/tools/book/test", "acme-manager", `{"arguments":{"x":"1"},"acts":true}`, true, 200, `"test":true`, nil},
		{"POST", "/v1/tools/none/test", "acme-manager", `{}`, true, 404, "", nil},
		{"DELETE", "/v1/tools/book", "acme-manager", "", true, 204, "", nil},
		{"DELETE", "/v1/tools/book", "acme-manager", "", true, 404, "", nil},
		{"GET", "/v1/tool-servers", "acme-reader", "", true, 200, "", nil},
		{"PUT", "/v1/tool-servers/shop", "acme-manager", `{"url":"https://mcp.example/mcp"}`, true, 200, "", nil},
		{"PUT", "/v1/tools/echo", "acme-manager", `{"kind":"mcp","mcp":{"server":"shop","tool":"echo"}}`, true, 400, "tool_not_approved", nil},
		{"POST", "/v1/tool-servers/shop/discover", "acme-manager", "", true, 200, `"state":"new"`, nil},
		{"POST", "/v1/tool-servers/shop/approve", "acme-manager", `{"tools":[{"name":"echo","digest":"d0"}]}`, true, 400, "tool_changed", nil},
		{"POST", "/v1/tool-servers/shop/approve", "acme-manager", `{"tools":[{"name":"echo","digest":"d1"}]}`, true, 200, `"d1"`, nil},
		{"POST", "/v1/tool-servers/shop/discover", "acme-manager", "", true, 200, `"state":"approved"`, nil},
		{"PUT", "/v1/tools/echo", "acme-manager", `{"kind":"mcp","mcp":{"server":"shop","tool":"echo"}}`, true, 200, "Echoes.", nil},
		{"PUT", "/v1/tool-servers/shop", "acme-manager", `{"url":"https://other.example/mcp"}`, true, 200, "", nil},
		{"GET", "/v1/tool-servers/shop", "acme-reader", "", true, 200, "", nil},
		{"DELETE", "/v1/tool-servers/shop", "acme-manager", "", true, 204, "", nil},
		{"PUT", "/v1/tool-secrets/SHOP", "acme-manager", `{"secret":"canary-4711"}`, true, 204, "", nil},
		{"PUT", "/v1/tool-secrets/SHOP", "acme-manager", `{"secret":"short"}`, false, 400, "secret", nil},
		{"PUT", "/v1/tool-secrets/a%20b", "acme-manager", `{"secret":"canary-4711"}`, true, 400, "", nil},
		{"GET", "/v1/tool-secrets", "acme-manager", "", true, 200, `"SHOP"`, nil},
		{"GET", "/v1/tool-secrets", "acme-reader", "", true, 403, "", nil},
		{"DELETE", "/v1/tool-secrets/SHOP", "acme-manager", "", true, 204, "", nil},
		{"GET", "/v1/tool-hosts", "acme-reader", "", true, 200, "[]", nil},
		{"PUT", "/v1/tool-hosts", "acme-manager", `{"hosts":["b.example","a.example","a.example"]}`, true, 200, `["a.example","b.example"]`, nil},
		{"PUT", "/v1/tool-hosts", "acme-manager", `{"hosts":["https://a.example"]}`, true, 400, "hosts", nil},
		{"PUT", "/v1/catalog/items/P-1", "acme-writer", `{"name":"Bike","price":69900,"currency":"EUR","stock":3}`, true, 200, `"id":"P-1"`, nil},
		{"PUT", "/v1/catalog/items/P-1", "acme-writer", `{"name":"Bike","price":-1,"currency":"EUR"}`, false, 400, "price", nil},
		{"PUT", "/v1/catalog/items/P-1", "acme-writer", `{"name":"Bike","price":1,"currency":"euros"}`, true, 400, "currency", nil},
		{"GET", "/v1/catalog/items/P-1", "acme-reader", "", true, 200, "69900", nil},
		{"GET", "/v1/catalog/items?limit=1", "acme-reader", "", true, 200, "P-1", nil},
		{"POST", "/v1/catalog/import", "acme-writer", `{"items":[{"id":"P-2","name":"Bell","price":1250,"currency":"EUR"},{"id":"P-2","name":"Bell","price":1250,"currency":"EUR"}]}`, true, 400, "items[1].id", nil},
		{"POST", "/v1/catalog/import", "acme-writer", `{"items":[{"id":"P-2","name":"Bell","price":1250,"currency":"EUR"}]}`, true, 200, `"written":1`, nil},
		{"POST", "/v1/catalog/import?mode=replace", "acme-writer", "id,name,price,currency,stock,words\nP-3,Helm,\"1.299,00\",EUR,2,casco|helmet\nP-4,Licht,49.9,eur,,\n", true, 200, `"written":2,"deleted":2`, csv},
		{"POST", "/v1/catalog/import", "acme-writer", "id,name,price,currency\nP-5,Ring,twelve,EUR\n", true, 400, "items[0].price", csv},
		{"POST", "/v1/catalog/import", "acme-writer", "id,name,cost,currency\n", true, 400, "cost", csv},
		{"POST", "/v1/catalog/import", "acme-reader", `{"items":[]}`, true, 403, "", nil},
		{"GET", "/v1/catalog/items/P-3", "acme-reader", "", true, 200, `"price":129900,"currency":"EUR","stock":2,"words":["casco","helmet"]`, nil},
		{"DELETE", "/v1/catalog/items/P-3", "acme-writer", "", true, 204, "", nil},
		{"DELETE", "/v1/catalog/items/P-3", "acme-writer", "", true, 404, "item_not_found", nil},
		{"PUT", "/v1/orders/R%2D1", "acme-writer", `{"phone":"+491701234567","status":"sent","total":100,"currency":"EUR","updated_at":"2026-11-23T12:00:00Z"}`, true, 200, `"id":"R-1","phone":"491701234567"`, nil},
		{"PUT", "/v1/orders/R-2", "acme-writer", `{"phone":"0170","status":"sent"}`, true, 400, "phone", nil},
		{"PUT", "/v1/orders/R-2", "acme-writer", `{"status":"sent"}`, true, 400, "phone", nil},
		{"GET", "/v1/orders", "acme-reader", "", true, 200, "R-1", nil},
		{"DELETE", "/v1/orders/R-1", "acme-writer", "", true, 204, "", nil},
	} {
		got := checked(t, s, router, tc.ok, tc.method, tc.path, tc.key, tc.body, tc.header...)
		if got.status != tc.want || !strings.Contains(got.body, tc.holds) {
			t.Errorf("%s %s as %s: %d, want %d with %q\n%s", tc.method, tc.path, tc.key, got.status, tc.want, tc.holds, got.body)
		}
		if strings.Contains(got.body, "canary-4711") {
			t.Errorf("%s %s shows a secret", tc.method, tc.path)
		}
	}
	if len(h.ran) != 1 || h.ran[0].Contact != "" || h.ran[0].Tenant != "acme" || !strings.HasPrefix(h.ran[0].Key, "test_") {
		t.Errorf("test runs: %+v", h.ran)
	}
	if !slices.Equal(h.by, []string{"k_manager", "k_manager"}) {
		t.Errorf("by %v", h.by)
	}
}

func TestTools_WithoutThemThereIsNoRoute(t *testing.T) {
	s := start(t, nil)
	if got := s.do(t, http.MethodGet, "/v1/tools", "acme-key", ""); got.status != 404 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestImport_ReadsTablesAsSpreadsheetsWriteThem(t *testing.T) {
	s, h := startTools(t)
	table := "\xef\xbb\xbfID;Name;Price;Currency\r\nP-1;\"Helm; rot\";1.299,00;EUR\r\nP-2;Ring;12;JPY\r\n"
	if got := s.do(t, http.MethodPost, "/v1/catalog/import", "acme-key", table, "Content-Type", "text/csv; charset=utf-8"); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if h.items["P-1"].Price != 129900 || h.items["P-1"].Name != "Helm; rot" || h.items["P-2"].Price != 12 {
		t.Errorf("%+v", h.items)
	}
}
