package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// The tools of the traffic: look changes nothing, book knows repetitions by their key,
// pay must not be called twice.
const (
	toolLook = "look"
	toolBook = "book"
	toolPay  = "pay"
)

// modelPrices is what the model costs, so that money is counted.
const modelPrices = "as_of: 2026-11-27\ncurrency: USD\nmodels:\n  - {model: bench, input: \"1\", output: \"2\"}\n"

// equip gives every second tenant an assistant with tools: the others only talk. The
// engine runs for that, and ends.
func (s *slot) equip(ctx context.Context) error {
	if err := s.up(ctx); err != nil {
		return err
	}
	for i, k := range s.world.Keys {
		if i%2 == 1 {
			continue
		}
		put := func(method, path string, body any) error { return s.tell(ctx, method, path, k.Secret, body) }
		host, _, _ := net.SplitHostPort(s.shop.host)
		err := put(http.MethodPut, "/v1/tool-hosts", map[string]any{"hosts": []string{host}})
		var grants []map[string]any
		for _, name := range []string{toolLook, toolBook, toolPay} {
			tool := map[string]any{"description": name, "kind": "http", "acts": name != toolLook, "repeatable": name == toolBook,
				"parameters": map[string]any{"type": "object", "properties": map[string]any{"id": map[string]any{"type": "string"}},
					"required": []string{"id"}, "additionalProperties": false},
				"http": map[string]any{"method": method(name), "url": "http://" + s.shop.host + "/" + name}}
			err = errors.Join(err, put(http.MethodPut, "/v1/tools/"+name, tool))
			grants = append(grants, map[string]any{"name": name})
		}
		err = errors.Join(err, put(http.MethodPost, "/v1/assistants/main/versions", map[string]any{"instructions": "Help.", "tools": grants}),
			put(http.MethodPost, "/v1/assistants/main/publish", map[string]any{"version": 1}))
		if err != nil {
			return err
		}
	}
	s.at.Store(nil)
	return s.engine.Terminate()
}

func method(tool string) string {
	if tool == toolLook {
		return http.MethodGet
	}
	return http.MethodPost
}

// tell makes one request to the API.
func (s *slot) tell(ctx context.Context, method, path, secret string, body any) error {
	payload, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.engine.API+path, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "equip-"+path)
	res, err := s.desk.client.Do(req)
	if err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if res.StatusCode > 299 {
		return fmt.Errorf("torture: %s %s: %d %s", method, path, res.StatusCode, said)
	}
	return nil
}

// chooseTools draws what a model calls before it answers, from the seed and what it was
// asked alone: tools for half of the messages, a second round now and then.
func chooseTools(seed uint64, a *openaisim.Asked) (calls []openaisim.ToolCall) {
	if !slices.ContainsFunc(a.Tools, func(t openaisim.Tool) bool { return t.Name == toolPay }) {
		return nil
	}
	rounds, last := 0, ""
	for _, m := range a.Messages {
		switch {
		case m.Role == "user":
			rounds, last = 0, m.Text
		case len(m.Calls) > 0:
			rounds++
		}
	}
	h := fnv.New64a()
	_, _ = io.WriteString(h, last)                             // documented never to fail
	r := rand.New(rand.NewPCG(seed, h.Sum64()+uint64(rounds))) // #nosec G115 -- a small number
	if rounds > 0 && r.IntN(5) > 0 || r.IntN(2) == 0 {
		return nil
	}
	for i := range 1 + r.IntN(2) {
		name := []string{toolLook, toolBook, toolPay}[r.IntN(3)]
		args, _ := json.Marshal(map[string]string{"id": fmt.Sprintf("%x.%d.%d", h.Sum64(), rounds, i)}) // strings: it can
		calls = append(calls, openaisim.ToolCall{ID: "call_" + strconv.Itoa(rounds) + "_" + strconv.Itoa(i), Name: name, Arguments: string(args)})
	}
	return calls
}

// begunCall is what the export says of a call.
type begunCall struct {
	tool, id string
	started  int
	// ended is its end; of one that was given up while it was under way the engine does
	// not wait until it is durable that it was.
	ended *child.Event
}

// dropped is how a call ended whose turn was given up, slow one that took too long.
const (
	dropped = "dropped"
	slow    = "timeout"
)

// tools holds what the tools saw against the journal: they are called for what a turn
// began, not after a result was recorded, and not twice when that must not be.
func (a *audit) tools() {
	by := map[[2]string]*begunCall{}
	for _, th := range a.x.order {
		for _, c := range a.begun(th) {
			by[[2]string{c.tool, c.id}] = c
			if c.started > 0 && c.ended == nil {
				a.t.breach(ToolOpen, "%s/%s: %s %s has no result", th.tenant, th.id, c.tool, c.id)
			}
		}
	}
	seen := map[[2]string]int{}
	for _, u := range a.b.Uses {
		k := [2]string{u.Tool, u.ID}
		c := by[k]
		if c == nil || c.started == 0 {
			a.t.breach(ToolUnasked, "%s %s was called, no turn began that", u.Tool, u.ID)
			continue
		}
		a.t.Chances[ChanceTools]++
		if !a.b.Skewed {
			a.t.Chances[ChanceTimed]++
		}
		if u.Tool == toolPay {
			a.t.Chances[ChanceOnce]++
		}
		if e := c.ended; e != nil && !a.b.Skewed && e.Tool.Result.Error != dropped && e.Tool.Result.Error != slow && u.Time.Sub(c.ended.Time) > receiptSlack {
			a.t.breach(ToolAgain, "%s %s was called %v after its result was recorded", u.Tool, u.ID, u.Time.Sub(c.ended.Time))
		}
		switch seen[k]++; {
		case seen[k] == 1:
		case u.Tool == toolPay:
			a.t.breach(ToolTwice, "%s %s was called %d times", u.Tool, u.ID, seen[k])
		default:
			a.t.Repeated++
		}
	}
}

// begun lists the calls of tools of a conversation.
func (a *audit) begun(th *thread) (list []*begunCall) {
	calls := map[[2]string]*begunCall{}
	for _, e := range th.events {
		switch {
		case e.Kind == child.KindCalled && e.Turn != nil:
			for _, k := range e.Turn.Calls {
				var args struct{ ID string }
				_ = json.Unmarshal(k.Args, &args) // of a call that is not valid: it has none
				c := &begunCall{tool: k.Name, id: args.ID}
				calls[[2]string{e.Turn.ID, k.ID}] = c
				list = append(list, c)
			}
		case e.Tool == nil || e.Tool.Late:
		default:
			c := calls[[2]string{e.Tool.Turn, e.Tool.Call}]
			switch {
			case c == nil:
				a.t.breach(ToolUnasked, "%s/%s: nobody asked for call %s", th.tenant, th.id, e.Tool.Call)
			case e.Kind == child.KindToolStart:
				c.started++
			case e.Kind == child.KindToolEnd:
				c.ended = e
			}
		}
	}
	return list
}
