# stepmark: `make help` lists what there is.
.DEFAULT_GOAL := help
CARGO ?= cargo
RUBY := $(or $(STEPMARK_RUBY),ruby)
ifdef STEPMARK_RUBY
export RUBY # whose headers the Ruby package's library is built with
endif

# What a cluster's instances run.
INSTANCES := engine handlers-rust ruby python typescript
# What `stepmark bench` builds too, with the same features, so that nothing is built twice.
PROGRAMS := $(addprefix -p stepmark-,harness $(INSTANCES))
# The least that has these features.
STEPMARK := -p stepmark-harness -p stepmark-engine

# Two tests a core: they wait for processes more than for cores.
export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing of servers and languages (apt; root or sudo)
	@sh harness/servers/setup.sh
	@sh engine/bindings/python/setup.sh
	@sh engine/bindings/ruby/setup.sh
	@sh engine/bindings/typescript/setup.sh

bench: setup ## run all tiers on both brokers, and on the ten instances; writes reports/latest
	@for l in python ruby typescript; do sh engine/bindings/$$l/setup.sh --require || exit 2; done
	@echo "building; the first time takes some minutes"
	@$(CARGO) build --quiet --release $(PROGRAMS)
	@target/release/stepmark bench --whole

gate: setup ## judge budgets; BASE=REV: latencies too, in turns; BASELINE=DIR, REPORT=DIR
	@for l in python ruby typescript; do sh engine/bindings/$$l/setup.sh --require || exit 2; done
	@echo "building; the first time takes some minutes"
	@$(CARGO) build --quiet --release $(PROGRAMS)
	@target/release/stepmark gate $(if $(BASE),--base $(BASE)) \
		$(if $(BASELINE),--baseline $(BASELINE)) $(if $(REPORT),--report $(REPORT))

test: setup built ## run all tests on private servers, also in containers (or STEPMARK_TEST_DOCKER=off)
	@sh harness/servers/setup.sh --test
	@$(CARGO) test --workspace
	@$(MAKE) --no-print-directory -j3 --output-sync=target \
		test-report test-backends test-python test-ruby test-typescript

# What tests run, before the first of them.
built:
	@$(CARGO) build --workspace --lib --bins --examples

# Not the folder as a whole: the tests of the harness leave copies of the project in target/.
PYTHON_TESTS := engine/bindings/python/tests scenarios/handlers/python
test-python: built ## run the Python package's and handlers' tests (OWN=NAME: one workflow's)
	@tools=$$(sh engine/bindings/python/setup.sh --tools) && PYTHONPATH=$$tools \
		$${STEPMARK_PYTHON:-python3} -m pytest -q -c engine/bindings/python/pyproject.toml \
		$(or $(OWN:%=scenarios/handlers/python/handlers/own/test_%.py),$(PYTHON_TESTS))

test-ruby: built ## run the Ruby package's and handlers' tests (OWN=NAME: one workflow's)
	@$(RUBY) -w engine/bindings/ruby/tests/all.rb $(OWN:%=scenarios/handlers/ruby/own/%_test.rb)

test-typescript: built ## run the TypeScript package's and handlers' tests (OWN=NAME: one's)
	@sh engine/bindings/typescript/test.sh $(OWN:%=./own/%.test.ts)

test-report: built ## look at report.html in a headless Chromium, and read the other formats
	@tools=$$(sh harness/tests/page/setup.sh) && PYTHONPATH=$$tools \
		$${STEPMARK_PYTHON:-python3} -m pytest -q harness/tests/page

test-backends: built ## test where servers come from: processes, containers, your own
	@$(CARGO) test --workspace --test backends

bindings: ## build stepmark, and the worker core for every language, each into its package
	@$(CARGO) build --quiet --release $(STEPMARK) \
		-p stepmark-python -p stepmark-ruby -p stepmark-typescript
	@cp target/release/libstepmark_python.so engine/bindings/python/stepmark/_native.abi3.so
	@install -D -m 644 target/release/libstepmark_ruby.so engine/bindings/ruby/lib/stepmark/$$( \
		$(RUBY) -e 'print "prebuilds/", RUBY_VERSION[/\d+\.\d+/]')/libstepmark_ruby.so
	@sh engine/bindings/typescript/prebuild.sh target/release/libstepmark_typescript.so

image: ## build the container images of the engine and all workers (TAG=latest)
	@sh engine/bindings/ruby/setup.sh --require
	@$(CARGO) build --quiet --release $(addprefix -p stepmark-,$(INSTANCES))
	@sh deploy/image.sh

lint: setup ## format check, clippy with warnings as errors, docs, GitHub's workflows
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --workspace --all-targets -- -D warnings
	@$(CARGO) clippy --workspace --test backends -- -D warnings
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet
	@sh .github/lint.sh

up: setup ## start servers and a cluster and stay until Ctrl-C
	@$(CARGO) build --quiet --release $(STEPMARK)
	@target/release/stepmark up

doctor: ## tell what this machine has and what is missing
	@$(CARGO) build --quiet --release $(STEPMARK)
	@target/release/stepmark doctor

openapi: ## write engine/openapi.json anew from the code
	@$(CARGO) run --quiet -p stepmark-engine --bin stepmark-orchestrator -- --openapi > openapi.tmp
	@mv openapi.tmp engine/openapi.json

schema: ## write the templates' JSON Schema anew from the code
	@$(CARGO) run --quiet -p stepmark-harness -- workflow schema > schema.tmp
	@mv schema.tmp fixtures/workflow.schema.json

clean: ## remove what was built and the reports of runs
	@$(CARGO) clean
	@rm -rf reports/latest reports/runs

.PHONY: help setup bench gate test built test-python test-ruby test-typescript test-report \
	test-backends bindings image lint up doctor openapi schema clean
