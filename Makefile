# Everything a developer or an operator who tries gopherd needs. `make` alone lists the targets.
#
# PROFILE=dev (default) or release. `make run` uses dev too: it starts after about half the build time and
# shares what `make test` compiled; measure with PROFILE=release.

PROFILE ?= dev
TARGET  := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
BIN     := $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
RUN     := $(CURDIR)/target/run
FUZZ_SECONDS ?= 60
FUZZ_SHORT_SECONDS ?= 120
# Of those that `make matrix` boots, the ones that `make test` does: the oldest, and the oldest with what it lacks.
KERNELS ?= 5.10 6.1
C_SOURCES = $(shell find bpf/include probes \( -name '*.bpf.c' -o -name '*.h' \) -not -path '*/target/*')
BENCH ?= full
CRITERION_full  := --warm-up-time 1 --measurement-time 3
CRITERION_short := --warm-up-time 0.1 --measurement-time 0.3 --sample-size 10
# Where rustup puts cargo, for shells that did not read its profile, and where bootstrap.sh unpacks servers and
# their tools; last, so that PATH decides.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(CURDIR)/target/tools/usr/bin

.DEFAULT_GOAL := help
.PHONY: help run test soak bench matrix fmt lint deny check-package check-fresh release rpm rpm-vm deb check-reproducible prove-release image fuzz fuzz-short clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

run: ## install what is missing, build, start the daemon in the foreground under target/run
	@packaging/bootstrap.sh run
	cargo build --locked --profile $(PROFILE) --package gopherd --bins
	@packaging/try.sh $(BIN) $(RUN)

# `cargo test` builds the programs too; a `cargo build` of its own would compile every dependency whose features the
# tests widen a second time, OpenSSL and librdkafka among them.
test: ## install what is missing, then every check and every test; what CI runs
	@packaging/bootstrap.sh test
	@$(MAKE) --no-print-directory lint deny check-package
	@PROFILE=$(PROFILE) tests/run.sh
	@$(MAKE) --no-print-directory fuzz-short
	@PROFILE=$(PROFILE) tests/matrix/run.sh $(KERNELS)

SOAK_KILLS ?= 100
SOAK_SECONDS ?= 86400
soak: ## what grows in SOAK_SECONDS (a day) of work; before it delivery under faults: SOAK_KILLS=100 kills, a broker away for a minute
	@packaging/bootstrap.sh test
	cargo test --locked --profile $(PROFILE) --workspace --no-run
	PROPTEST_CASES=1000 cargo test --locked --profile $(PROFILE) --workspace --lib delivery::spool
	GOPHERD_E2E_KILLS=$(SOAK_KILLS) GOPHERD_E2E_OUTAGE=60 cargo test --locked --profile $(PROFILE) --workspace --test delivery -- --nocapture
	cargo build --locked --release --workspace --bins
	GOPHERD_BIN_DIR=$(TARGET)/release SOAK_SECONDS=$(SOAK_SECONDS) cargo test --locked --profile $(PROFILE) --workspace --bench soak

matrix: ## the root tests in VMs with Linux 5.10, 6.1, 6.12 and the newest; one table (downloads the kernels)
	@packaging/bootstrap.sh test
	@PROFILE=$(PROFILE) tests/matrix/run.sh

# Everything is built first, so that nothing compiles beside a measurement. The benches of functions bring a daemon
# with their own features along: the last build, which has nothing to compile, puts the product in its place again.
FUNCTIONS := --package gopherd --package probes --bench '*'
PROCESS   := --package gopher-e2e --bench process
bench: ## functions, then the daemon as a process: each limit with its verdict (BENCH=short: a minute, rougher)
	@packaging/bootstrap.sh bench
	cargo build --locked --release --workspace --bins
	cargo bench --locked $(FUNCTIONS) --no-run
	cargo bench --locked $(PROCESS) --no-run
	@export BENCH_SINCE=$$(date +%s) BENCH=$(BENCH); \
	cargo bench --locked $(FUNCTIONS) -- --noplot $(CRITERION_$(BENCH)) && \
	cargo build --locked --release --workspace --bins && \
	cargo bench --locked $(PROCESS)

fmt: ## format the Rust and the C
	cargo fmt --all
	clang-format -i $(C_SOURCES)

lint: ## formatting, clippy without a warning, shell scripts
	cargo fmt --all --check
	clang-format --dry-run -Werror $(C_SOURCES)
	cargo clippy --locked --profile $(PROFILE) --workspace --all-targets -- -D warnings
	shellcheck -x .ci/run packaging/*.sh packaging/*/*.sh packaging/deb/* tests/*.sh tests/matrix/*.sh bpf/vmlinux/*.sh

deny: ## licences, bans and sources of the dependencies
	cargo deny --locked check --hide-inclusion-graph bans licenses sources
	@echo "deny: advisories NOT checked here (their database is fetched from the network): cargo deny check advisories"

check-package: ## the unit's exposure and syntax, the spec
	@packaging/check.sh

check-fresh: ## prove `make run` and `make test` in a fresh Debian root (as root; about 2 GiB under a temporary folder)
	packaging/fresh-root.sh

release: ## the programs for glibc 2.31 and newer, stripped, in target/package (as root; builds in a Debian 11 root)
	@packaging/bootstrap.sh package
	@packaging/release.sh $(TARGET)

rpm: release ## gopherd and gopherd-debuginfo as rpm, in target/package
	@packaging/rpm.sh $(TARGET)
	rpmlint --config packaging/rpm/rpmlint.toml $(TARGET)/package/*.rpm

rpm-vm: rpm deb ## the rpm's life in an emulated machine with systemd: install, use, upgrade, erase; the deb's in short (about 5 minutes)
	@packaging/rpm-vm.sh $(TARGET)

deb: release ## the same as deb
	@packaging/deb.sh $(TARGET)

check-reproducible: ## build rpm, debuginfo and deb twice and compare their bytes (as root; twice as long as make rpm)
	@packaging/bootstrap.sh package
	@packaging/check-reproducible.sh $(TARGET)

prove-release: deb ## start the deb's daemon in a Debian 11 root that has nothing else
	@packaging/prove-release.sh $(TARGET)

IMAGE_FLAGS ?=
image: release ## container image gopherd:latest, with podman or docker (IMAGE_FLAGS='--build-arg BASE=…')
	@packaging/image.sh $(TARGET) $(IMAGE_FLAGS)

fuzz: ## each fuzz target for FUZZ_SECONDS=60 (needs a nightly toolchain and g++; installs cargo-fuzz)
	@command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	@for target in $$(cargo +nightly fuzz list); do \
		found=fuzz/target/corpus/$$target; mkdir -p $$found; \
		cargo +nightly fuzz run "$$target" $$found fuzz/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

fuzz-short: ## every fuzz target on the stable toolchain, two minutes together (FUZZ_SHORT_SECONDS=120)
	GOPHERD_FUZZ_SECONDS=$(FUZZ_SHORT_SECONDS) cargo test --locked --profile $(PROFILE) --workspace --test fuzz -- --nocapture

clean: ## remove what was built and what `make run` left
	cargo clean
