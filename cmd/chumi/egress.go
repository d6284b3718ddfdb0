package main

import (
	"fmt"

	"github.com/chumiai/chumi/transport/egress"
)

// openEgress builds the client of every URL that a tenant gave.
func (s *Server) openEgress() error {
	var err error
	s.egress, err = egress.New(egress.Options{Inside: s.opt.Config.Egress.InsideHosts, UserAgent: "chumi/" + release + " (+https://github.com/chumiai/chumi)"})
	if err != nil {
		return usageError(fmt.Errorf("egress.inside_hosts: %w", err))
	}
	s.onClose(func() error { s.egress.Close(); return nil })
	return nil
}
