//go:build !race

package chat_test

import (
	"testing"

	"github.com/chumiai/chumi/chat"
)

// A customer message in a conversation that exists is decided with its event, its
// state and what the decision lists, and nothing besides.
func TestStep_AllocatesLittle(t *testing.T) {
	w := newWorld(chat.WhatsApp)
	input := w.message(t)
	if n := testing.AllocsPerRun(1000, func() { chat.Step(&w.state, input) }); n > 4 {
		t.Errorf("%v allocations per message, at most 4: -bench Step_Message -memprofile shows what grew", n)
	}
}
