package torture

import (
	"context"
	"fmt"
	"time"

	"github.com/chumiai/chumi/bench"
	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// locate finds out which group each tenant is in. No handle tells, so it is
// seen: one tenant is written to while nobody else is, and the group whose log
// grows is its group. REQUIRES: no other traffic.
func (c *cluster) locate(ctx context.Context) error {
	before, err := c.still(ctx)
	if err != nil {
		return err
	}
	for _, a := range bench.Accounts(c.world) {
		if a.Kind != metasim.WhatsApp {
			continue
		}
		who := person(a, firstLocating)
		for range locatingPosts {
			if err := c.say(ctx, who); err != nil {
				return err
			}
		}
		after, err := c.still(ctx)
		if err != nil {
			return err
		}
		group, grew := grown(before, after)
		if grew < locatingPosts {
			return fmt.Errorf("torture: %d messages of %s, but no log grew by more than %d entries", locatingPosts, a.Name, grew)
		}
		for i := range c.world.Channels {
			if ch := &c.world.Channels[i]; ch.Account() == a.ID {
				c.groupOf[ch.Tenant] = group
			}
		}
		before = after
	}
	return nil
}

// locatingPosts is more than what a group writes on its own meanwhile.
const locatingPosts = 8

// say posts one message of a customer until it is acknowledged.
func (c *cluster) say(ctx context.Context, who correspondent) error {
	u := c.graph.Text(who.account, who.customer, "")
	u.Text = fmt.Sprintf("%s %s asks #%d", who.account.Name, who.customer.ID, u.Number)
	d, err := c.graph.NewDelivery(u)
	if err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	if !c.deliver(ctx, d) {
		return ctx.Err()
	}
	return nil
}

// still waits until no log grows any more, and returns the cluster then.
func (c *cluster) still(ctx context.Context) (*child.Cluster, error) {
	last, _, err := c.ask(ctx)
	for range 100 {
		if err != nil {
			return nil, err
		}
		if pause(ctx, stillFor); ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var now *child.Cluster
		if now, _, err = c.ask(ctx); err == nil {
			if _, grew := grown(last, now); grew == 0 {
				return now, nil
			}
			last = now
		}
	}
	return last, err
}

// stillFor is longer than what follows a message pauses: for the model, for a
// report of delivery.
const stillFor = 500 * time.Millisecond

// grown is the group that applied most between two looks, and how much.
func grown(before, after *child.Cluster) (group, most int) {
	was := map[int]uint64{}
	for _, g := range before.Groups {
		was[g.Group] = g.Applied
	}
	for _, g := range after.Groups {
		if by := int(g.Applied) - int(was[g.Group]); g.Group != child.MetadataGroup && by > most {
			group, most = g.Group, by
		}
	}
	return group, most
}
