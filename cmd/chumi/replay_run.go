package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/chumiai/chumi/chat"
)

// replayed is what came of one conversation.
type replayed struct {
	Conversation chat.ConversationID `json:"conversation_id"`
	Verdict      chat.Worth          `json:"verdict"`
	// Calls were recorded, Same of them have the same prompt; Lost counts the others by
	// reason.
	Calls int            `json:"calls,omitempty"`
	Same  int            `json:"same,omitempty"`
	Lost  map[string]int `json:"lost,omitempty"`
	Turns []replayedTurn `json:"turns,omitempty"`
}

// replayedTurn is one turn asked anew.
type replayedTurn struct {
	Turn    chat.TurnID   `json:"turn_id"`
	Verdict chat.Worth    `json:"verdict,omitempty"`
	Why     []string      `json:"why,omitempty"`
	Lost    string        `json:"lost,omitempty"`
	Was     *chat.Outcome `json:"was,omitempty"`
	Now     *chat.Outcome `json:"now,omitempty"`
}

// replayHead is the first line of a file of results.
type replayHead struct {
	Replay string `json:"replay"`
}

// digest names what is replayed and with what: a file of results is of one.
func (r *replay) digest() string {
	b, _ := json.Marshal([]any{r.opt.tenant, r.own, r.models, r.opt.must, r.opt.mustNot, r.model != nil}) // plain values: it can
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// run replays what is not done yet and prints the sum.
func (r *replay) run(ctx context.Context) error {
	ids, err := r.conversations(ctx)
	if err != nil {
		return err
	}
	done, out, err := r.results()
	if err != nil {
		return err
	}
	sum := replaySum{verdicts: map[chat.Worth]int{}, lost: map[string]int{}}
	var todo []chat.ConversationID
	for _, id := range ids {
		if was, ok := done[id]; ok {
			sum.add(was)
			continue
		}
		todo = append(todo, id)
	}
	err = r.each(ctx, todo, func(one *replayed, n int) error {
		sum.add(one)
		if n%100 == 0 {
			fmt.Fprintf(r.cli.stderr, "%d of %d conversations\n", n, len(todo))
		}
		line, err := json.Marshal(one)
		if err != nil {
			return err
		}
		line = append(line, '\n')
		if out != nil {
			_, err = out.Write(line)
		}
		if r.opt.asJSON {
			_, wrong := r.cli.stdout.Write(line)
			return errors.Join(err, wrong)
		}
		return errors.Join(err, one.print(r.cli.stdout))
	})
	if out != nil {
		err = errors.Join(err, out.Close())
	}
	if err != nil {
		return err
	}
	return r.tell(&sum)
}

// conversations are those that the user names, or all of the tenant.
func (r *replay) conversations(ctx context.Context) (ids []chat.ConversationID, err error) {
	for _, id := range r.opt.conversations {
		ids = append(ids, chat.ConversationID(id))
	}
	for cursor := ""; len(r.opt.conversations) == 0; {
		page, next, err := r.store.Views().Conversations(ctx, chat.TenantID(r.opt.tenant), cursor, 200)
		if err != nil {
			return nil, err
		}
		for i := range page {
			ids = append(ids, page[i].State.ID)
		}
		if cursor = next; next == "" {
			break
		}
	}
	return ids, nil
}

// results opens the file of results and reads what is there.
func (r *replay) results() (map[chat.ConversationID]*replayed, io.WriteCloser, error) {
	if r.opt.out == "" {
		return nil, nil, nil
	}
	done := map[chat.ConversationID]*replayed{}
	f, err := os.OpenFile(r.opt.out, os.O_RDWR|os.O_CREATE, 0o600) // #nosec G304 -- a file that the user names
	if err != nil {
		return nil, nil, fmt.Errorf("%s cannot be opened: %s", r.opt.out, cause(err))
	}
	lines, whole := bufio.NewReader(f), int64(0)
	for n := 0; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break // the end, or a line that a crash cut
		}
		if n == 0 {
			var head replayHead
			if json.Unmarshal(line, &head) != nil || head.Replay != r.digest() {
				return nil, nil, errors.Join(usageError(fmt.Errorf("%s holds the results of another replay; name another file", r.opt.out)), f.Close())
			}
		} else {
			one := new(replayed)
			if json.Unmarshal(line, one) != nil {
				break
			}
			done[one.Conversation] = one
		}
		whole += int64(len(line))
	}
	if err := f.Truncate(whole); err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	if _, err := f.Seek(whole, io.SeekStart); err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	if whole == 0 {
		head, _ := json.Marshal(replayHead{r.digest()}) // a text: it can
		if _, err := f.Write(append(head, '\n')); err != nil {
			return nil, nil, errors.Join(err, f.Close())
		}
	}
	return done, f, nil
}

// each replays conversations, some at once, and brings what came of them one after
// the other.
func (r *replay) each(ctx context.Context, ids []chat.ConversationID, done func(*replayed, int) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var (
		mu  sync.Mutex // done is called with it held
		all sync.WaitGroup
		n   int
	)
	places := make(chan struct{}, r.opt.parallel)
	for _, id := range ids {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-places }()
			one, err := r.one(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			if n++; err == nil && ctx.Err() == nil {
				err = done(one, n)
			}
			if err != nil {
				stop(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// one replays a conversation.
func (r *replay) one(ctx context.Context, id chat.ConversationID) (*replayed, error) {
	events, err := r.events(id)
	if err != nil {
		return nil, err
	}
	one := &replayed{Conversation: id, Verdict: chat.WorthSame, Lost: map[string]int{}}
	calls := chat.RecordedCalls(events)
	if erased := chat.ErasedCalls(events); erased > 0 {
		one.Lost[chat.PromptErased], one.Calls = erased, erased
	}
	one.Calls += len(calls)
	turns := map[chat.TurnID][]chat.RecordedCall{}
	var order []chat.TurnID
	for i := range calls {
		if _, lost := calls[i].Prompt(events, r.past); lost == "" {
			one.Same++
		} else {
			one.Lost[lost]++
		}
		if turn := calls[i].Turn; turn != "" {
			if turns[turn] == nil {
				order = append(order, turn)
			}
			turns[turn] = append(turns[turn], calls[i])
		}
	}
	if r.model == nil {
		if one.Lost[chat.PromptDiffers] > 0 {
			one.Verdict = chat.WorthChanged
		}
		return one, nil
	}
	if len(events) == 0 {
		return one, nil
	}
	addresses := r.addresses(id)
	for _, turn := range order {
		t, err := r.turn(ctx, events, turns[turn], addresses)
		if err != nil {
			return nil, err
		}
		if t == nil {
			continue
		}
		one.Turns = append(one.Turns, *t)
		if t.Verdict == chat.WorthWorse || t.Verdict == chat.WorthChanged && one.Verdict == chat.WorthSame {
			one.Verdict = t.Verdict
		}
	}
	return one, nil
}

// events are all of a conversation.
func (r *replay) events(id chat.ConversationID) (all []chat.Event, err error) {
	for after := chat.Seq(0); ; after = all[len(all)-1].Seq {
		some, err := r.store.Events(chat.TenantID(r.opt.tenant), id, after, 1000)
		if err != nil || len(some) == 0 {
			return all, err
		}
		all = append(all, some...)
	}
}

// addresses are the customer's; none of somebody who was erased.
func (r *replay) addresses(id chat.ConversationID) []chat.Address {
	state, found, err := r.store.Load(chat.TenantID(r.opt.tenant), id)
	if err != nil || !found {
		return nil
	}
	contact, err := r.store.Contact(chat.TenantID(r.opt.tenant), state.Contact)
	if err != nil {
		return nil
	}
	return contact.Addresses
}

// turn asks for what one turn came to; nil for one that did not end.
func (r *replay) turn(ctx context.Context, events []chat.Event, calls []chat.RecordedCall, addresses []chat.Address) (*replayedTurn, error) {
	was, found := chat.OutcomeOf(events, calls[0].Turn)
	if !found {
		return nil, nil
	}
	t := &replayedTurn{Turn: calls[0].Turn, Was: &was}
	var settings *chat.Settings
	if r.own != nil {
		settings = r.past.Settings(r.own, calls[0].Channel)
	}
	redo, lost := chat.RedoOf(calls, events, r.past, settings)
	if lost != "" {
		t.Was, t.Lost = nil, lost
		return t, nil
	}
	redo.Models, redo.Addresses = r.models, addresses
	if err := redoWith(ctx, redo, r.model, r.prices); err != nil {
		return nil, err
	}
	now := redo.Outcome()
	t.Now = &now
	t.Verdict, t.Why = chat.Compare(&was, &now, &chat.Rules{Must: r.opt.must, MustNot: r.opt.mustNot})
	return t, nil
}

// print shows a conversation to a person.
func (o *replayed) print(w io.Writer) error {
	var b bytes.Buffer
	if len(o.Turns) == 0 && o.Verdict == chat.WorthSame && len(o.Lost) == 0 {
		return nil
	}
	fmt.Fprintf(&b, "%s  %s", o.Conversation, o.Verdict)
	for _, word := range sortedKeys(o.Lost) {
		fmt.Fprintf(&b, "  %s=%d", word, o.Lost[word])
	}
	b.WriteByte('\n')
	for i := range o.Turns {
		t := &o.Turns[i]
		if t.Verdict == chat.WorthSame {
			continue
		}
		fmt.Fprintf(&b, "  %s  %s  %s\n", t.Turn, cmp.Or(string(t.Verdict), t.Lost), strings.Join(t.Why, "; "))
		if t.Now != nil {
			fmt.Fprintf(&b, "    was  %s\n    now  %s\n", said(t.Was), said(t.Now))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// said is an outcome in a line.
func said(o *chat.Outcome) string {
	var parts []string
	for _, u := range o.Tools {
		parts = append(parts, u.Name+string(u.Args))
	}
	for _, m := range o.Messages {
		parts = append(parts, fmt.Sprintf("%q", clip(m)))
	}
	for word, v := range map[string]string{"handoff": o.Handoff, "failed": o.Failed} {
		if v != "" {
			parts = append(parts, word+"="+v)
		}
	}
	return strings.Join(parts, " ") + fmt.Sprintf("  (%d calls, %d tokens, %s, %s)", o.Calls, o.Tokens.Prompt+o.Tokens.Output, o.Cost.String(), o.Took.Round(1e6))
}
