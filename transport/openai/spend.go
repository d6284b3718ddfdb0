package openai

import (
	"time"

	"github.com/chumiai/chumi/chat"
)

// operation is the kind of a call, as a label of metrics.
type operation string

const (
	operationChat          operation = "chat"
	operationEmbeddings              = operation(chat.OperationEmbeddings)
	operationTranscription           = operation(chat.OperationTranscription)
)

// observe counts a call that ended, or was not made because its provider is not well.
func (c *Client) observe(op operation, began time.Time, asked bool, failure *chat.ModelError, t chat.Tokens) {
	outcome := "ok"
	if failure != nil {
		outcome = failure.Reason
	}
	m := c.opt.Metrics
	m.Calls.WithLabelValues(string(op), outcome).Inc()
	if !asked {
		return
	}
	m.Duration.WithLabelValues(string(op)).Observe(c.opt.Now().Sub(began).Seconds())
	for kind, n := range map[string]int64{"input": t.Prompt, "input_cached": t.Cached, "output": t.Output, "output_reasoning": t.Reasoning} {
		if n > 0 {
			m.Tokens.WithLabelValues(string(op), kind).Add(float64(n))
		}
	}
}
