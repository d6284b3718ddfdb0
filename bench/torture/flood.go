package torture

import (
	"context"
	"math/rand/v2"
	"sync"

	"github.com/chumiai/chumi/bench"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

const (
	// firstFlooding is the first of the customers of a flood.
	firstFlooding = 10_000
	// floodBatches is how many POSTs of an account are under way, floodBatch how
	// many customers write in one where commits count. Where entries count, one
	// does: what comes together is one entry.
	floodBatches, floodBatch = 2, 8
)

// flood has customers of every account write as fast as they are acknowledged,
// so many in one POST, until over is called, which returns when nothing of it is
// under way any more. Only one flood at a time keeps their messages in order.
func (c *cluster) flood(posting context.Context, seed uint64, batch int) (over func()) {
	writing, end := context.WithCancel(posting)
	var work sync.WaitGroup
	for i, a := range bench.Accounts(c.world) {
		for j := range floodBatches {
			w := &writer{stage: c.stage, r: rand.New(rand.NewPCG(seed, uint64(i*floodBatches+j)))}
			for n := range batch {
				w.people = append(w.people, person(a, firstFlooding+j*batch+n))
			}
			work.Go(func() {
				for writing.Err() == nil {
					var updates []metasim.Update
					for _, who := range w.people {
						updates = append(updates, w.text(who))
					}
					d, err := c.graph.NewDelivery(updates...)
					if err != nil {
						panic(err) // updates of one app and kind always encode
					}
					if !c.deliver(posting, d) {
						return
					}
				}
			})
		}
	}
	return func() {
		end()
		work.Wait()
	}
}
