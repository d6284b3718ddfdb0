package api

import (
	"strings"

	"github.com/valyala/fasthttp"
)

// The scopes of a key. "*" includes all.
const (
	scopeRead  = "read"
	scopeWrite = "write"
	// scopeManage is for what changes channels, at Meta too, and assistants.
	scopeManage = "manage"
)

// route is one method and path of the contract. A path holds at most one
// id, written {id}.
type route struct {
	name   string
	method string
	path   string
	scope  string
	serve  func(*call) *failure
}

// routes is the whole of /v1. Each has its twin in openapi.yaml.
var routes = []route{
	{"conversations", fasthttp.MethodGet, "/v1/conversations", scopeRead, (*call).listConversations},
	{"conversation", fasthttp.MethodGet, "/v1/conversations/{id}", scopeRead, (*call).showConversation},
	{"conversation_events", fasthttp.MethodGet, "/v1/conversations/{id}/events", scopeRead, (*call).listConversationEvents},
	{"conversation_summary", fasthttp.MethodGet, "/v1/conversations/{id}/summary", scopeRead, (*call).showSummary},
	{"contact", fasthttp.MethodGet, "/v1/contacts/{id}", scopeRead, (*call).showContact},
	{"contact_events", fasthttp.MethodGet, "/v1/contacts/{id}/events", scopeRead, (*call).listContactEvents},
	{"contact_merge", fasthttp.MethodPost, "/v1/contacts/{id}/merge", scopeWrite, (*call).mergeContacts},
	{"contact_split", fasthttp.MethodPost, "/v1/contacts/{id}/split", scopeWrite, (*call).splitContacts},
	{"contact_erase", fasthttp.MethodPost, "/v1/contacts/{id}/erase", scopeManage, (*call).eraseContact},
	{"contact_erasure", fasthttp.MethodGet, "/v1/contacts/{id}/erasure", scopeManage, (*call).showErasure},
	{"events", fasthttp.MethodGet, "/v1/events", scopeRead, (*call).feed},
	{"sends", fasthttp.MethodGet, "/v1/sends", scopeRead, (*call).listSends},
	{"templates", fasthttp.MethodGet, "/v1/templates", scopeRead, (*call).listTemplates},
	{"messages", fasthttp.MethodPost, "/v1/conversations/{id}/messages", scopeWrite, (*call).sendMessage},
	{"read", fasthttp.MethodPost, "/v1/conversations/{id}/read", scopeWrite, (*call).markRead},
	{"media", fasthttp.MethodGet, "/v1/media/{id}", scopeRead, (*call).showMedia},
	{"media_head", fasthttp.MethodHead, "/v1/media/{id}", scopeRead, (*call).showMedia},
	{"uploads", fasthttp.MethodPost, mediaPath, scopeWrite, (*call).uploadMedia},
	{"takeover", fasthttp.MethodPost, "/v1/conversations/{id}/takeover", scopeWrite, (*call).takeOver},
	{"handback", fasthttp.MethodPost, "/v1/conversations/{id}/handback", scopeWrite, (*call).handBack},
	{"approvals", fasthttp.MethodPost, "/v1/conversations/{id}/approvals", scopeWrite, (*call).approve},
	{"knowledge", fasthttp.MethodGet, knowledgePath, scopeRead, (*call).listSources},
	{"knowledge_add", fasthttp.MethodPost, knowledgePath, scopeManage, (*call).addSource},
	{"knowledge_search", fasthttp.MethodPost, "/v1/knowledge/search", scopeRead, (*call).searchKnowledge},
	{"knowledge_source", fasthttp.MethodGet, "/v1/knowledge/{id}", scopeRead, (*call).showSource},
	{"knowledge_replace", fasthttp.MethodPut, "/v1/knowledge/{id}", scopeManage, (*call).replaceSource},
	{"knowledge_remove", fasthttp.MethodDelete, "/v1/knowledge/{id}", scopeManage, (*call).removeSource},
	{"knowledge_reindex", fasthttp.MethodPost, "/v1/knowledge/{id}/reindex", scopeManage, (*call).reindexSource},
	{"channels", fasthttp.MethodGet, "/v1/channels", scopeRead, (*call).listChannels},
	{"channel_connect", fasthttp.MethodPost, "/v1/channels/connect", scopeManage, (*call).connectChannel},
	{"channel", fasthttp.MethodGet, "/v1/channels/{id}", scopeRead, (*call).showChannel},
	{"channel_health", fasthttp.MethodGet, "/v1/channels/{id}/health", scopeRead, (*call).channelHealth},
	{"channel_refresh", fasthttp.MethodPost, "/v1/channels/{id}/refresh", scopeManage, (*call).refreshChannel},
	{"channel_token", fasthttp.MethodPost, "/v1/channels/{id}/token", scopeManage, (*call).setChannelToken},
	{"channel_disconnect", fasthttp.MethodPost, "/v1/channels/{id}/disconnect", scopeManage, (*call).disconnectChannel},
	{"channel_profile", fasthttp.MethodGet, "/v1/channels/{id}/profile", scopeManage, (*call).showProfile},
	{"channel_profile_change", fasthttp.MethodPatch, "/v1/channels/{id}/profile", scopeManage, (*call).changeProfile},
	{"channel_logo", fasthttp.MethodPut, "/v1/channels/{id}/profile/logo", scopeManage, (*call).setLogo},
	{"channel_settings", fasthttp.MethodGet, "/v1/channels/{id}/settings", scopeRead, (*call).showSettings},
	{"channel_settings_change", fasthttp.MethodPut, "/v1/channels/{id}/settings", scopeManage, (*call).changeSettings},
	{"training_policy", fasthttp.MethodGet, "/v1/training-policy", scopeManage, (*call).showTrainingPolicy},
	{"training_policy_change", fasthttp.MethodPut, "/v1/training-policy", scopeManage, (*call).setTrainingPolicy},
	{"training_exports", fasthttp.MethodGet, "/v1/training-exports", scopeManage, (*call).listTrainingExports},
	{"training_export", fasthttp.MethodPost, "/v1/training-exports", scopeManage, (*call).exportTraining},
	{"training_report", fasthttp.MethodGet, "/v1/training-exports/{id}/report", scopeManage, (*call).reportTraining},
	{"training_rows", fasthttp.MethodGet, "/v1/training-exports/{id}/rows", scopeManage, (*call).rowsOfTraining},
	{"turns", fasthttp.MethodGet, "/v1/conversations/{id}/turns", scopeRead, (*call).listTurns},
	{"turn", fasthttp.MethodGet, "/v1/turns/{id}", scopeRead, (*call).showTurn},
	{"usage", fasthttp.MethodGet, "/v1/usage", scopeRead, (*call).showUsageOf},
	{"budget", fasthttp.MethodGet, "/v1/budget", scopeRead, (*call).showBudget},
	{"budget_change", fasthttp.MethodPut, "/v1/budget", scopeManage, (*call).changeBudget},
	{"assistants", fasthttp.MethodGet, "/v1/assistants", scopeRead, (*call).listAssistants},
	{"assistant", fasthttp.MethodGet, "/v1/assistants/{id}", scopeRead, (*call).showAssistant},
	{"assistant_versions", fasthttp.MethodGet, "/v1/assistants/{id}/versions", scopeRead, (*call).listVersions},
	{"assistant_draft", fasthttp.MethodPost, "/v1/assistants/{id}/versions", scopeManage, (*call).draftAssistant},
	{"assistant_publish", fasthttp.MethodPost, "/v1/assistants/{id}/publish", scopeManage, (*call).publishAssistant},
	{"assistant_rollback", fasthttp.MethodPost, "/v1/assistants/{id}/rollback", scopeManage, (*call).rollBackAssistant},
	{"assistant_channels", fasthttp.MethodPut, "/v1/assistants/{id}/channels", scopeManage, (*call).placeAssistant},
	{"assistant_diff", fasthttp.MethodGet, "/v1/assistants/{id}/diff", scopeRead, (*call).diffAssistant},
	{"assistant_preview", fasthttp.MethodGet, "/v1/assistants/{id}/preview", scopeRead, (*call).previewAssistant},
	{"tools", fasthttp.MethodGet, "/v1/tools", scopeRead, (*call).listTools},
	{"tool_validate", fasthttp.MethodPost, "/v1/tools/validate", scopeManage, (*call).validateTool},
	{"tool", fasthttp.MethodGet, "/v1/tools/{id}", scopeRead, (*call).showTool},
	{"tool_put", fasthttp.MethodPut, "/v1/tools/{id}", scopeManage, (*call).putTool},
	{"tool_delete", fasthttp.MethodDelete, "/v1/tools/{id}", scopeManage, (*call).deleteTool},
	{"tool_test", fasthttp.MethodPost, "/v1/tools/{id}/test", scopeManage, (*call).testTool},
	{"tool_servers", fasthttp.MethodGet, "/v1/tool-servers", scopeRead, (*call).listServers},
	{"tool_server", fasthttp.MethodGet, "/v1/tool-servers/{id}", scopeRead, (*call).showServer},
	{"tool_server_put", fasthttp.MethodPut, "/v1/tool-servers/{id}", scopeManage, (*call).putServer},
	{"tool_server_delete", fasthttp.MethodDelete, "/v1/tool-servers/{id}", scopeManage, (*call).deleteServer},
	{"tool_server_discover", fasthttp.MethodPost, "/v1/tool-servers/{id}/discover", scopeManage, (*call).discoverServer},
	{"tool_server_approve", fasthttp.MethodPost, "/v1/tool-servers/{id}/approve", scopeManage, (*call).approveServer},
	{"tool_secrets", fasthttp.MethodGet, "/v1/tool-secrets", scopeManage, (*call).listSecrets},
	{"tool_secret_put", fasthttp.MethodPut, "/v1/tool-secrets/{id}", scopeManage, (*call).putSecret},
	{"tool_secret_delete", fasthttp.MethodDelete, "/v1/tool-secrets/{id}", scopeManage, (*call).deleteSecret},
	{"tool_hosts", fasthttp.MethodGet, "/v1/tool-hosts", scopeRead, (*call).showHosts},
	{"tool_hosts_put", fasthttp.MethodPut, "/v1/tool-hosts", scopeManage, (*call).putHosts},
	{"catalog_items", fasthttp.MethodGet, "/v1/catalog/items", scopeRead, (*call).listItems},
	{"catalog_item", fasthttp.MethodGet, "/v1/catalog/items/{id}", scopeRead, (*call).showItem},
	{"catalog_item_put", fasthttp.MethodPut, "/v1/catalog/items/{id}", scopeWrite, (*call).putItem},
	{"catalog_item_delete", fasthttp.MethodDelete, "/v1/catalog/items/{id}", scopeWrite, (*call).deleteItem},
	{"catalog_import", fasthttp.MethodPost, importPath, scopeWrite, (*call).importItems},
	{"orders", fasthttp.MethodGet, "/v1/orders", scopeRead, (*call).listOrders},
	{"order_put", fasthttp.MethodPut, "/v1/orders/{id}", scopeWrite, (*call).putOrder},
	{"order_delete", fasthttp.MethodDelete, "/v1/orders/{id}", scopeWrite, (*call).deleteOrder},
	{"channel_templates_sync", fasthttp.MethodPost, "/v1/channels/{id}/templates/sync", scopeManage, (*call).syncTemplates},
}

// findRoute returns the route of a method and path, with the id in the path.
func findRoute(method, path string) (*route, string, *failure) {
	var allowed []string
	for i := range routes {
		id, ok := match(routes[i].path, path)
		if !ok {
			continue
		}
		if routes[i].method == method {
			return &routes[i], id, nil
		}
		allowed = append(allowed, routes[i].method)
	}
	if len(allowed) > 0 {
		f := errMethod
		f.header = [2]string{"Allow", strings.Join(allowed, ", ")}
		return nil, "", &f
	}
	return nil, "", &errNoRoute
}

// match compares a path with a pattern and returns what stands for {id}.
func match(pattern, path string) (id string, ok bool) {
	before, after, hasID := strings.Cut(pattern, "{id}")
	if !hasID {
		return "", pattern == path
	}
	rest, ok := strings.CutPrefix(path, before)
	if !ok {
		return "", false
	}
	id, ok = strings.CutSuffix(rest, after)
	return id, ok && id != "" && !strings.Contains(id, "/")
}
