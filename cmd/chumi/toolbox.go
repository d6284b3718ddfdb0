package main

import (
	"fmt"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/api"
	"github.com/chumiai/chumi/transport/tools"
)

// buildToolbox builds what carries out the calls of assistants.
func (s *Server) buildToolbox(k actors.Knowledge) error {
	c := s.opt.Config
	for _, host := range c.Tools.Hosts {
		if why := chat.CheckToolHost(host); why != "" {
			return usageError(fmt.Errorf("tools.hosts: %q: %s", clip(host), why))
		}
	}
	var err error
	s.tools, err = tools.New(tools.Options{Documents: s.store, HTTP: s.egress.HTTP(), CheckURL: s.egress.Check, Hosts: c.Tools.Hosts})
	if err != nil {
		return err
	}
	s.workbench = actors.NewWorkbench(actors.WorkbenchOptions{Documents: s.store, Contacts: s.store, Knowledge: k, Remote: s.tools, Logger: s.opt.Log})
	return nil
}

// tooling is what the API does with tools, products and orders.
func (s *Server) tooling() *api.Tooling {
	t, c := s.system.Tools(), s.system.Catalog()
	return &api.Tooling{Tools: t, Servers: t, Secrets: t, Hosts: t, Drops: t, Checks: s.tools, Trials: s.workbench, Products: c, Imports: c, Orders: c}
}
