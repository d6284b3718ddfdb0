package main

import (
	"encoding/json"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// Sizes on Grafana's grid, which is 24 wide.
const (
	graphWidth, graphHeight   = 12, 8
	numberWidth, numberHeight = 4, 4
	faint                     = 12 // per cent of the area under a line that is filled
)

// text is the dashboard's JSON, as Grafana takes it.
func (b *board) text() ([]byte, error) {
	d := dashboard.NewDashboardBuilder(b.title).Uid(b.uid).Description(b.about).
		Tags([]string{"chumi"}).Timezone("utc").Refresh("30s").Time("now-3h", "now").
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus")).
		WithVariable(dashboard.NewQueryVariableBuilder("instance").Label("Node").
			Datasource(source()).Query(dashboard.StringOrMap{String: new(`label_values(up{job="chumi"}, instance)`)}).
			Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Multi(true).IncludeAll(true).AllValue(".*")).
		Link(dashboard.NewDashboardLinkBuilder("Runbook").Type(dashboard.DashboardLinkTypeLink).
			Url("https://github.com/chumiai/chumi/blob/main/docs/runbook.md").TargetBlank(true)).
		Link(dashboard.NewDashboardLinkBuilder("Dashboards").Type(dashboard.DashboardLinkTypeDashboards).
			Tags([]string{"chumi"}).IncludeVars(true).KeepTime(true))
	for _, r := range b.rows {
		d.WithRow(dashboard.NewRowBuilder(r.title))
		for i := range r.panels {
			d.WithPanel(r.panels[i].builder())
		}
	}
	built, err := d.Build()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.uid, err)
	}
	for i := range built.Panels {
		if p := &built.Panels[i]; p.Panel != nil {
			p.Panel.Id = new(uint32(i + 1))
		} else {
			p.RowPanel.Id = uint32(i + 1)
		}
	}
	text, err := json.MarshalIndent(built, "", "  ")
	return append(text, '\n'), err
}

func source() common.DataSourceRef {
	return common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}
}

func (p *panel) builder() cog.Builder[dashboard.Panel] {
	if p.number {
		return p.stat()
	}
	b := timeseries.NewPanelBuilder().Title(p.title).Description(p.about).Datasource(source()).
		Unit(p.unit).Span(graphWidth).Height(graphHeight).LineWidth(1).ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	if !p.signed {
		b.Min(0)
	}
	if p.stacked {
		b.FillOpacity(faint).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal))
	}
	for i, q := range p.queries {
		b.WithTarget(q.builder(i))
	}
	return b
}

func (p *panel) stat() cog.Builder[dashboard.Panel] {
	b := stat.NewPanelBuilder().Title(p.title).Description(p.about).Datasource(source()).
		Unit(p.unit).Span(numberWidth).Height(numberHeight).GraphMode(common.BigValueGraphModeArea).
		Thresholds(p.thresholds()).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
	for i, q := range p.queries {
		b.WithTarget(q.builder(i))
	}
	return b
}

// thresholds colour a number; one without any is green.
func (p *panel) thresholds() cog.Builder[dashboard.ThresholdsConfig] {
	steps := []dashboard.Threshold{{Color: "green"}}
	if p.warn > 0 {
		steps = append(steps, dashboard.Threshold{Value: new(p.warn), Color: "orange"})
	}
	if p.alarm > 0 {
		steps = append(steps, dashboard.Threshold{Value: new(p.alarm), Color: "red"})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}

func (q *query) builder(i int) cog.Builder[variants.Dataquery] {
	b := prometheus.NewDataqueryBuilder().Expr(q.expr).RefId(string(rune('A' + i))).Range()
	if q.legend != "" {
		b.LegendFormat(q.legend)
	}
	return b
}
