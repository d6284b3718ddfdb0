# Two commands do everything on a machine with Go: `make run` and `make test`.
# Bare `make` prints the targets.

GO      ?= go
BIN     := bin
VERSION ?= dev
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS := -s -w -X main.release=$(VERSION) $(if $(COMMIT),-X main.commit=$(COMMIT))
BUILD    = CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)'

# Tests that cut the power of a store, kill processes or simulate clusters on one
# goroutine, thousands of times. The race detector would make them ten times
# slower and find nothing in them: they look for what is on disk.
CRASH := Crash|PowerCut|Kill|Simulator
CRASHING = $$(grep -rlE '^func Test[A-Za-z0-9_]*($(CRASH))' --include='*_test.go' . | xargs -n1 dirname | sort -u)

.DEFAULT_GOAL := help
.PHONY: help run build test race lint gofmt vet gen verify verify-gen verify-mod verify-deploy torture faults nemesis bench hotpath peers test-peers retrieval fuzz e2e screenshot alerts cluster clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## build, start the engine with both simulators, print the address of the page
	$(BIN)/chumi dev

build: ## build bin/chumi
	@mkdir -p $(BIN)
	$(BUILD) -o $(BIN)/chumi ./cmd/chumi

test: vet ## vet and all tests; with the race detector where a C compiler works
	@if $(MAKE) -s has-cc 2>/dev/null; then \
		echo "$(GO) test -race -skip '$(CRASH)' ./..."; \
		CGO_ENABLED=1 $(GO) test -race -timeout 20m -skip '$(CRASH)' ./... && \
		echo "$(GO) test -run '$(CRASH)'" $(CRASHING) && \
		CGO_ENABLED=0 $(GO) test -timeout 20m -run '$(CRASH)' $(CRASHING) ; \
	else \
		echo "no working C compiler: the tests run without the race detector"; \
		CGO_ENABLED=0 $(GO) test -timeout 20m ./... ; \
	fi

race: ## all tests but the crash suites with the race detector; fails without a C compiler
	@$(MAKE) -s has-cc 2>/dev/null || { echo "make race needs a C compiler (gcc or clang); make test runs without one" >&2; exit 1; }
	CGO_ENABLED=1 $(GO) test -race -timeout 20m -skip '$(CRASH)' ./...

# has-cc succeeds when the C compiler Go would use can build a program.
.PHONY: has-cc
has-cc:
	@t=$$(mktemp -d) && echo 'int main(void){return 0;}' > $$t/a.c && \
	$$(CGO_ENABLED=1 $(GO) env CC) -o $$t/a $$t/a.c >/dev/null 2>&1; r=$$?; rm -rf $$t; exit $$r

gofmt:
	@out=$$(gofmt -l $$(find . -name '*.go' -not -path './.*/*')); \
	if [ -n "$$out" ]; then echo "not formatted; run gofmt -w on:" >&2; echo "$$out" >&2; exit 1; fi

vet:
	CGO_ENABLED=0 $(GO) vet ./...

lint: gofmt vet ## format, vet, the rules of the house, and golangci-lint where installed
	$(GO) test ./internal/lint
	@if command -v golangci-lint >/dev/null 2>&1; then golangci-lint run; \
	else echo "golangci-lint is not installed: its checks run in CI only"; fi

gen: ## write the generated code anew (needs protoc)
	@command -v protoc >/dev/null 2>&1 || { echo "make gen needs protoc" >&2; exit 1; }
	@mkdir -p $(BIN)
	$(GO) build -o $(BIN)/protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go
	PATH="$(CURDIR)/$(BIN):$$PATH" $(GO) generate ./...

verify: gofmt verify-mod verify-gen lint ## what a change must pass: format, modules, generated code, lint

verify-mod:
	$(GO) mod tidy -diff
	$(GO) mod verify
	cd bench/peers && $(GO) mod tidy -diff && $(GO) mod verify

# The version of protoc stands in a comment and may differ between machines.
GENERATED = find . -name '*.pb.go' | sort | xargs cat | grep -v 'protoc  *v'
verify-gen:
	@if ! command -v protoc >/dev/null 2>&1; then echo "protoc is not installed: the generated code is not compared"; exit 0; fi; \
	t=$$(mktemp -d) && $(GENERATED) > $$t/before && $(MAKE) -s gen && $(GENERATED) > $$t/after && \
	cmp -s $$t/before $$t/after; r=$$?; rm -rf $$t; \
	[ $$r = 0 ] || { echo "the generated code was stale; commit what make gen wrote" >&2; exit 1; }

verify-deploy: ## hold manifests against the types of Kubernetes, and run what they start as processes
	$(GO) test ./deploy
	cd tools && $(GO) mod tidy -diff && $(GO) mod verify && $(GO) vet ./... && $(GO) test ./...

cluster: build ## run three nodes and one simulator on this machine, in ./cluster
	tools/cluster.sh $(BIN)/chumi cluster

KILLS ?= 2000
TURN_KILLS ?= 200
torture: build ## kill the engine KILLS times (default 2000) and simulated turns TURN_KILLS times (default 200) at every step and compare what it promised with what it kept
	CGO_ENABLED=0 $(GO) test -tags planted -run TestSimulator_NoticesPlantedToolBugs ./persistence/replica
	CGO_ENABLED=0 $(GO) test -tags planted -run TestSelfCheck_NoticesPlantedBugs ./persistence
	CHUMI_TAKEOVERS=10000 CGO_ENABLED=0 $(GO) test -count 1 -v -run TestSystem_TakeOverAtRandomMoments ./actors
	CHUMI_TURN_KILLS=$(TURN_KILLS) CGO_ENABLED=0 $(GO) test -count 1 -timeout 120m -v -run TestSimulator_TurnsSurviveEveryStep ./persistence/replica
	$(MAKE) -s $(BIN)/chumi-torture
	$(BUILD) -tags 'torture planted' -o $(BIN)/chumi-planted ./cmd/chumi
	CGO_ENABLED=0 $(GO) test -tags torture -run TestPoison_ ./cmd/chumi
	$(BIN)/chumi torture --kills $(KILLS) --binary $(BIN)/chumi-torture --planted $(BIN)/chumi-planted

.PHONY: $(BIN)/chumi-torture
$(BIN)/chumi-torture:
	@mkdir -p $(BIN)
	$(BUILD) -tags torture -o $(BIN)/chumi-torture ./cmd/chumi

TRIALS ?= 5
faults: build $(BIN)/chumi-torture ## harm disk, memory and clock below the engine TRIALS times each (default 5); some need Linux and root
	CGO_ENABLED=0 $(GO) test -tags torture ./metrics/failpoint ./persistence -run 'SetWall|Standing|Spoiled|Sweep'
	$(BIN)/chumi torture --faults all --trials $(TRIALS) --report $(BIN)/faults.md

NEMESIS ?= 5m
nemesis: build ## torture a cluster of three nodes for NEMESIS (default 5m); needs Linux, root, ip and nft
	$(BIN)/chumi torture --nodes 3 --duration $(NEMESIS)

# FLAGS are for chumi bench: --quick for 5 minutes, --readme README.md to write the table.
FLAGS ?=
bench: build peers ## measure the engine, bare handlers and peers in the same run, at most 25 minutes; FLAGS=--quick takes 5
	$(BIN)/chumi bench --within 25m --parts headline,reply,memory,peers --bounds pebble,pebble-tuned --warm 1s --measure 4s \
		--out $(BIN)/bench $$(test ! -x $(BIN)/chumi-peers || echo --peers $(BIN)/chumi-peers) $(FLAGS)

# What a message costs, part by part. benchstat tells what is noise; it is run in the
# version named here, or as BENCHSTAT says, and where it is not to be had the figures
# are written all the same.
COUNT ?= 6
BENCHSTAT ?= $(GO) run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
HOTPATH = CGO_ENABLED=0 $(GO) test -run '^$$' -benchmem -count $(COUNT)
hotpath: ## measure allocations and processor time of a message COUNT times (default 6), and compare with docs/hotpath.txt
	@mkdir -p $(BIN)
	{ $(HOTPATH) -bench '^BenchmarkHotPath$$' -benchtime 50000x ./cmd/chumi && \
	  $(HOTPATH) -bench '^Benchmark(Append|Bare)$$' -benchtime 50000x ./persistence && \
	  $(HOTPATH) -bench '^Benchmark(Deliver_Hop|Handler|Decode_Text|Verify|Step_Message)$$' ./actors ./chat ./transport/meta ./transport/webhook; } > $(BIN)/hotpath.txt
	@$(BENCHSTAT) docs/hotpath.txt $(BIN)/hotpath.txt || echo "benchstat is not to be had: $(BIN)/hotpath.txt is not compared" >&2

# The peers are a module of their own; without its libraries the engine is measured
# against bare handlers alone.
peers: ## build bin/chumi-peers, what the engine is measured against
	@mkdir -p $(BIN) && rm -f $(BIN)/chumi-peers
	cd bench/peers && CGO_ENABLED=0 $(GO) build -trimpath -o ../../$(BIN)/chumi-peers . || echo "the peers could not be built and are left out" >&2

test-peers: ## vet and test the peers that are installed
	cd bench/peers && CGO_ENABLED=0 $(GO) vet ./... && CGO_ENABLED=0 $(GO) test -count 1 ./...

retrieval: ## print how much of the retrieval set a search finds, and what is answered from it
	$(GO) test ./persistence/knowledge -run 'TestRetrieval' -v -count=1
	$(GO) test ./cmd/chumi -run 'TestGrounded' -v -count=1

FUZZTIME ?= 20s
fuzz: ## run every fuzz target for FUZZTIME (default 20s)
	@for f in $$(grep -rl '^func Fuzz' --include='*_test.go' .); do \
		for n in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$f); do \
			echo "$$(dirname $$f) $$n"; \
			$(GO) test -run '^$$' -fuzz "^$$n\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$(dirname $$f) || exit 1; \
		done; \
	done

e2e: ## drive the page of chumi dev in a headless chromium, where there is one
	@if command -v chromium >/dev/null 2>&1 || command -v chromium-headless-shell >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1; then \
		$(GO) test -tags e2e -count 1 -run E2E -v ./cmd/chumi; \
	else echo "no chromium: the page is not tested"; fi

screenshot: ## take docs/page.webp, the page of chumi dev with an answered conversation, anew
	@d=$$(mktemp -d) && E2E_SHOTS=$$d $(GO) test -tags e2e -count 1 -run E2E_PageOfDev ./cmd/chumi && mv $$d/whatsapp.webp docs/page.webp; r=$$?; rm -rf $$d; exit $$r

alerts: ## kill a node of three under a real Prometheus with the shipped rules: its alerts come and go
	CGO_ENABLED=0 $(GO) test -tags alerts -count 1 -timeout 20m -run TestAlerts_ -v ./cmd/chumi

clean: ## remove what was built
	rm -rf $(BIN)
