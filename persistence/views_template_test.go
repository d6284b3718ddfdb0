package persistence

import (
	"encoding/json"
	"testing"

	"github.com/chumiai/chumi/chat"
)

func TestViews_TemplatesAreATenantsOwnInOrder(t *testing.T) {
	s := openMem(t, "acme", "rival")
	put := func(tenant chat.TenantID, list ...chat.Template) {
		t.Helper()
		k := newTalker(t, s, tenant, 1)
		c := k.next("hello")
		for i := range list {
			value, err := json.Marshal(&list[i])
			mustPut(t, err)
			c.Docs = append(c.Docs, chat.Doc{Noun: chat.DocTemplate, ID: chat.TemplateKey(list[i].WABA, list[i].Name, list[i].Language), Value: value})
		}
		if r, err := s.Append(t.Context(), c); err != nil || r.Answer != chat.Applied {
			t.Fatal(r, err)
		}
	}
	put("acme", chat.Template{WABA: "9", Name: "offer", Language: "de", Status: "PAUSED"},
		chat.Template{WABA: "9", Name: "hours", Language: "en", Status: "APPROVED"}, chat.Template{WABA: "9", Name: "hours", Language: "de", Status: "APPROVED"})
	put("rival", chat.Template{WABA: "8", Name: "theirs", Language: "de"})
	list, err := s.Views().Templates(t.Context(), "acme")
	if err != nil || len(list) != 3 || list[0].Language != "de" || list[1].Language != "en" || list[2].Name != "offer" || list[2].Status != "PAUSED" {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := s.Views().Templates(t.Context(), "nobody"); err == nil {
		t.Error("templates of a tenant that does not exist")
	}
}
