package edge

import (
	"slices"
	"strings"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

// Route gives paths to a handler. A Prefix that ends in "/" takes every path
// below it; any other is one exact path.
type Route struct {
	Prefix  string
	Handler fasthttp.RequestHandler
}

// table is the routes, longest prefix first.
type table []Route

func newTable(routes []Route) (table, error) {
	t := slices.Clone(routes)
	slices.SortStableFunc(t, func(a, b Route) int { return len(b.Prefix) - len(a.Prefix) })
	for i, r := range t {
		if !strings.HasPrefix(r.Prefix, "/") || r.Handler == nil {
			return nil, chat.E("edge.New", chat.KindInvalid, "route "+r.Prefix+" needs a prefix that begins with / and a handler", nil)
		}
		if i > 0 && t[i-1].Prefix == r.Prefix {
			return nil, chat.E("edge.New", chat.KindInvalid, "route "+r.Prefix+" stands twice", nil)
		}
	}
	return t, nil
}

// find returns the handler of a path, or nil.
func (t table) find(path []byte) fasthttp.RequestHandler {
	for i := range t {
		p := t[i].Prefix
		if p[len(p)-1] == '/' {
			if len(path) >= len(p) && string(path[:len(p)]) == p {
				return t[i].Handler
			}
		} else if string(path) == p {
			return t[i].Handler
		}
	}
	return nil
}
