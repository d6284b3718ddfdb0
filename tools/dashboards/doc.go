// Command dashboards writes the dashboards of Grafana, deploy/grafana/dashboards, from
// the lists in this package. Its tests hold them to Grafana's published schema, their
// queries and those of the rules to the language of Prometheus, and all of them to what
// a running engine shows.
//
//	go run ./dashboards ../deploy/grafana/dashboards
package main
