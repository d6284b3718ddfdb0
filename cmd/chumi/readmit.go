package main

import (
	"context"
	"time"

	"github.com/chumiai/chumi/chat"
)

const (
	// readmitPage bounds the quarantined items held in memory at once.
	readmitPage = 256
	// readmitEvery is how often the quarantine is looked through without a reason:
	// a change of the directory may have come before an item it made room for.
	readmitEvery = 30 * time.Second
)

// readmission delivers quarantined updates again, whenever the directory changes
// and now and then, until ctx ends. The node that leads an app's group does it.
func (s *Server) readmission(ctx context.Context) {
	tick := time.NewTicker(readmitEvery)
	defer tick.Stop()
	for {
		changed := s.directory.Changed()
		if err := s.readmit(ctx); err != nil && ctx.Err() == nil {
			// A full disk must not keep reads and export from being served.
			s.opt.Log.Warn("not all quarantined updates could be taken in; they are tried again", "err", err)
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// readmit delivers quarantined updates again whose account has a channel by
// now. An item leaves the quarantine only when it is durable in its tenant; one
// that is there already is absorbed as a duplicate.
func (s *Server) readmit(ctx context.Context) error {
	quarantine := s.directory.Quarantine()
	for _, app := range s.directory.Apps() {
		taken := 0
		for after, more := "", s.store.Epoch(quarantine.Group(app.ID)) != 0; more; {
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
				if err := s.takeIn(ctx, app.ID, items[i].ID, in); err != nil {
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

// takeIn delivers one item and then removes it.
func (s *Server) takeIn(ctx context.Context, app chat.AppID, item string, in *chat.Inbound) error {
	ctx, cancel := context.WithTimeout(ctx, s.opt.Config.Edge.DeliverTimeout)
	defer cancel()
	if err := s.system.Ingress().Deliver(ctx, app, []chat.Inbound{*in}); err != nil {
		return err
	}
	return s.directory.Quarantine().Remove(ctx, app, item)
}
