# stepmark: `make help` lists what there is.
.DEFAULT_GOAL := help
CARGO ?= cargo

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing of PostgreSQL and RabbitMQ (apt; root or sudo)
	@sh harness/servers/setup.sh

bench: setup ## run the tiers on both brokers, alone and 64 at once, checked; writes reports/latest
	@echo "building; the first time takes some minutes"
	@$(CARGO) build --quiet --release -p stepmark-harness
	@target/release/stepmark bench --broker both --concurrency 1 --concurrency 64

test: ## run all tests on private servers, also in containers (or STEPMARK_TEST_DOCKER=off)
	@sh harness/servers/setup.sh --test
	@$(CARGO) test --workspace

image: ## build the engine's container images (BASE=debian:12-slim, TAG=latest)
	@$(CARGO) build --quiet --release -p stepmark-engine -p stepmark-handlers-rust
	@sh deploy/image.sh

lint: ## format check, clippy with warnings as errors, docs
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --workspace --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet

up: setup ## start servers and a cluster and stay until Ctrl-C
	@$(CARGO) build --quiet --release -p stepmark-harness
	@target/release/stepmark up

doctor: ## tell what this machine has and what is missing
	@$(CARGO) run --quiet --release -p stepmark-harness -- doctor

openapi: ## write engine/openapi.json anew from the code
	@$(CARGO) run --quiet -p stepmark-engine --bin stepmark-orchestrator -- --openapi > openapi.tmp
	@mv openapi.tmp engine/openapi.json

schema: ## write the templates' JSON Schema anew from the code
	@$(CARGO) run --quiet -p stepmark-harness -- workflow schema > schema.tmp
	@mv schema.tmp fixtures/workflow.schema.json

clean: ## remove what was built and the reports of runs
	@$(CARGO) clean
	@rm -rf reports/latest reports/runs

.PHONY: help setup bench test image lint up doctor openapi schema clean
