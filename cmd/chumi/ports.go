package main

import (
	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/cmd/chumi/cluster"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/blob"
	"github.com/chumiai/chumi/persistence/knowledge"
	"github.com/chumiai/chumi/transport/api"
	"github.com/chumiai/chumi/transport/edge"
	"github.com/chumiai/chumi/transport/meta"
	"github.com/chumiai/chumi/transport/openai"
	"github.com/chumiai/chumi/transport/tools"
	"github.com/chumiai/chumi/transport/webhook"
)

// Every port and who fills it. The wings never import one another: these lines
// are all that connects them.
var (
	_ actors.Journal      = (*persistence.Store)(nil)
	_ actors.Pairs        = (*persistence.Store)(nil)
	_ actors.Index        = (*persistence.Store)(nil)
	_ actors.Contacts     = (*persistence.Store)(nil)
	_ actors.Documents    = (*persistence.Store)(nil)
	_ actors.Talks        = (*persistence.Views)(nil)
	_ actors.Barrier      = (*persistence.Store)(nil)
	_ actors.Leadership   = (*persistence.Store)(nil)
	_ actors.Elections    = (*persistence.Store)(nil)
	_ actors.Agenda       = (*persistence.Store)(nil)
	_ actors.Directory    = (*persistence.Directory)(nil)
	_ actors.Quarantine   = (*persistence.Quarantine)(nil)
	_ actors.Strikes      = (*persistence.Strikes)(nil)
	_ actors.Graph        = (*meta.Client)(nil)
	_ actors.Media        = (*meta.Client)(nil)
	_ actors.Files        = (*blob.Store)(nil)
	_ actors.Presence     = (*meta.Client)(nil)
	_ actors.Accounts     = (*meta.Client)(nil)
	_ actors.Onboarding   = (*meta.Client)(nil)
	_ actors.Releaser     = (*meta.Client)(nil)
	_ actors.Registry     = (*persistence.Directory)(nil)
	_ actors.Binder       = (*persistence.Directory)(nil)
	_ actors.Portfolios   = (*persistence.Portfolios)(nil)
	_ actors.Sightings    = (*webhook.Sightings)(nil)
	_ actors.Opener       = (*blob.Store)(nil)
	_ actors.Persons      = (*meta.Client)(nil)
	_ actors.Uploads      = (*actors.Library)(nil)
	_ api.Library         = (*actors.Library)(nil)
	_ persistence.Files   = (*blob.Store)(nil)
	_ actors.Model        = (*openai.Client)(nil)
	_ actors.Transcriber  = (*openai.Client)(nil)
	_ actors.Prices       = (*chat.PriceList)(nil)
	_ actors.Clock        = wallClock{}
	_ actors.Toolbox      = (*actors.Workbench)(nil)
	_ actors.Tracer       = (*tracing)(nil)
	_ actors.RemoteTools  = (*tools.Client)(nil)
	_ tools.Documents     = (*persistence.Store)(nil)
	_ actors.Leaders      = (*cluster.Node)(nil)
	_ actors.Peers        = (*cluster.Node)(nil)
	_ actors.Places       = (*cluster.Node)(nil)
	_ actors.Refresher    = (*cluster.Node)(nil)
	_ actors.Texts        = texts{}
	_ actors.Embedder     = (*embedder)(nil)
	_ actors.Knowledge    = (*knowledge.Indexes)(nil)
	_ api.Sources         = (*actors.Sources)(nil)
	_ knowledge.Documents = (*persistence.Store)(nil)
	_ knowledge.Embedder  = (*embedder)(nil)

	_ actors.Models = (*AssistantConfig)(nil)
	_ api.Usage     = (*persistence.Views)(nil)
	_ api.Budgets   = (*actors.Assistants)(nil)
	_ api.Pasts     = (*actors.Assistants)(nil)

	_ webhook.Apps    = (*persistence.Directory)(nil)
	_ webhook.Ingress = (*actors.Ingress)(nil)

	_ edge.AppSecrets  = (*persistence.Directory)(nil)
	_ edge.AppSettings = (*persistence.Directory)(nil)

	_ api.Keys             = (*persistence.Directory)(nil)
	_ api.Views            = (*persistence.Views)(nil)
	_ api.Sends            = (*persistence.Views)(nil)
	_ api.Templates        = (*persistence.Views)(nil)
	_ api.Feed             = (*persistence.Views)(nil)
	_ api.Marks            = (*actors.Ingress)(nil)
	_ api.Commands         = (*actors.Ingress)(nil)
	_ api.Home             = (*cluster.Node)(nil)
	_ api.Channels         = (*actors.Channels)(nil)
	_ api.Onboarding       = (*actors.Channels)(nil)
	_ api.TemplateSync     = (*actors.Channels)(nil)
	_ api.Settings         = (*actors.Channels)(nil)
	_ api.Assistants       = (*actors.Assistants)(nil)
	_ api.AssistantChanges = (*actors.Assistants)(nil)
	_ api.AssistantPlaces  = (*actors.Assistants)(nil)
	_ api.Profiles         = (*meta.Client)(nil)
	_ api.People           = (*persistence.Views)(nil)
	_ api.Links            = (*actors.Ingress)(nil)
	_ api.TrainingPolicy   = (*actors.Training)(nil)
	_ api.Training         = (*actors.Training)(nil)
	_ api.TrainingReports  = (*actors.Training)(nil)
	_ api.Disconnection    = (*actors.Channels)(nil)
	_ api.Tools            = (*actors.Tools)(nil)
	_ api.ToolServers      = (*actors.Tools)(nil)
	_ api.ToolSecrets      = (*actors.Tools)(nil)
	_ api.ToolHosts        = (*actors.Tools)(nil)
	_ api.ToolDrops        = (*actors.Tools)(nil)
	_ api.ToolChecks       = (*tools.Client)(nil)
	_ api.ToolTrials       = (*actors.Workbench)(nil)
	_ api.Products         = (*actors.Catalog)(nil)
	_ api.Imports          = (*actors.Catalog)(nil)
	_ api.Orders           = (*actors.Catalog)(nil)
)
