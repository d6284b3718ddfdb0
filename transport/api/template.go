package api

import "encoding/json"

// listTemplates is GET /v1/templates.
func (r *call) listTemplates() *failure {
	args := r.ctx.QueryArgs()
	name, status := string(args.Peek("name")), string(args.Peek("status"))
	ctx, cancel := r.reading()
	defer cancel()
	list, err := r.opt.Templates.Templates(ctx, r.principal.Tenant)
	if err != nil {
		return r.failed(err)
	}
	b := []byte(`{"data":[`)
	first := true
	for i := range list {
		if name != "" && list[i].Name != name || status != "" && list[i].Status != status {
			continue
		}
		one, err := json.Marshal(&list[i])
		if err != nil {
			return r.failed(err)
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, one...)
	}
	r.json(append(b, ']', '}'))
	return nil
}
