package persistence

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/chumiai/chumi/chat"
)

// Templates lists the templates a tenant has, by name, language and account.
func (v *Views) Templates(ctx context.Context, id chat.TenantID) ([]chat.Template, error) {
	t, err := v.store.tenantAt(id)
	if err != nil {
		return nil, err
	}
	docs, err := v.store.Docs(ctx, id, chat.DocTemplate)
	if err != nil {
		return nil, err
	}
	list := make([]chat.Template, len(docs))
	for i := range docs {
		if json.Unmarshal(docs[i].Value, &list[i]) != nil {
			return nil, errRecord("a template is unreadable")
		}
	}
	slices.SortFunc(list, func(a, b chat.Template) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Language, b.Language), cmp.Compare(a.WABA, b.WABA))
	})
	return list, t.group.settle(ctx)
}
