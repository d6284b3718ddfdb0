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
	// floodBatch is how many of them write in one POST, floodBatches how many
	// POSTs of an account are under way.
	floodBatch, floodBatches = 8, 2
)

// flood has customers of every account write as fast as they are acknowledged,
// several in one POST, until over is called, which returns when nothing of it is
// under way any more. Only one flood at a time keeps their messages in order.
func (c *cluster) flood(posting context.Context, seed uint64) (over func()) {
	writing, end := context.WithCancel(posting)
	var work sync.WaitGroup
	for i, a := range bench.Accounts(c.world) {
		for j := range floodBatches {
			w := &writer{stage: c.stage, r: rand.New(rand.NewPCG(seed, uint64(i*floodBatches+j)))}
			for n := range floodBatch {
				w.people = append(w.people, person(a, firstFlooding+j*floodBatch+n))
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
