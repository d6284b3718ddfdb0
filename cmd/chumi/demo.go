package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/chumiai/chumi/chat"
)

// What the demo business sells and says.
var (
	//go:embed demo/assistant.yaml
	demoAssistantFile []byte
	//go:embed demo/knowledge.md
	demoKnowledge []byte
	//go:embed demo/catalog.json
	demoCatalog []byte
)

const (
	// demoOrder is the one order there is; its customer is who the page writes as.
	demoOrder    = "1042"
	demoCustomer = "4915550100001"
)

// demoAssistant is the assistant that the demo business declares.
func demoAssistant() (declaredAssistant, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(demoAssistantFile, &doc); err != nil {
		return declaredAssistant{}, fmt.Errorf("the demo's assistant: %w", err)
	}
	return declared("demo/assistant.yaml", doc.Content[0])
}

// furnish gives the demo business its products, an order and its knowledge. Doing it
// again changes nothing.
func (s *Server) furnish(ctx context.Context) error {
	var items []chat.CatalogItem
	if err := json.Unmarshal(demoCatalog, &items); err != nil {
		return fmt.Errorf("the demo's catalog: %w", err)
	}
	const by = "dev"
	if _, err := s.system.Catalog().Put(ctx, demoTenant, items, by); err != nil {
		return err
	}
	if err := s.system.Catalog().PutOrder(ctx, demoTenant, chat.OrderRecord{ID: demoOrder, Phone: demoCustomer,
		Status: "on its way", ETA: "tomorrow", Total: 6800, Currency: "EUR"}, by); err != nil {
		return err
	}
	_, _, err := s.system.Sources().Add(ctx, demoTenant, "demo-knowledge", chat.Given{Kind: chat.SourceText, Title: demoName,
		Body: demoKnowledge, MIME: "text/markdown", Filename: "shop.md"})
	return err
}
