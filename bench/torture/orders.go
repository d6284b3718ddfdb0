package torture

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/chumiai/chumi/metrics/failpoint"
)

// orders tells an engine built with -tags torture what its disk and clock do.
type orders struct {
	path   string
	number int64
}

func newOrders(dir string) *orders { return &orders{path: filepath.Join(dir, "orders.json")} }

// env makes an engine obey.
func (o *orders) env() string { return "CHUMI_ORDERS=" + o.path }

// set writes an order that an engine takes when it starts, or soon if it runs. It
// returns its number.
func (o *orders) set(order failpoint.Order) (int64, error) {
	o.number++
	order.Number = o.number
	b, err := json.Marshal(order)
	if err == nil {
		err = writeWhole(o.path, b)
	}
	return order.Number, err
}

// takenIn is far longer than an engine needs to take an order.
const takenIn = 10 * time.Second

// give sets an order and waits until the running engine has taken it.
func (o *orders) give(ctx context.Context, order failpoint.Order) (taken failpoint.Note, err error) {
	n, err := o.set(order)
	if err != nil {
		return taken, err
	}
	taken, ok := o.await(ctx, n, takenIn, failpoint.NoteTaken)
	if !ok {
		return taken, errors.Join(errors.New("torture: an order was not taken: was the executable built with -tags torture?"), ctx.Err())
	}
	return taken, nil
}

// await returns the first note of an order that says one of the words; false when
// none came in time.
func (o *orders) await(ctx context.Context, order int64, in time.Duration, what ...string) (failpoint.Note, bool) {
	for began := time.Now(); ; pause(ctx, 5*time.Millisecond) {
		for _, n := range o.notes(order) {
			for _, w := range what {
				if n.What == w {
					return n, true
				}
			}
		}
		if time.Since(began) > in || ctx.Err() != nil {
			return failpoint.Note{}, false
		}
	}
}

// notes lists those of an order, in the order they were made. A line that is half
// written is left for the next time.
func (o *orders) notes(order int64) []failpoint.Note {
	f, err := os.Open(o.path + failpoint.NotesSuffix)
	if err != nil {
		return nil // there are none yet
	}
	defer f.Close()
	var out []failpoint.Note
	for s := bufio.NewScanner(f); s.Scan(); {
		var n failpoint.Note
		if json.Unmarshal(s.Bytes(), &n) == nil && n.Number == order {
			out = append(out, n)
		}
	}
	return out
}

// powerCut does to the files of a disk that lied what a power cut would have
// done: what was never synced is gone.
func (o *orders) powerCut(order int64) error {
	for _, n := range o.notes(order) {
		if n.What != failpoint.NoteLied {
			continue
		}
		if err := os.Truncate(n.File, n.Synced); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("torture: %w", err)
		}
	}
	return nil
}
