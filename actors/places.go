package actors

import (
	"slices"

	"github.com/chumiai/chumi/chat"
)

// places are the model calls that may be under way at once. Above the bound calls
// wait, and tenants take turns. A tenant holds at most its share, also while places
// are free: a call may hold its place for a minute, and without that rule a tenant with
// a hundred times the traffic would hold all of them by the time another one comes.
type places struct {
	free, share int
	held        map[chat.TenantID]int
	// waiting holds calls by tenant; order is the tenants that have any.
	waiting map[chat.TenantID][]*call
	order   []chat.TenantID
}

// newPlaces has room for all calls, of which a tenant may hold share; 0 for three
// quarters.
func newPlaces(all, share int) places {
	if share <= 0 {
		share = max(1, all-all/4)
	}
	return places{free: all, share: share, held: make(map[chat.TenantID]int), waiting: make(map[chat.TenantID][]*call)}
}

// take gives c a place, or has it wait for one and returns false.
func (p *places) take(c *call) bool {
	if p.free == 0 || p.held[c.tenant] >= p.share {
		if len(p.waiting[c.tenant]) == 0 {
			p.order = append(p.order, c.tenant)
		}
		p.waiting[c.tenant] = append(p.waiting[c.tenant], c)
		return false
	}
	p.free--
	p.held[c.tenant]++
	return true
}

// pass takes the place of c, which has ended, and returns the call that gets it, nil
// for none.
//
// Invariant: a place is free only while each tenant that waits holds its share.
func (p *places) pass(c *call) *call {
	p.free++
	if p.held[c.tenant]--; p.held[c.tenant] == 0 {
		delete(p.held, c.tenant)
	}
	for i := 0; i < len(p.order); {
		tenant := p.order[i]
		if p.held[tenant] >= p.share {
			i++
			continue
		}
		p.order = slices.Delete(p.order, i, i+1)
		queue := p.waiting[tenant]
		first := queue[0]
		if len(queue) > 1 {
			p.waiting[tenant] = queue[1:]
			p.order = append(p.order, tenant)
		} else {
			delete(p.waiting, tenant)
		}
		if first.ctx.Err() == nil {
			p.free--
			p.held[tenant]++
			return first
		}
	}
	return nil
}

// empty lets nobody wait any more.
func (p *places) empty() {
	clear(p.waiting)
	p.order = nil
}
