package api

import "github.com/chumiai/chumi/chat"

// cursorMax bounds what a client can make the views decode, in bytes.
const cursorMax = 512

var errCursor = invalid("cursor_invalid", "cursor", "This cursor is not one this API gave.")

// cursor is where the page asked for begins; "" for the first.
func (r *call) cursor() (string, *failure) {
	c := string(r.ctx.QueryArgs().Peek("cursor"))
	if len(c) > cursorMax {
		return "", errCursor
	}
	return c, nil
}

// pageFailed is failed for a page: what a view takes for invalid is its cursor.
func (r *call) pageFailed(err error) *failure {
	if chat.KindOf(err) == chat.KindInvalid {
		return errCursor
	}
	return r.failed(err)
}

// list answers a page of a list; next is the cursor of the one after, "" for none.
func list[T any](r *call, page []T, next string, one func([]byte, *T) []byte) {
	b := append(make([]byte, 0, 256+512*len(page)), `{"data":[`...)
	for i := range page {
		if i > 0 {
			b = append(b, ',')
		}
		b = one(b, &page[i])
	}
	b = append(b, ']')
	b = appendNullable(b, "next_cursor", next)
	r.json(append(b, '}'))
}
