# Paramedic's commands. An exported CARGO_TARGET_DIR is honoured throughout.

CARGO ?= cargo
# dev builds in less than half the time of release; `make demo PROFILE=release` for the other.
PROFILE ?= dev
export CARGO_TARGET_DIR ?= $(CURDIR)/target
# sshd, dockerd and debootstrap live in the sbin folders, which Debian leaves out of an ordinary user's PATH.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

.PHONY: help demo test setup lint adversary crash bench fuzz chaos chaos-scenarios chaos-clean image clean toolchain

help:
	@echo 'make demo             build and show the main job; installs nothing, needs no input'
	@echo 'make test             install what the tests need (Debian packages), then run them all'
	@echo 'make lint             formatting, clippy with warnings as errors'
	@echo 'make adversary        a hostile, an obedient and a credulous model at full size (ADVERSARY_CALLS, ADVERSARY_SEED)'
	@echo 'make crash            kill servers at every point and at random, fail and damage their disk (CRASH_KILLS, CRASH_MINUTES)'
	@echo 'make bench            print how fast it is'
	@echo 'make fuzz             feed every parser with made-up inputs, FUZZ_SECONDS=60 each (docs/fuzzing.md)'
	@echo 'make chaos            kill a unit on a host with a real systemd and watch it come back (root)'
	@echo 'make chaos-scenarios  run chaos/scenarios/*.yaml'
	@echo 'make image            docker build -t paramedic .'
	@echo 'make chaos-clean      forget the cached host image of make chaos'
	@echo 'make clean            cargo clean'

toolchain:
	@command -v $(firstword $(CARGO)) >/dev/null || { echo 'cargo is missing: install a Rust toolchain, https://rustup.rs' >&2; exit 69; }
	@command -v cc >/dev/null || { echo 'a C compiler is missing: apt-get install gcc libc6-dev' >&2; exit 69; }

demo: toolchain
	$(CARGO) build --locked --profile $(PROFILE)
	$(CARGO) run --locked --quiet --profile $(PROFILE) -- demo

setup:
	scripts/setup-tests.sh

test: setup toolchain
	scripts/run-tests.sh

lint: toolchain
	$(CARGO) fmt --all --check
	rustfmt --check --edition 2024 fuzz/src/main.rs
	$(CARGO) clippy --locked --all-targets --all-features -- -D warnings

bench: setup toolchain
	$(CARGO) bench --locked --bench '*'

# Another seed each time; it is printed, and the same one tries the same again.
ADVERSARY_CALLS ?= 1000000
ADVERSARY_SEED ?= $(shell date +%s)

adversary: toolchain
	PARAMEDIC_ADVERSARY_CALLS=$(ADVERSARY_CALLS) PARAMEDIC_ADVERSARY_SEED=$(ADVERSARY_SEED) \
	  $(CARGO) nextest run --release --locked --features failpoints --profile adversary --no-capture -E 'test(adversary::)'

# Another seed each time; it is printed, and the same one tries the same again.
CRASH_KILLS ?= 10000
CRASH_MINUTES ?= 60
CRASH_SERVERS ?= 4
CRASH_FLIPS ?= 2000
CRASH_SEED ?= $(shell date +%s)

crash: setup toolchain
	PARAMEDIC_CRASH_KILLS=$(CRASH_KILLS) PARAMEDIC_CRASH_MINUTES=$(CRASH_MINUTES) PARAMEDIC_CRASH_SERVERS=$(CRASH_SERVERS) \
	  PARAMEDIC_CRASH_FLIPS=$(CRASH_FLIPS) PARAMEDIC_CRASH_SEED=$(CRASH_SEED) PARAMEDIC_CRASH_TABLE=1 \
	  $(CARGO) nextest run --release --locked --features failpoints --profile crash --no-capture -E 'test(crash::)'

fuzz: setup toolchain
	scripts/fuzz.sh

chaos: setup toolchain
	$(CARGO) build --locked --profile $(PROFILE)
	python3 chaos/fleet/run.py --binary "$(CARGO_TARGET_DIR)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))/paramedic"

chaos-scenarios: toolchain
	$(CARGO) build --locked --profile $(PROFILE)
	$(CARGO) run --locked --quiet --profile $(PROFILE) -- chaos run chaos/scenarios

chaos-clean:
	python3 chaos/fleet/run.py --forget

image:
	docker build -t paramedic .

clean:
	$(CARGO) clean
