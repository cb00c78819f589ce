# One profile (release) and one target folder for everything, so that librdkafka and OpenSSL are
# built once.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
BROKER ?= mock

PROGRAMS := $(notdir $(wildcard bins/*))
SCRIPTS := $(wildcard scripts/kafka-run scripts/kgen-check scripts/kloop)
# Kafka's tools that kprod and kcons are when they are called so.
PROD_LINKS := kafka-console-producer kafka-verifiable-producer
CONS_LINKS := kafka-console-consumer kafka-verifiable-consumer
LINKS ?=
BUILT := $(abspath $(or $(CARGO_TARGET_DIR),target))/release

runner-mock := kmock
runner-kafka := kafka-run
RUNNER := $(or $(runner-$(BROKER)),$(error BROKER is mock or kafka, not $(BROKER)))
DEMOS := numbers logs running values fraud query host offsets
# Those that need transactions, which the mock broker does not have.
DEMOS_ON_KAFKA := store copies restore
DEMO = RUNNER=$(RUNNER) PATH="$(BUILT):$(CURDIR)/scripts:$$PATH" scripts/demo

.PHONY: help
help: ## lists the targets
	@echo 'make TARGET; BROKER=kafka runs a demo on a real Kafka and not on the mock broker'
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16 | sed 's/^/  /'

.PHONY: build
build: ## builds the programs into target/release
	$(CARGO) build --release --workspace --bins

.PHONY: demo
demo: build ## ranks the hottest pages live for 20 s, and checks the ranking
	$(DEMO)/pages.sh

.PHONY: demo-numbers
demo-numbers: build ## sums random numbers every 2 s, each acknowledged by the broker
	$(DEMO)/numbers.sh

.PHONY: demo-logs
demo-logs: build ## counts ERROR lines in windows of 30 s every 10 s, of a topic and a socket
	$(DEMO)/logs.sh

.PHONY: demo-running
demo-running: build ## counts the levels of a log, said every 2 s, also while nothing comes
	$(DEMO)/running.sh

.PHONY: demo-values
demo-values: build ## counts each value of the last 6 s, every 2 s
	$(DEMO)/values.sh

.PHONY: demo-fraud
demo-fraud: build ## finds cards that are used too often at one machine, as they are used
	$(DEMO)/fraud.sh

.PHONY: demo-query
demo-query: build ## answers a query with WHERE, GROUP BY, HAVING and ORDER BY over a topic
	$(DEMO)/query.sh

.PHONY: demo-host
demo-host: build ## measures this machine, with the 95th percentile of its CPU
	$(DEMO)/host.sh

.PHONY: demo-offsets
demo-offsets: build ## reads exactly what is new, by offsets of one's own; needs sqlite3
	$(DEMO)/offsets.sh

.PHONY: demo-store
demo-store: build ## sums into SQLite, exactly once though the pipe is killed; on a real Kafka
	$(DEMO)/store.sh

.PHONY: demo-copies
demo-copies: build ## 1, 2 and 4 copies of a pipe, one is killed, one more comes; on a real Kafka
	$(DEMO)/copies.sh

.PHONY: demo-restore
demo-restore: build ## how long a state of a million keys takes to come back; on a real Kafka
	$(DEMO)/restore.sh

.PHONY: demos
demos: demo $(DEMOS:%=demo-%) ## runs all demos; those on a real Kafka alone with BROKER=kafka
ifeq ($(BROKER),kafka)
	$(MAKE) --no-print-directory $(DEMOS_ON_KAFKA:%=demo-%)
endif

.PHONY: test
test: build kafka-there ## runs all tests; those on a real Kafka need Java 17 and Maven
	$(CARGO) test --release --workspace
	@$(MAKE) --no-print-directory kafka-there

# Again as it was: KPIPE_STORM_SEED=N make storm; only some pipes: KPIPE_STORM_PIPES=each,tumble.
.PHONY: storm
storm: build ## kills and stops programs and brokers at random for ten minutes: nothing may be lost
	$(CARGO) test --release -p kpipe-tests --test kafka_storm -- --ignored --nocapture \
	    --test-threads 1

# Said before the tests and after them, so that nobody takes a part for the whole.
.PHONY: kafka-there
kafka-there: ## says whether the tests on a real Kafka can run here
	@jars() { [[ -n "$${KAFKA_HOME-}" ]] || command -v mvn; }; \
	if { command -v java && jars; } >/dev/null; then exit; fi; \
	echo '**** No Java, or neither KAFKA_HOME nor Maven: the tests on a real Kafka are SKIPPED.' >&2; \
	[[ -z "$${KPIPE_REQUIRE_KAFKA-}" ]]

.PHONY: golden
golden: build ## writes what the programs give now into the goldens, for git diff to judge
	TRYCMD=overwrite $(CARGO) test --release --workspace --test goldens

.PHONY: bench
bench: build ## measures the programs and their peers side by side
	PATH="$(BUILT):$(CURDIR)/scripts:$$PATH" scripts/bench

.PHONY: bench-cores
bench-cores: ## measures the cores alone: reading rows, windows, rankings
	$(CARGO) bench -p kpipe-bench

# What counts where the code has been, as cargo-fuzz sets it. All of it is stable Rust, which has no
# AddressSanitizer; but there is no unsafe code in what is fuzzed.
FUZZ_SECONDS ?= 600
FUZZ_FLAGS := --cfg fuzzing -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
    -C llvm-args=-sanitizer-coverage-inline-8bit-counters \
    -C llvm-args=-sanitizer-coverage-pc-table -C llvm-args=-sanitizer-coverage-trace-compares \
    -C debug-assertions
FUZZ_TARGETS := $(basename $(notdir $(wildcard fuzz/targets/*.rs)))
FUZZED := $(dir $(BUILT))fuzz
HOST = $(shell $(CARGO) -vV | sed -n 's/^host: //p')

.PHONY: fuzz
fuzz: $(FUZZ_TARGETS:%=fuzz-%) ## feeds the cores at random, each for FUZZ_SECONDS (600)

# With --target, the flags are not those of what builds the build.
.PHONY: fuzz-coverage
fuzz-coverage: ## builds the fuzz targets so that they see where the code has been
	RUSTFLAGS='$(FUZZ_FLAGS)' $(CARGO) build --release --manifest-path fuzz/Cargo.toml \
	    --target-dir $(FUZZED) --target $(HOST)

fuzz-%: fuzz/targets/%.rs fuzz-coverage
	mkdir -p $(FUZZED)/corpus/$*
	nice $(FUZZED)/$(HOST)/release/fuzz-$* -max_total_time=$(FUZZ_SECONDS) \
	    -rss_limit_mb=2048 -timeout=60 -print_final_stats=1 -artifact_prefix=$(FUZZED)/$*- \
	    $(addprefix -dict=,$(wildcard fuzz/$*.dict)) $(FUZZED)/corpus/$* 2>&1 | \
	    grep -v REDUCE

.PHONY: fuzz-build
fuzz-build: ## builds the fuzz targets with what builds the programs, and runs each for a moment
	$(CARGO) build --release --manifest-path fuzz/Cargo.toml --target-dir $(dir $(BUILT))
	for target in $(FUZZ_TARGETS); do \
	    said=$$($(BUILT)/fuzz-$$target -runs=1000 -seed=1 -artifact_prefix=$(dir $(BUILT)) 2>&1) || \
	        { echo "$$said"; exit 1; }; \
	done

.PHONY: lint
lint: ## checks the form of the code: rustfmt, clippy, shellcheck where it is installed
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --release --workspace --all-targets -- --deny warnings
	@if command -v shellcheck >/dev/null; then \
	    grep -rlE '^#!.*\b(ba)?sh$$' scripts .ci | xargs shellcheck; \
	else echo 'shellcheck is not installed: the scripts are not checked' >&2; fi

# Where things go, and where completions are looked for.
BIN := $(DESTDIR)$(PREFIX)/bin
SHARE := $(DESTDIR)$(PREFIX)/share
COMPLETIONS := bash-completion/completions/% zsh/site-functions/_% fish/vendor_completions.d/%.fish
DOCS := $(foreach form,man/man1/%.1 $(COMPLETIONS),$(PROGRAMS:%=$(form)))

.PHONY: install
install: docs $(LINKS:%=install-links) ## installs all under PREFIX (/usr/local), below DESTDIR
	install -d '$(BIN)'
	install -m 755 $(PROGRAMS:%='$(BUILT)/%') $(SCRIPTS) '$(BIN)'
	for file in $(DOCS); do install -D -m 644 "$(BUILT)/share/$$file" "$(SHARE)/$$file"; done

.PHONY: install-links
install-links: ## installs the names of Kafka's tools too, as make install LINKS=1 does
	install -d '$(BIN)'
	link() { \
	    to=$$1; shift; \
	    for name; do \
	        at="$(BIN)/$$name"; \
	        if [[ ( -e $$at || -L $$at ) && $$(readlink "$$at") != "$$to" ]]; then \
	            echo "$$at: is there already, and is not ours" >&2; exit 1; \
	        fi; \
	        ln -sf "$$to" "$$at"; \
	    done; \
	}; link kprod $(PROD_LINKS); link kcons $(CONS_LINKS)

.PHONY: docs
docs: build ## writes man pages and completions into target/release/share
	'$(BUILT)/gendocs' '$(BUILT)/share'

.PHONY: uninstall
uninstall: ## takes away what install put under PREFIX
	for link in $(PROD_LINKS:%=%:kprod) $(CONS_LINKS:%=%:kcons); do \
	    at="$(BIN)/$${link%:*}"; \
	    [[ $$(readlink "$$at") != "$${link#*:}" ]] || rm -f "$$at"; \
	done
	rm -f $(PROGRAMS:%='$(BIN)/%') $(SCRIPTS:scripts/%='$(BIN)/%') $(DOCS:%='$(SHARE)/%')

.PHONY: record
record: build ## records what the README shows, docs/*.svg, from real runs; needs script(1)
	export PATH="$(BUILT):$(CURDIR)/scripts:$$PATH"; \
	scripts/record docs/pages.svg 72 18 kmock -q user-behavior:3 -- scripts/record.d/pages.sh; \
	scripts/record docs/monitor.svg 72 14 scripts/record.d/monitor.sh

# The programs are those of `build`, with their man pages and completions. cargo-deb compresses no
# man page that lies among what was built.
DEB ?= $(dir $(BUILT))debian/
DEB_FLAGS ?=

.PHONY: deb
deb: docs ## makes a Debian package of all, in target/debian; needs cargo-deb
	gzip -9nkf '$(BUILT)'/share/man/man1/*.1
	$(CARGO) deb --quiet --package kpipe-gendocs --no-build $(DEB_FLAGS) --output '$(DEB)'

.PHONY: clean
clean: ## takes away everything that was built
	$(CARGO) clean
