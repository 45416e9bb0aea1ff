# make help lists what there is. Everything works from a clean clone.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)
# Packages tested at a time; each of them may use all cores.
TEST_PARALLEL ?= 2
TEST_TIMEOUT ?= 15m
FUZZTIME ?= 30s
# Series of Debian's kernels, booted by test-kernels. UPDATE=1 takes the verifier's
# instruction counts for the golden file, there and in the running kernel. PLAN names
# some of the suites: PACKAGE or PACKAGE:TESTS.
KERNELS ?= 6.1 6.12
PLAN ?=
UPDATE ?=

.PHONY: help
help: ## List the targets
	@sed -nE 's/^([a-z][a-z-]*):[^#]*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r t d; do printf '  make %-16s %s\n' "$$t" "$$d"; done

.PHONY: deps
deps: ## Install what running and testing need, where it is missing
	@.ci/prepare test

.PHONY: build
build: ## Build bin/ngfw-agent, bin/ngfw-cloud, bin/ngfw-lab
	@.ci/prepare build
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: run
run: ## Run everything in a lab until interrupted (NGFW_DETACH=1: until make stop)
	@if [ -e .run/lock ] && ! flock -n .run/lock true; then echo 'already running: make stop ends it' >&2; exit 1; fi
	@.ci/prepare run
	@$(MAKE) --no-print-directory build
	@exec bin/ngfw-lab run

.PHONY: stop
stop: ## End what make run started, and remove what is left of it
	@[ -x bin/ngfw-lab ] || $(MAKE) --no-print-directory build
	@exec bin/ngfw-lab stop

.PHONY: test
test: ## Run every check and every test
	@.ci/prepare test
	@$(MAKE) --no-print-directory lint
	@.ci/check-generate
	go test -p $(TEST_PARALLEL) -timeout $(TEST_TIMEOUT) ./...

.PHONY: test-kernels
test-kernels: ## Test data plane and agent in other kernels, under emulation
	@KERNELS='$(KERNELS)' .ci/prepare kernels
	NGFW_KERNELS='$(KERNELS)' NGFW_KERNELS_PLAN='$(value PLAN)' NGFW_KERNELS_UPDATE='$(UPDATE)' go test -count=1 -timeout 240m -v ./lab/kernel

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(git ls-files -z -- '*.go' | xargs -0 -r gofmt -l); if [ -n "$$unformatted" ]; then echo "gofmt -w these: $$unformatted" >&2; exit 1; fi
	go vet ./...
	go tool staticcheck ./...

.PHONY: bench
bench: bench-main bench-dataplane bench-ids bench-analytics ## Run every benchmark

.PHONY: bench-main
bench-main: ## Benchmark the way of a packet, a change and a log row
	@.ci/prepare run
	@$(MAKE) --no-print-directory build
	go run ./lab/bench/main -area main

.PHONY: bench-dataplane
bench-dataplane: ## Benchmark what packets cost the router
	@.ci/prepare run
	@$(MAKE) --no-print-directory build
	go run ./lab/bench/main -area dataplane

.PHONY: bench-ids
bench-ids: ## Benchmark the matcher of intrusion detection rules
	@.ci/prepare run
	@$(MAKE) --no-print-directory build
	go run ./lab/bench/main -area ids

.PHONY: bench-analytics
bench-analytics: ## Benchmark ingest, log, rankings and statistics at ten million rows
	@.ci/prepare run
	@$(MAKE) --no-print-directory build
	go run ./lab/bench/main -area analytics

.PHONY: generate
generate: ## Make again what is generated: API, BPF objects, captures
	@.ci/prepare generate
	go generate ./...

.PHONY: check-generate
check-generate: ## Compare what is generated with what is committed
	@.ci/check-generate

.PHONY: fuzz
fuzz: ## Fuzz every parser for FUZZTIME each (default 30s), and the long forms of random and crash tests
	@.ci/fuzz '$(FUZZTIME)'
