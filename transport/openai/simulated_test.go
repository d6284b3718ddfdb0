package openai_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/openai"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// The simulator and the client share no code: what they agree on is the API.
func TestClient_AgreesWithTheSimulator(t *testing.T) {
	for fault, reason := range map[openaisim.Fault]string{
		openaisim.FaultNone:        "",
		openaisim.FaultThrottled:   "throttled",
		openaisim.FaultServerError: "provider_error",
		openaisim.FaultHang:        "timeout",
		openaisim.FaultCut:         "cut",
		openaisim.FaultEmpty:       "empty",
	} {
		for _, whole := range []bool{false, true} {
			sim := openaisim.New(openaisim.Options{APIKey: "key-1", Plan: openaisim.Plan{
				RetryAfter: 3 * time.Second,
				Script:     func(openaisim.Call) openaisim.Fault { return fault },
			}})
			addr, err := sim.Start("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			c, err := openai.New(openai.Options{BaseURL: openaisim.Base(addr), Model: openaisim.ModelName, APIKey: "key-1",
				Whole: whole, Simulated: true, Timeout: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			a, err := c.Complete(t.Context(), chat.Prompt{Turn: "turn_x_7", Lines: []chat.PromptLine{
				{Role: chat.RoleSystem, Text: "You are the assistant."}, {Role: chat.RoleCustomer, Text: "hello #17"}}})
			var me *chat.ModelError
			switch {
			case reason == "" && (err != nil || !strings.Contains(a.Text, "#17") || a.Model != openaisim.ModelName || a.PromptTokens == 0 || a.OutTokens == 0 || !a.Simulated):
				t.Errorf("whole=%v: %+v, %v", whole, a, err)
			case reason != "" && (!errors.As(err, &me) || me.Reason != reason || me.Permanent):
				t.Errorf("%s whole=%v: %v", fault, whole, err)
			case reason == "throttled" && me.RetryAfter != 3*time.Second:
				t.Errorf("asked to wait %v", me.RetryAfter)
			}
			if calls := sim.Calls(); len(calls) != 1 || calls[0].Turn != "turn_x_7" {
				t.Errorf("%s whole=%v: the ledger holds %+v", fault, whole, calls)
			}
			c.Close()
			if err := sim.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
