package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
)

// released is closed once a restored node may act; nil when it may at once.
func (s *Server) released(ctx context.Context) <-chan struct{} {
	if _, held := s.directory.Hold(); !held {
		return nil
	}
	s.opt.Log.Warn("this node " + s.held())
	released := make(chan struct{})
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			changed := s.directory.Changed()
			if _, held := s.directory.Hold(); !held {
				s.opt.Log.Info("this node was let act: what it owes is taken up")
				close(released)
				return
			}
			select {
			case <-changed:
			case <-watching.Done():
				return
			}
		}
	}()
	s.onClose(func() error { stop(); <-ended; return nil })
	return released
}

// held says that the node was restored and sends nothing yet, "" when that is not so.
func (s *Server) held() string {
	h, held := s.directory.Hold()
	if !held {
		return ""
	}
	return "was restored from backup " + h.Backup + " on " + h.Since.UTC().Format(time.RFC3339) +
		": it takes webhooks, sends nothing and starts no turn until chumi restore --confirm"
}

// heldFor says why nothing is sent for a tenant, "" when it is.
func (s *Server) heldFor(t chat.TenantID) string {
	if s.directory.Arrivals()[t] {
		return "was imported: it takes webhooks, sends nothing and starts no turn until chumi tenant confirm"
	}
	return s.held()
}

// arrived names the tenants that were imported and send nothing yet, "" for none.
func (s *Server) arrived() string {
	var waiting []string
	all := s.directory.Arrivals()
	for _, t := range slices.Sorted(maps.Keys(all)) {
		if all[t] {
			waiting = append(waiting, string(t))
		}
	}
	if len(waiting) == 0 {
		return ""
	}
	return "tenants that were imported, or are being, send nothing until chumi tenant confirm: " + strings.Join(waiting[:min(len(waiting), namedMax)], ", ")
}
