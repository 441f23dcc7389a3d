# Thin: the build is CMake (CMakePresets.json). `make help` lists what there is.
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 30
ARGS ?=
# The end-to-end tests that `make test-e2e` and `make test-mongo` run.
E2E ?= tests/e2e/*.test.mjs
export PARLEY_CCACHE := $(shell command -v ccache 2>/dev/null)
export CTEST_OUTPUT_ON_FAILURE := 1
# Memory errors must end the process that has them, also when a test starts it as a server of its own.
export ASAN_OPTIONS ?= detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=0
export UBSAN_OPTIONS ?= print_stacktrace=1
export TSAN_OPTIONS ?= halt_on_error=1:suppressions=$(CURDIR)/tests/tsan.supp

C_FILES = $(shell find src tests bench -name node_modules -prune -o -name '*.[ch]' -print)
NODE_TEST = node --test --test-concurrency=2 --test-reporter=spec $(E2E)
CTEST = ctest --test-dir $(1) -j $(JOBS) --no-tests=error

# Configures when needed and builds: $(call build,preset,folder,targets)
define build
	@[ -f $(2)/build.ninja ] || cmake --preset $(1) >/dev/null
	@cmake --build $(2) -j $(JOBS) $(if $(3),--target $(3))
endef

.PHONY: all parley run client test test-unit test-threads test-e2e test-mongo check coverage bench fuzz format format-check \
	lint install deps check-deps check-deps-test clean help
.DEFAULT_GOAL := all

all: parley ## build build/parley

parley: check-deps
	$(call build,release,build,parley)

# The official client's bundles, where a front end's page may load them from: of `make client`, or of the tests.
CLIENT_BUNDLES = $(firstword $(wildcard web/node_modules/socket.io-client/dist tests/node_modules/socket.io-client/dist))

run: parley ## build and start the server with its embedded defaults (ARGS="--port 9000")
	@$(if $(SOCKETIO_CLIENT),,$(if $(CLIENT_BUNDLES),SOCKETIO_CLIENT=$(CLIENT_BUNDLES))) exec build/parley serve $(ARGS)

client: web/node_modules/.package-lock.json ## fetch the official Socket.IO client, to be served and installed (needs npm)

test: test-unit test-threads test-e2e ## everything: units and contracts (ASan, UBSan, TSan), checks, end to end

test-unit: check-deps-test tests/node_modules/.package-lock.json
	$(call build,debug,build-debug)
	$(call CTEST,build-debug)

test-threads: check-deps-test tests/node_modules/.package-lock.json
	$(call build,tsan,build-tsan,threaded_tests)
	$(call CTEST,build-tsan) -R '^(unit/(base|loop|net|server|client|store|llm|speech|chat|api)|contract)/'

test-e2e: check-deps-test tests/node_modules/.package-lock.json
	$(call build,debug,build-debug,parley)
	PARLEY_BIN=build-debug/parley $(NODE_TEST)

test-mongo: check-deps-test tests/node_modules/.package-lock.json ## the end-to-end tests on MongoDB (E2E="tests/e2e/5*": those)
	$(call build,debug,build-debug,parley)
	PARLEY_BIN=build-debug/parley PARLEY_TEST_STORE=mongo node tests/e2e/support/with_mongo.mjs $(NODE_TEST)

check: ## layers, lengths, banned calls, documentation
	@python3 tools/check_layers.py
	@python3 tools/check_lengths.py
	@python3 tools/check_banned.py
	@python3 tools/check_docs.py
	@python3 -m unittest discover -q -s tools/tests

coverage: check-deps-test tests/node_modules/.package-lock.json ## run the tests instrumented and print what they reach
	$(call build,coverage,build-coverage)
	@find build-coverage -name '*.gcda' -delete
	$(call CTEST,build-coverage) -LE checks
	PARLEY_BIN=build-coverage/parley node --test --test-concurrency=2 --test-reporter=dot tests/e2e/*.test.mjs
	@tools/coverage.sh build-coverage

bench: check-deps-test bench/node_modules/.package-lock.json parley ## measure beside the peers (bench/run.mjs)
	$(call build,check,build-check,benches)
	@node bench/run.mjs $(ARGS)

fuzz: check-deps-test ## run each fuzz target for FUZZ_SECONDS (30)
	$(call build,fuzz,build-fuzz,fuzzers)
	@tools/fuzz.sh build-fuzz $(FUZZ_SECONDS) $(JOBS)

format: ## rewrite the C sources in the project's format
	@clang-format -i $(C_FILES)

format-check:
	@clang-format --dry-run -Werror $(C_FILES)

lint: check-deps-test ## clang-tidy over src/
	@[ -f build-debug/build.ninja ] || cmake --preset debug >/dev/null
	@tools/lint.sh build-debug $(JOBS)

install: parley ## install to $(DESTDIR)$(PREFIX), stripped
	@cmake --install build --strip --prefix $(PREFIX)

deps: ## install the Debian packages that building and testing need
	@tools/deps.sh test

check-deps:
	@tools/deps.sh build

check-deps-test:
	@tools/deps.sh test

%/node_modules/.package-lock.json: %/package-lock.json
	npm ci --prefix $* --no-audit --no-fund --loglevel=error
	@touch $@

clean: ## remove everything that was built
	@rm -rf build build-debug build-tsan build-fuzz build-check build-coverage coverage

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
