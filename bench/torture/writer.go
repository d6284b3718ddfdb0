package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/bench"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// correspondent is one customer at one account.
type correspondent struct {
	account  metasim.Account
	customer metasim.Customer
}

// correspondents lists every customer of every account.
func (s *stage) correspondents() []correspondent {
	var out []correspondent
	for _, a := range bench.Accounts(s.world) {
		for n := range s.o.Traffic.Customers {
			out = append(out, person(a, n))
		}
	}
	return out
}

// person is the nth customer of an account. From 0 on they are the traffic's;
// others have their own beginnings.
func person(a metasim.Account, n int) correspondent {
	c := metasim.Customer{ID: fmt.Sprintf("4915100%06d", n), UserID: fmt.Sprintf("DE.7%012d", n), Name: fmt.Sprintf("Customer %d", n)}
	if a.Kind == metasim.Instagram {
		c = metasim.Customer{ID: fmt.Sprintf("7700000%07d", n)}
	}
	return correspondent{a, c}
}

// The first of the customers who are not the traffic.
const (
	firstWitnessed = 100_000
	firstProbing   = 200_000
	firstLocating  = 300_000
	firstErased    = 400_000
)

// writer is some customers who write one after the other: the next message of a
// conversation is only posted after the one before was acknowledged, so that
// their order is known.
type writer struct {
	stage  *stage
	r      *rand.Rand
	people []correspondent
	copies sync.WaitGroup
}

// write posts until ctx ends; the message under way is still posted until it is
// acknowledged or forced ends.
func (w *writer) write(ctx, forced context.Context) {
	defer w.copies.Wait()
	t := &w.stage.o.Traffic
	for ctx.Err() == nil {
		d, err := w.stage.graph.NewDelivery(w.compose()...)
		if err != nil {
			panic(err) // updates of one app and kind always encode
		}
		if !w.deliver(forced, d) {
			return
		}
		pause(ctx, time.Duration(w.r.Int64N(int64(2*t.Think)+1)))
	}
}

// deliver posts a delivery until one copy of it is acknowledged, and now and
// then a second copy, at the same time or later. Once any copy was acknowledged
// none is repeated for its own sake: nothing but the engine's word keeps the
// message then. It returns false when ctx ended first.
func (w *writer) deliver(ctx context.Context, d *metasim.Delivery) bool {
	var acked atomic.Bool
	post := func() {
		if status, err := w.stage.post(ctx, d); err == nil && status == http.StatusOK {
			acked.Store(true)
		}
	}
	repeated := w.r.Float64() < w.stage.o.Traffic.Repeated
	together := repeated && w.r.IntN(2) == 0
	if together {
		w.copies.Go(post)
	}
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		post()
		if acked.Load() {
			break
		}
		if pause(ctx, wait); ctx.Err() != nil {
			return false
		}
	}
	if repeated && !together {
		later := time.Duration(w.r.IntN(200)) * time.Millisecond
		w.copies.Go(func() {
			pause(ctx, later)
			post()
		})
	}
	return true
}

// The pauses between tries double from the first to the last: the engine is
// down half of the time.
const (
	firstWait = 5 * time.Millisecond
	lastWait  = 100 * time.Millisecond
)

// compose makes one message, or several of one or two customers of one kind.
func (w *writer) compose() []metasim.Update {
	first := w.people[w.r.IntN(len(w.people))]
	updates := []metasim.Update{w.text(first)}
	if w.r.Float64() >= w.stage.o.Traffic.Batched {
		return updates
	}
	second := w.people[w.r.IntN(len(w.people))]
	for range 1 + w.r.IntN(3) {
		next := first
		if second.account.Kind == first.account.Kind && w.r.IntN(2) == 0 {
			next = second
		}
		updates = append(updates, w.text(next))
	}
	return updates
}

// text is the correspondent's next message. Its text names its number, tenant
// and customer, and is of any length, so that a text that strays is noticed.
func (w *writer) text(c correspondent) metasim.Update {
	u := w.stage.graph.Text(c.account, c.customer, "")
	u.Text = fmt.Sprintf("%s %s says #%d %s", c.account.Name, c.customer.ID, u.Number, strings.Repeat("la ", w.r.IntN(40)))
	u.Text = strings.TrimSpace(u.Text)
	return u
}
