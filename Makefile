# What people and the CI run. `make` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The newest name comes last: a machine's `python3` is taken when it is new enough.
# Found before .venv/bin stands on PATH, or an old .venv would make the new one.
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	command -v $$python && break; done)
endif

VENV := .venv
# What of pyproject.toml's extras is installed: the CI wants `fuzz`, too, and `make bench`
# is fuller with `peers`.
EXTRAS ?= dev
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
# Linters call one another by name (cython-lint calls pycodestyle).
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

CC ?= cc
CLANG ?= clang
C_FILES := $(wildcard native/include/fastflow/*.h tests/*/*.[ch] benchmarks/*.c)
HEADER_FLAGS := -std=c11 -O2 -Wall -Wextra -Wconversion -Wshadow -Werror -Inative/include
# Each of these that is there checks the headers.
HEADER_COMPILERS ?= gcc clang

PYTEST_ARGS ?=
# Of 10 million packets.
DEMO_SCALE ?= 0.1
SECONDS ?= 60
N ?= 200000
KILLS ?= 1000
SCHEDULES ?= 10000
BENCH_ARGS ?=
UPDATE ?=
SAN_BASE := build/san
FUZZ_DIR := build/fuzz
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
# Debian names them by version.
LLVM_COV ?= $(firstword $(notdir $(wildcard /usr/bin/llvm-cov /usr/bin/llvm-cov-*)))
LLVM_PROFDATA ?= $(subst cov,profdata,$(LLVM_COV))

.PHONY: help venv build demo docs test test-all lint format headers typecheck sanitize \
	fuzz fuzz-coverage differential differential-tshark faults \
	bench bench-scaling bench-questions bench-check instructions sdist-check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' Makefile

venv: $(STAMP) ## make .venv and install fastflow there for development

$(STAMP): pyproject.toml setup.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; say PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'
	touch $@

build: $(STAMP) ## compile what has changed of native/
	$(PY) setup.py --quiet build_ext --inplace --parallel 2
	@# Times of files can lie (copied trees): the hash in the binary does not.
	@$(PY) tests/native_hash.py || $(PY) setup.py --quiet build_ext --inplace --parallel 2 --force
	@$(PY) tests/native_hash.py

# What a report on the third quarter of 2020 shows first: sensors in Japan, Japan's days.
DEMO_QUESTION := --store demo/counts --period 2020-Q3 --tz Asia/Tokyo --sensors JP

demo: build ## make two quarters of captures, reduce them, show and report what the second one has
	rm -rf demo
	fastflow synth tsubame-2020q3 --scale $(DEMO_SCALE) -o demo/captures
	fastflow reduce demo/captures --store demo/counts --sensor '{parent}'
	cp demo/captures/sensors.toml demo/counts
	fastflow top $(DEMO_QUESTION) --by port -n 5
	fastflow top $(DEMO_QUESTION) --by country -n 5
	fastflow events $(DEMO_QUESTION) -n 5
	fastflow trend $(DEMO_QUESTION) --by window -n 3 --where country=JP --where port=445/tcp --every week --measure sources
	fastflow report $(DEMO_QUESTION) --holders demo/captures/holders.csv -o demo/findings.json
	fastflow report --findings demo/findings.json --lang ja -o demo/report-ja.html
	fastflow report --findings demo/findings.json --lang en -o demo/report-en.html --data demo/report-data
	@echo "the reports: demo/report-ja.html and demo/report-en.html; their data: demo/report-data"

docs: build ## write the names of what can be wrong into docs/captures.md
	$(PY) docs/make_names.py

test: build ## run the tests
	$(PY) -m pytest $(PYTEST_ARGS)

test-all: lint headers typecheck test bench-check instructions sanitize fuzz sdist-check ## everything the CI checks

lint: $(STAMP) ## check style and spelling
	@failed=; run() { echo "$$*"; "$$@" || failed=1; }; \
	run ruff check .; \
	run ruff format --check .; \
	run cython-lint native/fastflow; \
	run clang-format --dry-run -Werror $(C_FILES); \
	run codespell --skip='*.csv,*.so,.venv,build,dist,demo,./tests/fuzz/corpus-local'; \
	test -z "$$failed"

format: $(STAMP) ## put the style right where a tool can
	ruff check --fix .
	ruff format .
	clang-format -i $(C_FILES)

headers: ## compile each header alone, with the strictest warnings
	@for compiler in $(HEADER_COMPILERS); do \
		command -v $$compiler >/dev/null || { echo "no $$compiler: left out"; continue; }; \
		for header in native/include/fastflow/*.h; do \
			echo "#include \"fastflow/$$(basename $$header)\"" | \
			$$compiler $(HEADER_FLAGS) -c -o /dev/null -x c - || exit 1; \
		done; \
		echo "$$compiler: each header compiles alone"; \
	done

typecheck: build ## check types: the package, its stubs, what users rely on
	mypy
	$(PY) -m mypy.stubtest $$(cd native/fastflow && for module in _*.pyx; do echo fastflow.$${module%.pyx}; done)

# What only Python and other people's libraries do is no matter of the sanitizers.
NOT_NATIVE := $(wildcard tests/unit/test_store*.py tests/unit/test_events*.py tests/unit/test_report*.py) \
	$(addprefix tests/property/test_,$(addsuffix .py,attacks backscatter schedules store)) \
	$(addprefix tests/unit/test_,$(addsuffix .py,believed_tools contacts days event_ranks explain export \
	holders inputs knowledge rank rdap recorded regions rollup sensors shared silence synth_cells synth_draws \
	tallies trend tsubame tsubame_made))

# A build of its own beside the ordinary one. Modules that are no more must not linger.
sanitize: $(STAMP) ## run unit and property tests under ASan and UBSan
	rm -rf $(SAN_BASE)/lib*/fastflow/*.py
	FASTFLOW_SANITIZE=1 $(PY) setup.py --quiet build --build-base $(SAN_BASE)
	PYTHONPATH="$$(echo $$PWD/$(SAN_BASE)/lib.*)" \
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libstdc++.so.6)" \
	PYTHONMALLOC=malloc ARROW_DEFAULT_MEMORY_POOL=system \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	$(PY) -m pytest tests/unit tests/property $(addprefix --ignore=,$(NOT_NATIVE)) \
		-p no:cacheprovider $(PYTEST_ARGS)

# A program for each tests/fuzz/fuzz_*.c, as a fuzzer or, for coverage, a replay of files.
FUZZ_FLAGS := -std=c11 -g -O1 -Wall -Wextra -Inative/include
FUZZ_SOURCES := $(wildcard tests/fuzz/*.[ch] native/include/fastflow/*.h)

$(FUZZ_DIR)/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_SOURCES)
	mkdir -p $(FUZZ_DIR)
	$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -o $@ $<

$(FUZZ_DIR)/covered_%: tests/fuzz/fuzz_%.c $(FUZZ_SOURCES)
	mkdir -p $(FUZZ_DIR)
	$(CLANG) $(FUZZ_FLAGS) -fprofile-instr-generate -fcoverage-mapping \
		-o $@ $< tests/fuzz/replay.c

fuzz: build $(FUZZ_TARGETS:%=$(FUZZ_DIR)/fuzz_%) ## fuzz for SECONDS=60, shared by all targets
	@targets="$(FUZZ_TARGETS)"; \
	if $(PY) -c 'import atheris'; then targets="$$targets compression"; \
	elif [ -n "$${FASTFLOW_REQUIRE_TOOLS:-}" ]; then exit 1; \
	else echo "no Atheris (make venv EXTRAS=dev,fuzz): compression is left out"; fi; \
	for target in $$targets; do \
		echo "=== $$target"; \
		program=$(FUZZ_DIR)/fuzz_$$target; \
		[ $$target != compression ] || program="$(PY) tests/fuzz/fuzz_compression.py"; \
		mkdir -p tests/fuzz/corpus-local/$$target tests/fuzz/regressions/$$target; \
		$(PY) tests/fuzz/make_seeds.py $(FUZZ_DIR)/seeds/$$target $$target; \
		$$program -max_total_time=$$(( $(SECONDS) / $$(wc -w <<<"$$targets") )) \
			-max_len=4096 -timeout=10 -verbosity=0 -print_final_stats=1 \
			-artifact_prefix=$(FUZZ_DIR)/$$target- tests/fuzz/corpus-local/$$target \
			$(FUZZ_DIR)/seeds/$$target tests/fuzz/regressions/$$target; \
	done

fuzz-coverage: $(FUZZ_TARGETS:%=$(FUZZ_DIR)/covered_%) ## what the fuzzers have reached, by header
	@for target in $(FUZZ_TARGETS); do \
		find $(FUZZ_DIR)/seeds/$$target tests/fuzz/corpus-local/$$target -type f -print0 | \
		LLVM_PROFILE_FILE=$(FUZZ_DIR)/$$target-%p.profraw \
			xargs -0 $(FUZZ_DIR)/covered_$$target 2>$(FUZZ_DIR)/covered.log; \
	done
	$(LLVM_PROFDATA) merge -o $(FUZZ_DIR)/profdata $(FUZZ_DIR)/*.profraw
	rm $(FUZZ_DIR)/*.profraw
	$(LLVM_COV) report -instr-profile=$(FUZZ_DIR)/profdata -show-functions=false \
		$(FUZZ_DIR)/covered_scan $(FUZZ_TARGETS:%=-object $(FUZZ_DIR)/covered_%) native/include

differential: build ## compare N=200000 damaged captures with libpcap
	FASTFLOW_DIFFERENTIAL_CASES=$(N) $(PY) -m pytest -s tests/differential/test_libpcap.py $(PYTEST_ARGS)

differential-tshark: build ## compare every capture of ../shared/corpus with tshark
	FASTFLOW_WHOLE_CORPUS=1 $(PY) -m pytest -s tests/differential/test_tshark_corpus.py $(PYTEST_ARGS)

faults: build ## KILLS=1000 random kill -9 and SCHEDULES=10000 of deliveries, and all faults
	FASTFLOW_KILLS=$(KILLS) FASTFLOW_SCHEDULES=$(SCHEDULES) $(PY) -m pytest tests/faults tests/property/test_schedules.py $(PYTEST_ARGS)

bench: build ## measure beside libpcap and the peers (BENCH_ARGS="--packets 1000000")
	$(PY) benchmarks/run.py $(BENCH_ARGS)

bench-scaling: build ## how the cost grows (BENCH_ARGS="--largest 1e7"; 10^8 take 9 GB)
	$(PY) benchmarks/scaling.py $(BENCH_ARGS)

bench-questions: build ## what questions to a large store take (BENCH_ARGS="--parts 1 --scale 10")
	$(PY) benchmarks/large_store.py $(BENCH_ARGS)

bench-check: build ## run each benchmark once, small: do they still work?
	FASTFLOW_BENCH_PACKETS=20000 $(PY) -m pytest benchmarks/bench_*.py benchmarks/check_suite.py --benchmark-disable $(PYTEST_ARGS)

instructions: build ## count instructions per packet; UPDATE=1 records the budget
	$(PY) benchmarks/instructions.py $(if $(UPDATE),--update)

sdist-check: $(STAMP) ## sdist, wheel from it, install elsewhere, run there
	PYTHON=$(PYTHON) bash .ci/sdist-check

clean: ## remove everything that is built, but not .venv
	rm -rf build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
	rm -rf src/fastflow/*.so src/*.egg-info tests/fuzz/corpus-local
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
