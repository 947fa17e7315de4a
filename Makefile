# stepmark: `make help` lists what there is.
.DEFAULT_GOAL := help
CARGO ?= cargo

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing of servers and languages (apt; root or sudo)
	@sh harness/servers/setup.sh
	@sh engine/bindings/typescript/setup.sh

bench: setup ## run the tiers on both brokers, alone and 64 at once, checked; writes reports/latest
	@echo "building; the first time takes some minutes"
	@$(CARGO) build --quiet --release -p stepmark-harness
	@target/release/stepmark bench --broker both --concurrency 1 --concurrency 64

test: setup ## run all tests on private servers
	@$(CARGO) test --workspace
	@$(MAKE) --no-print-directory test-typescript

test-typescript: # the binding and the scenarios' handlers; built with cargo test's features
	@$(CARGO) build --quiet --workspace --lib --bin stepmark-orchestrator --example servers
	@sh engine/bindings/typescript/test.sh

bindings: ## build the bindings' libraries (release) into their packages
	@$(CARGO) build --quiet --release -p stepmark-typescript
	@sh engine/bindings/typescript/prebuild.sh target/release/libstepmark_typescript.so

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

.PHONY: help setup bench test test-typescript bindings lint up doctor openapi schema clean
