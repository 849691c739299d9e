# Short names for what Meson and the tools do.
#
#   make demo                         set up, build, play a recorded conversation
#   make test                         set up, build, run every test, print coverage
#   make test SAN=address,undefined   the same under sanitizers (or SAN=thread)
#   make test T='unit cli'            some suites only
#   make test-peers                   against a real llama-server and Ollama, which are built once
#   make bench-peers                  benchmarks against it
#
# JOBS, CC, PREFIX, DESTDIR, N (crash), FUZZ_SECONDS and COVERAGE_GOAL may be set.
# Each combination of compiler and sanitizer has a build directory of its own.

JOBS         ?= $(shell nproc 2>/dev/null || echo 2)
SAN          ?=
T            ?=
N            ?= 100
FUZZ_SECONDS ?= 30
PREFIX       ?= /usr/local
# Percent of the lines of src/ that the whole `make test` must reach.
COVERAGE_GOAL ?= 85

comma   := ,
variant := $(if $(filter environment command line,$(origin CC)),-$(notdir $(firstword $(CC))))
variant := $(variant)$(if $(SAN),-$(subst $(comma),-,$(SAN)))
BUILD   := build$(variant)
RELEASE := build-release$(variant)
clang   := $(findstring clang,$(CC))
# Tests run on a build that counts lines, unless sanitizers watch; gcov does not read what
# Clang counts.
TEST    := $(if $(SAN)$(clang),$(BUILD),build-coverage$(variant))

$(BUILD)/build.ninja: options := $(if $(SAN),-Db_sanitize=$(SAN) -Db_lundef=false)
build-coverage$(variant)/build.ninja: options := -Db_coverage=true -Doptimization=1
$(RELEASE)/build.ninja: options := --buildtype=release -Doptimization=2 -Dwerror=false -Dfailpoints=false \
	-Dtests=disabled

.NOTPARALLEL:
.PHONY: setup setup-test demo build test test-peers bench bench-peers fuzz crash rerecord lint install clean

build: setup $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS)

setup:
	@tools/setup $(if $(clang),fuzz)

demo: setup $(BUILD)/build.ninja
	@out=$$(ninja -C $(BUILD) -j $(JOBS) --quiet src/tandem) || { printf '%s\n' "$$out"; exit 1; }
	@TANDEM_HOME="$${TANDEM_HOME:-$(CURDIR)/build/demo}" $(BUILD)/src/tandem demo

setup-test:
	@tools/setup test $(if $(clang),fuzz)

test: setup-test $(TEST)/build.ninja
	@ninja -C $(TEST) -j $(JOBS)
	@tools/run-tests --jobs $(JOBS) --coverage-goal $(COVERAGE_GOAL) $(TEST) $(T)

# Against other people's programs (model servers), which are fetched and built once.
test-peers: setup-test $(TEST)/build.ninja
	@ninja -C $(TEST) -j $(JOBS)
	@tools/peers --jobs $(JOBS) tools/run-tests --jobs $(JOBS) $(TEST) peers

bench: setup $(RELEASE)/build.ninja
	@meson configure $(RELEASE) -Dbench=true
	@ninja -C $(RELEASE) -j $(JOBS)
	@mkdir -p build
	@tools/bench $(RELEASE) build/bench.json

bench-peers: setup $(RELEASE)/build.ninja
	@meson configure $(RELEASE) -Dbench=true
	@ninja -C $(RELEASE) -j $(JOBS)
	@mkdir -p build
	@tools/peers --only llama-server --only smollm2 --jobs $(JOBS) tools/bench $(RELEASE) build/bench-peers.json peers

fuzz:
	@tools/setup fuzz
	@tools/fuzz --seconds $(FUZZ_SECONDS) --jobs $(JOBS)

# Renews recorded prompts; shows what changed.
rerecord: setup $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS) --quiet src/tandem
	@tools/rerecord "$(CURDIR)/$(BUILD)/src/tandem" $(EXAMPLES)

crash: setup-test $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS) src/tandem
	@TANDEM="$(CURDIR)/$(BUILD)/src/tandem" tests/crash/run $(N)

lint: setup-test
	@tools/lint-includes
	@tools/lint

install: setup $(RELEASE)/build.ninja
	@meson configure $(RELEASE) -Dprefix="$$(realpath -m -- "$(PREFIX)")"
	@ninja -C $(RELEASE) -j $(JOBS)
	@meson install -C $(RELEASE) --no-rebuild --quiet

clean:
	rm -rf build build-*

# Once for each directory; Meson configures again by itself when its files change.
%/build.ninja:
	@out=$$(meson setup $* $(options) 2>&1) || { printf '%s\n' "$$out"; exit 1; }
