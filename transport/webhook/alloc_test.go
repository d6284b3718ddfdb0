//go:build !race

package webhook_test

import "testing"

// What a POST of one text takes is the update and its strings, and the deadline it
// shares with its neighbours.
func TestHandler_AllocatesLittle(t *testing.T) {
	f, ctx := setup(t, nil), signed()
	n := testing.AllocsPerRun(1000, func() {
		f.ingress.updates = f.ingress.updates[:0]
		f.Serve(ctx)
	})
	if got := ctx.Response.StatusCode(); got != 200 || n > 8 {
		t.Errorf("answered %d with %v allocations, at most 8: -bench Handler -memprofile shows what grew", got, n)
	}
}
