package drop

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/bench"
	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// segment is one store with everything around it.
type segment struct {
	o     *Options
	n     int // messages of each class
	dir   string
	world *child.World
	graph *metasim.Server
	start child.Options
	// engine and api are set once it runs.
	engine *child.Engine
	api    *client
	report *Report

	chats    []*chatWith
	reporter reporter
	written  atomic.Int64
	stopLog  func()
}

// chatWith is one customer and the messages a member writes to them.
type chatWith struct {
	account      metasim.Account
	customer     metasim.Customer
	tenant       string
	conversation string
	// messages holds the engine's ids, by number; empty until acknowledged.
	messages [perConversation]string
}

func (c *chatWith) class() string {
	if c.account.Kind == metasim.Instagram {
		return AtMostOnce
	}
	return AtLeastOnce
}

// text is a text that no other message of the segment has.
func (c *chatWith) text(n int) string {
	return fmt.Sprintf("%s %s message %d", c.account.ID, c.customer.ID, n+1)
}

// runSegment runs one. The error says why it could not be judged; a broken promise
// is in the report.
func runSegment(ctx context.Context, o *Options, n int, seed uint64) (*Report, error) {
	s := &segment{o: o, n: n, report: newReport(), world: child.NewWorld(tenants)}
	if err := s.open(ctx, seed); err != nil {
		s.close()
		return nil, err
	}
	defer s.close()
	began := time.Now()
	if err := s.greet(ctx); err != nil {
		return nil, err
	}
	if err := s.find(ctx); err != nil {
		return nil, err
	}
	s.say("customers have written", began)
	began = time.Now()
	if err := s.write(ctx); err != nil {
		return nil, err
	}
	listed, err := s.rest(ctx)
	if err != nil {
		return nil, err
	}
	s.report.Sending = time.Since(began)
	s.say("nothing is attempted any more", began)
	s.compare(listed)
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	s.say("late reports are in", began)
	if err := s.engine.Terminate(); err != nil {
		return nil, err
	}
	s.judge()
	if err := s.export(ctx); err != nil {
		return nil, err
	}
	if s.report.Red() {
		s.report.Kept = append(s.report.Kept, s.dir)
		return s.report, nil
	}
	return s.report, os.RemoveAll(s.dir)
}

func (s *segment) say(what string, since time.Time) {
	fmt.Fprintf(s.o.Log, "%s after %v\n", what, time.Since(since).Round(time.Millisecond))
}

// open makes the directory and starts simulator and engine.
func (s *segment) open(ctx context.Context, seed uint64) (err error) {
	if s.dir, err = os.MkdirTemp(s.o.Dir, "chumi-drop-*"); err != nil {
		return fmt.Errorf("drop: %w", err)
	}
	accounts := bench.Accounts(s.world)
	pace := metasim.StrictPace
	pace.Tier = 0 // nobody is outside the window
	s.graph = metasim.New(metasim.Options{Accounts: accounts, Pace: pace, OnSend: s.onSend,
		Plan: metasim.Plan{Seed: seed, Dropped: s.o.Share, Reports: metasim.Reports{Off: true}}})
	graph, err := s.graph.Start("127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("drop: %w", err)
	}
	config, bootstrap, err := child.WriteFiles(s.dir, s.world, child.Config{
		GraphURL: "http://" + graph, InstagramURL: "http://" + graph, ReconcileAfter: s.o.ReconcileAfter.String()})
	if err != nil {
		return err
	}
	s.start = child.Options{Binary: s.o.Binary, DataDir: filepath.Join(s.dir, "data"), Config: config, Bootstrap: bootstrap, Env: s.o.env}
	if s.engine, err = child.Start(ctx, s.start); err != nil {
		return err
	}
	s.graph.SetHooks("http://" + s.engine.Edge)
	s.api = newClient(s.engine.API, s.world)
	s.reporter.graph = s.graph
	s.reporter.life, s.reporter.end = context.WithCancel(ctx)
	perAccount := (s.n + perConversation*tenants - 1) / (perConversation * tenants)
	for i, a := range accounts {
		for n := range perAccount {
			c := &chatWith{account: a, tenant: s.world.Channels[i].Tenant,
				customer: metasim.Customer{ID: fmt.Sprintf("4915200%06d", n), Name: fmt.Sprint("Customer ", n)}}
			if a.Kind == metasim.Instagram {
				c.customer = metasim.Customer{ID: fmt.Sprintf("7800000%07d", n)}
			}
			s.chats = append(s.chats, c)
		}
	}
	s.stopLog = child.EveryFew(func() {
		fmt.Fprintf(s.o.Log, "  %d of %d messages written, %d reports late\n", s.written.Load(), len(s.chats)*perConversation, s.reporter.waiting())
	})
	return nil
}

func (s *segment) close() {
	if s.stopLog != nil {
		s.stopLog()
	}
	if s.reporter.end != nil {
		s.reporter.end()
		s.reporter.soon.Wait()
	}
	if s.engine != nil {
		s.engine.Kill()
	}
	if s.graph != nil {
		_ = s.graph.Close() // nobody waits for what is cut off
	}
}

// early tells, from the message alone, whether its report comes at once.
func early(text string) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text))
	return h.Sum32()%2 == 0
}

// onSend arranges the report of a message whose answer is dropped.
func (s *segment) onSend(m metasim.SendMoment, e metasim.Send) {
	if m != metasim.SendReceived || e.Fault != metasim.FaultDropped {
		return
	}
	a, _ := s.graph.Account(e.Account)
	u := metasim.Update{Kind: metasim.UpdateStatus, Account: a, Customer: metasim.Customer{ID: e.To}, RemoteID: e.RemoteID,
		Status: "sent", Callback: e.Callback, At: e.Time}
	if a.Kind == metasim.Instagram {
		u.Kind, u.Status, u.Text = metasim.UpdateEcho, "", e.Text
	}
	s.reporter.add(u, e.Text, early(e.Text))
}

// greet has every customer write once.
func (s *segment) greet(ctx context.Context) error {
	return each(ctx, writers, batches(s.chats, 50), func(list []*chatWith) error {
		updates := make([]metasim.Update, len(list))
		for i, c := range list {
			updates[i] = s.graph.Text(c.account, c.customer, "hello")
		}
		return s.graph.Deliver(ctx, updates...)
	})
}

// find learns the ids of the conversations.
func (s *segment) find(ctx context.Context) error {
	ids := map[string]string{}
	for _, t := range s.world.Tenants {
		if err := s.api.conversations(ctx, t.ID, ids); err != nil {
			return err
		}
	}
	channels := map[string]string{}
	for i := range s.world.Channels {
		c := &s.world.Channels[i]
		channels[c.Account()] = c.ID
	}
	for _, c := range s.chats {
		if c.conversation = ids[channels[c.account.ID]+"/"+c.customer.ID]; c.conversation == "" {
			return fmt.Errorf("drop: no conversation with %s at %s", c.customer.ID, c.account.ID)
		}
	}
	return nil
}

// write has members write all messages, those of a conversation in order.
func (s *segment) write(ctx context.Context) error {
	return each(ctx, writers, s.chats, func(c *chatWith) error {
		for n := range c.messages {
			id, err := s.api.send(ctx, c.tenant, c.conversation, c.text(n))
			if err != nil {
				return err
			}
			c.messages[n] = id
			s.written.Add(1)
		}
		return nil
	})
}

// rest waits until every send has ended or was given up, and returns those.
func (s *segment) rest(ctx context.Context) (listed map[string]bool, err error) {
	deadline := time.Now().Add(quietMax)
	for {
		listed = map[string]bool{}
		owed := 0
		for _, t := range s.world.Tenants {
			n, err := s.api.sends(ctx, t.ID, listed)
			if err != nil {
				return nil, err
			}
			owed += n
		}
		if owed == 0 && s.reporter.idle() {
			return listed, nil
		}
		if time.Now().After(deadline) {
			s.report.Unended += int64(owed)
			s.report.found("%d sends are still owed after %v", owed, quietMax)
			return listed, nil
		}
		if !pause(ctx, 200*time.Millisecond) {
			return nil, ctx.Err()
		}
	}
}

// post posts updates of one account until they are acknowledged.
func post(ctx context.Context, graph *metasim.Server, updates ...metasim.Update) error {
	d, err := graph.NewDelivery(updates...)
	if err != nil {
		return fmt.Errorf("drop: %w", err)
	}
	for {
		if status, err := graph.PostOnce(ctx, d); err == nil && status == http.StatusOK {
			return nil
		}
		if !pause(ctx, 20*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// each calls f for every one of a list, with n at once, and returns the first error.
func each[T any](ctx context.Context, n int, list []T, f func(T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(list) {
					return
				}
				if err := f(list[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// batches cuts a list into runs of one account of at most n.
func batches(list []*chatWith, n int) (out [][]*chatWith) {
	for len(list) > 0 {
		end := 1
		for end < len(list) && end < n && list[end].account.ID == list[0].account.ID {
			end++
		}
		out = append(out, list[:end])
		list = list[end:]
	}
	return out
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
