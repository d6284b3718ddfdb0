package persistence_test

import (
	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/persistence"
)

// The store is what the actors ask for.
var (
	_ actors.Journal    = (*persistence.Store)(nil)
	_ actors.Index      = (*persistence.Store)(nil)
	_ actors.Contacts   = (*persistence.Store)(nil)
	_ actors.Barrier    = (*persistence.Store)(nil)
	_ actors.Agenda     = (*persistence.Store)(nil)
	_ actors.Elections  = (*persistence.Store)(nil)
	_ actors.Leadership = (*persistence.Store)(nil)
)
