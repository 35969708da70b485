# Needs git, make and, on a Debian without Go, root. What else a target needs, it
# installs: Debian packages, Go among them, by test/install-deps, which wants
# root, and tools into ./bin.

GO       ?= go
# A Go that is older than go.mod wants fetches the toolchain that it names.
export GOTOOLCHAIN ?= auto
BIN      := $(CURDIR)/bin
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
# Source control is asked once, above: go build refuses a checkout that another
# user owns.
BUILD    := CGO_ENABLED=0 $(GO) build -buildvcs=false -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
FUZZTIME ?= 30s
IMAGE    ?= adit

GOLANGCI_LINT_VERSION := v2.15.0
GOLANGCI_LINT         := $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION)

.DEFAULT_GOAL := help

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | \
		while IFS='|' read -r name text; do printf '  %-16s %s\n' "$$name" "$$text"; done

.PHONY: run
run: build ## build, and serve (as root): writes a configuration if there is none; ARGS="-public NAME"
	$(BIN)/adit up $(ARGS)

.PHONY: toolchain
toolchain: # a Go that is new enough
	@GO=$(GO) test/install-deps build

.PHONY: build
build: toolchain ## build the static binary bin/adit
	$(BUILD) -o $(BIN)/adit ./cmd/adit

.PHONY: test
test: check real ## everything that a change must pass (as root; some 75 minutes on two cores)

.PHONY: check
check: lint unit race emulated ## lint, vet, all tests that need no peers, the race detector (as root: some make devices)

.PHONY: unit
unit: toolchain # every test that needs no peers
	@test/install-deps unit
	$(GO) test ./...
	$(GO) vet -tags purego ./ipsec/...
	$(GO) test -tags purego ./ipsec/internal/lanes
	$(GO) test -tags thaw -run Thawed ./test/persona
	$(GO) test -tags nocrypto -run NoCrypto ./ipsec/internal/lanes ./internal/app

# Tests that say what this host is, or run the generators, are for the host.
EMULATED := -short -skip 'Generate|LinuxSees'

.PHONY: emulated
emulated: toolchain # on arm64, and on x86 without AES, without AVX, and without SHA: what computes differently there
	@test/install-deps emulated
	CGO_ENABLED=0 GOARCH=arm64 $(GO) build -o /dev/null ./cmd/adit
	CGO_ENABLED=0 GOARCH=arm64 $(GO) vet ./ipsec/... ./internal/packet/... ./internal/netdev/... ./internal/udp/... ./internal/dataplane/...
	CGO_ENABLED=0 GOARCH=arm64 $(GO) test $(EMULATED) -exec qemu-aarch64 ./ipsec/... ./internal/packet/...
	@for cpu in qemu64 Westmere max; do \
		echo "== $$cpu"; \
		CGO_ENABLED=0 GOARCH=amd64 $(GO) test $(EMULATED) -exec "qemu-x86_64 -cpu $$cpu" ./ipsec/internal/lanes || exit 1; \
	done

.PHONY: race
race: toolchain # go vet and go test -race
	@test/install-deps race
	$(GO) vet ./...
	$(GO) vet -tags real ./...
	CGO_ENABLED=1 $(GO) test -race -short ./...

.PHONY: lint
lint: $(GOLANGCI_LINT) ## run golangci-lint
	$(GOLANGCI_LINT) run ./...

$(GOLANGCI_LINT): | toolchain
	@mkdir -p $(BIN)
	GOBIN=$(BIN) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(BIN)/golangci-lint $@

.PHONY: real
real: toolchain ## tests against unmodified peers (as root): a Linux client in its own kernel, FreeRADIUS, Docker
	@test/install-deps real
	$(GO) test -tags real -count=1 -p 1 -timeout 85m ./test/real/... ./test/docker/...

.PHONY: soak
soak: toolchain ## the long variants of the tests, then minutes of fuzzing a target (as root; hours)
	@test/install-deps real
	ADIT_TEST_SOAK=1 $(GO) test -tags real -count=1 -p 1 -timeout 12h ./test/real/... ./test/docker/...
	ADIT_TEST_SOAK=1 $(GO) test -count=1 -timeout 2h -skip RandomSteps ./test/persona/...
	ADIT_TEST_SOAK=1 CGO_ENABLED=1 $(GO) test -race -count=1 -timeout 2h -run RandomSteps ./test/persona
	$(MAKE) fuzz FUZZTIME=10m

.PHONY: fuzz
fuzz: toolchain ## fuzz every target for FUZZTIME (30s)
	@# What goroutines do is never the same twice, so that inputs look interesting that
	@# are not: little time for making them shorter.
	@grep -rlE '^func Fuzz' --include='*_test.go' . | sort | while read -r file; do \
		grep -oE '^func Fuzz[A-Za-z0-9_]*' "$$file" | while read -r _ name; do \
			echo "== $$(dirname "$$file") $$name"; \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$(dirname "$$file")" </dev/null || exit 1; \
		done || exit 1; \
	done

.PHONY: bench
bench: toolchain ## measure, beside other servers: tables, out/bench.json, docs/bench.svg (as root; 20 minutes; ARGS=-quick: 3, and no chart)
	@test/install-deps bench
	$(GO) build -o $(BIN)/bench ./test/cmd/bench
	exec $(BIN)/bench -json out/bench.json -svg docs/bench.svg $(ARGS)

.PHONY: siege
siege: toolchain ## attack the server, and print what that costs honest clients (as root; half an hour; ARGS="-quick -rows REGEXP")
	@test/install-deps siege
	$(GO) build -o $(BIN)/siege ./test/cmd/siege
	exec $(BIN)/siege $(ARGS)

.PHONY: cover
cover: toolchain ## write out/cover.html
	@mkdir -p out
	$(GO) test -coverprofile out/cover.out -coverpkg ./... ./...
	$(GO) tool cover -func out/cover.out | tail -1
	$(GO) tool cover -html out/cover.out -o out/cover.html

.PHONY: docker
docker: ## build the container image
	docker build --build-arg VERSION=$(VERSION) -t $(IMAGE) .

.PHONY: docker-prebuilt
docker-prebuilt: build ## build it of bin/adit, without a network
	docker build -f deploy/prebuilt.Dockerfile -t $(IMAGE) .

.PHONY: clean
clean: ## remove what was built
	rm -rf bin out
