package lint

import (
	"path"
	"sort"
	"strings"
	"testing"
)

const module = "github.com/chumiai/chumi"

// wall says what the production code of one package may import. Packages below
// it share the wall unless they have their own.
type wall struct {
	pkg string
	// inside lists packages of this module, without the module path.
	inside []string
	// outside lists third-party import paths; what is below a path is granted too.
	outside []string
	// barred lists standard packages it must not use; one that ends in /... with
	// all below it.
	barred []string
}

const (
	actor      = "github.com/asynkron/protoactor-go/actor"
	streams    = "github.com/asynkron/protoactor-go/eventstream"
	pebble     = "github.com/cockroachdb/pebble/v2"
	fasthttp   = "github.com/valyala/fasthttp"
	fastjson   = "github.com/valyala/fastjson"
	openai     = "github.com/sashabaranov/go-openai"
	prom       = "github.com/prometheus/client_golang/prometheus"
	failsafe   = "github.com/failsafe-go/failsafe-go"
	rate       = "golang.org/x/time/rate"
	tink       = "github.com/tink-crypto/tink-go/v2"
	raft       = "go.etcd.io/raft/v3"
	protobuf   = "google.golang.org/protobuf"
	histogram  = "github.com/HdrHistogram/hdrhistogram-go"
	koanf      = "github.com/knadh/koanf"
	cobra      = "github.com/spf13/cobra"
	cmp        = "github.com/google/go-cmp/cmp"
	argon2     = "golang.org/x/crypto/argon2"
	yaml       = "go.yaml.in/yaml/v3"
	jsonschema = "github.com/santhosh-tekuri/jsonschema/v6"
	mcp        = "github.com/modelcontextprotocol/go-sdk/mcp"
	minio      = "github.com/minio/minio-go/v7"
	otel       = "go.opentelemetry.io/otel"
)

// walls is the map of the house. A library is granted to the one package that
// needs it, by a line here and a record in docs/decisions.
var walls = []wall{
	// Only constants of failpoint reach chat: in a normal build there is nothing.
	{pkg: "chat", inside: []string{"metrics/failpoint"}, barred: []string{"net/...", "os/...", "context", "sync/...", "math/rand/...", "crypto/rand"}},

	{pkg: "metrics", outside: []string{prom}},
	{pkg: "metrics/failpoint"},

	{pkg: "actors", inside: []string{"chat", "metrics", "metrics/failpoint", "actors/mailpb"},
		outside: []string{actor, streams, rate, failsafe, "google.golang.org/protobuf/proto"}, barred: []string{"net", "net/http/...", "os/..."}},
	{pkg: "actors/mailpb", outside: []string{protobuf}},

	{pkg: "persistence", inside: []string{"chat", "metrics", "metrics/failpoint", "persistence/recordpb", "persistence/seal"},
		outside: []string{pebble, protobuf, argon2}, barred: []string{"net/..."}},
	{pkg: "persistence/replica", inside: []string{"chat", "metrics", "metrics/failpoint", "persistence", "persistence/recordpb"},
		outside: []string{pebble, protobuf, raft}, barred: []string{"net/..."}},
	{pkg: "persistence/recordpb", outside: []string{protobuf}},
	// The conformance suite is imported by tests only.
	{pkg: "persistence/persistencetest", inside: []string{"chat", "metrics", "persistence", "persistence/replica", "persistence/seal"},
		outside: []string{pebble, cmp}},
	// Of bleve only what makes terms of a text.
	{pkg: "persistence/knowledge", inside: []string{"chat"},
		outside: []string{"github.com/blevesearch/bleve/v2/analysis", "github.com/blevesearch/bleve/v2/registry"}, barred: []string{"net/...", "os/..."}},
	{pkg: "persistence/seal", inside: []string{"chat"}, outside: []string{tink}},
	{pkg: "persistence/backup", inside: []string{"chat", "persistence", "persistence/blob", "persistence/seal"}, outside: []string{pebble + "/vfs"}},
	// The bucket of tests is imported by tests only.
	{pkg: "persistence/blob/blobtest"},
	{pkg: "persistence/blob", inside: []string{"chat", "persistence/seal"}, outside: []string{pebble + "/vfs", minio}},

	{pkg: "transport"},
	{pkg: "transport/edge", inside: []string{"chat", "metrics", "metrics/failpoint"}, outside: []string{fasthttp, prom}},
	{pkg: "transport/webhook", inside: []string{"chat", "metrics", "metrics/failpoint", "transport/meta"}, outside: []string{fasthttp}},
	{pkg: "transport/api", inside: []string{"chat", "metrics", "metrics/failpoint"}, outside: []string{fasthttp, rate}},
	{pkg: "transport/console", inside: []string{"chat", "metrics"}, outside: []string{fasthttp}},
	{pkg: "transport/meta", inside: []string{"chat", "metrics", "metrics/failpoint"}, outside: []string{fastjson, failsafe}},
	// The recorded payloads are read by tests only.
	{pkg: "transport/meta/metatest"},
	{pkg: "transport/peer", inside: []string{"chat", "metrics"},
		outside: []string{actor, "github.com/asynkron/protoactor-go/remote", "google.golang.org/grpc", "go.etcd.io/raft/v3/raftpb", protobuf, fasthttp}},
	{pkg: "transport/tools", inside: []string{"chat"}, outside: []string{mcp, jsonschema}},
	{pkg: "transport/tools/toolstest"},
	{pkg: "transport/egress", inside: []string{"chat"}},
	{pkg: "transport/extract", inside: []string{"chat"}, outside: []string{"golang.org/x/net/html", "github.com/ledongthuc/pdf"}},
	{pkg: "transport/openai", inside: []string{"chat", "metrics", "metrics/failpoint"}, outside: []string{openai, failsafe, jsonschema, fastjson}},

	// The simulators import nothing of what they imitate: a shared mistake would
	// cancel out.
	{pkg: "transport/meta/metasim"},
	{pkg: "transport/openai/openaisim"},

	// The bench knows the engine only through its sockets and its commands.
	{pkg: "bench", inside: []string{"bench", "metrics/failpoint", "transport/meta/metasim", "transport/openai/openaisim"},
		outside: []string{fasthttp, pebble, histogram}},
	{pkg: "bench/linear", outside: []string{"github.com/anishathalye/porcupine"}},

	{pkg: "cmd/chumi", inside: []string{"*"}, outside: []string{koanf, cobra, yaml, prom, fasthttp, otel}},
	{pkg: "cmd/chumi/cluster", inside: []string{"*"}, outside: []string{actor, fasthttp, "google.golang.org/protobuf/proto"}},
}

// granted reports whether a list of import paths covers an import.
func granted(grants []string, imported string) bool {
	for _, g := range grants {
		if g == "*" || g == imported || strings.HasPrefix(imported, g+"/") {
			return true
		}
	}
	return false
}

func isBarred(bars []string, imported string) bool {
	for _, b := range bars {
		all, below := strings.CutSuffix(b, "/...")
		if imported == all || below && strings.HasPrefix(imported, all+"/") {
			return true
		}
	}
	return false
}

// wallOf returns the most specific wall of a package.
func wallOf(pkg string) (wall, bool) {
	for p := pkg; p != "."; p = path.Dir(p) {
		for _, w := range walls {
			if w.pkg == p {
				return w, true
			}
		}
	}
	return wall{}, false
}

func TestWalls(t *testing.T) {
	for _, f := range production(t) {
		w, ok := wallOf(f.pkg)
		if !ok {
			t.Errorf("%s: package %s has no wall; add a line to walls in internal/lint/walls_test.go that says what it may import", f.name, f.pkg)
			continue
		}
		for _, imported := range f.imports() {
			inside, isOurs := strings.CutPrefix(imported, module+"/")
			switch {
			case isOurs && (inside == "cmd" || strings.HasPrefix(inside, "cmd/")) && !strings.HasPrefix(inside, f.pkg+"/"):
				t.Errorf("%s: imports %s; cmd is imported by nobody: move what is needed into the wing that owns it", f.name, inside)
			case isOurs:
				if !grantedInside(w, inside) {
					t.Errorf("%s: %s must not import %s; declare an interface where it is used and pair it in cmd/chumi/ports.go", f.name, f.pkg, inside)
				}
			case !strings.Contains(strings.Split(imported, "/")[0], "."):
				if isBarred(w.barred, imported) {
					t.Errorf("%s: %s must not import %s; pass the value in from outside", f.name, f.pkg, imported)
				}
			case !granted(w.outside, imported):
				t.Errorf("%s: %s must not import %s; a library belongs to one package: grant it there in walls, with a record in docs/decisions", f.name, f.pkg, imported)
			}
		}
	}
}

// grantedInside is granted, but only for exactly the packages named: a grant of
// "metrics" is no grant of "metrics/failpoint", and a grant of
// "transport/meta" none of its simulator. The bench is one package in parts.
func grantedInside(w wall, imported string) bool {
	for _, g := range w.inside {
		if g == "*" || g == imported || g == "bench" && strings.HasPrefix(imported, "bench/") {
			return true
		}
	}
	return false
}

func TestWalls_EachWallStands(t *testing.T) {
	have := map[string]bool{}
	for _, f := range production(t) {
		have[f.pkg] = true
	}
	var gone []string
	for _, w := range walls {
		if !have[w.pkg] {
			gone = append(gone, w.pkg)
		}
	}
	sort.Strings(gone)
	if len(gone) > 0 {
		t.Errorf("walls names packages that do not exist: %s; remove their lines", strings.Join(gone, ", "))
	}
}

func TestPorts_AtMostThreeMethods(t *testing.T) {
	for _, f := range production(t) {
		if path.Base(f.name) != "ports.go" {
			continue
		}
		for name, methods := range f.interfaces() {
			if methods > 3 {
				t.Errorf("%s: interface %s has %d methods; three at most: split it by what its caller does", f.name, name, methods)
			}
		}
	}
}
