package main

import (
	"context"

	"github.com/chumiai/chumi/chat"
)

// readmitPage bounds the quarantined items held in memory at once.
const readmitPage = 256

// readmit delivers quarantined updates again whose account has a channel by
// now. An item leaves the quarantine only when it is durable in its tenant; one
// that is there already is absorbed as a duplicate.
func (s *Server) readmit(ctx context.Context) error {
	quarantine, ingress := s.directory.Quarantine(), s.system.Ingress()
	for _, app := range s.directory.Apps() {
		taken := 0
		for after, more := "", true; more; {
			items, next, err := quarantine.Pending(app.ID, after, readmitPage)
			if err != nil {
				return err
			}
			for i := range items {
				in := &items[i].Inbound
				if in.Problem != "" {
					continue
				}
				if _, bound := s.directory.Channel(app.ID, in.ChannelKind, in.Account, in.WABA); !bound {
					continue
				}
				if err := ingress.Deliver(ctx, app.ID, []chat.Inbound{*in}); err != nil {
					return err
				}
				if err := quarantine.Remove(ctx, app.ID, items[i].ID); err != nil {
					return err
				}
				taken++
			}
			after, more = next, next != ""
		}
		if taken > 0 {
			s.opt.Log.Info("quarantined updates were taken in", "app", app.ID, "count", taken)
		}
	}
	return nil
}
