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
DEMO_PACKETS ?= 1000000
SECONDS ?= 60
N ?= 200000
BENCH_ARGS ?=
SAN_BASE := build/san
FUZZ_DIR := build/fuzz

.PHONY: help venv build demo docs test test-all lint format headers typecheck sanitize \
	fuzz differential bench bench-check sdist-check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' Makefile

venv: $(STAMP) ## make .venv and install fastflow there for development

$(STAMP): pyproject.toml setup.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; say PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

build: $(STAMP) ## compile what has changed of native/
	$(PY) setup.py --quiet build_ext --inplace --parallel 2
	@# Times of files can lie (copied trees): the hash in the binary does not.
	@$(PY) tests/native_hash.py || $(PY) setup.py --quiet build_ext --inplace --parallel 2 --force
	@$(PY) tests/native_hash.py

demo: build ## make two captures, reduce them, show the tables
	rm -rf demo
	fastflow synth load --kind scan --packets $(DEMO_PACKETS) -o demo/captures/sensor-1
	fastflow synth load --kind scan --packets $$(( ($(DEMO_PACKETS) + 1) / 2 )) --seed 1 -o demo/captures/sensor-2
	fastflow reduce demo/captures --store demo/counts --sensor '{parent}'
	fastflow top --store demo/counts --by port
	fastflow top --store demo/counts --by country
	fastflow top --store demo/counts --by signature

docs: build ## write the names of what can be wrong into docs/captures.md
	$(PY) docs/make_names.py

test: build ## run the tests
	$(PY) -m pytest $(PYTEST_ARGS)

test-all: lint headers typecheck test bench-check sanitize fuzz sdist-check ## everything the CI checks

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

# A build of its own beside the ordinary one. Modules that are no more must not linger.
sanitize: $(STAMP) ## run unit and property tests under ASan and UBSan
	rm -rf $(SAN_BASE)/lib*/fastflow/*.py
	FASTFLOW_SANITIZE=1 $(PY) setup.py --quiet build --build-base $(SAN_BASE)
	PYTHONPATH="$$(echo $$PWD/$(SAN_BASE)/lib.*)" \
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libstdc++.so.6)" \
	PYTHONMALLOC=malloc ARROW_DEFAULT_MEMORY_POOL=system \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	$(PY) -m pytest tests/unit tests/property -p no:cacheprovider $(PYTEST_ARGS)

$(FUZZ_DIR)/fuzz_scan: tests/fuzz/fuzz_scan.c $(wildcard native/include/fastflow/*.h)
	mkdir -p $(FUZZ_DIR)
	$(CLANG) -std=c11 -g -O1 -Wall -Wextra -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=undefined -Inative/include -o $@ $<

fuzz: $(STAMP) $(FUZZ_DIR)/fuzz_scan ## fuzz the scanner and the tally for SECONDS=60
	$(PY) tests/fuzz/make_seeds.py $(FUZZ_DIR)/seeds
	mkdir -p tests/fuzz/corpus-local
	$(FUZZ_DIR)/fuzz_scan -max_total_time=$(SECONDS) -max_len=4096 -timeout=10 \
		-verbosity=0 -print_final_stats=1 -artifact_prefix=$(FUZZ_DIR)/ \
		tests/fuzz/corpus-local $(FUZZ_DIR)/seeds tests/fuzz/regressions

differential: build ## compare N=200000 damaged captures with libpcap
	FASTFLOW_DIFFERENTIAL_CASES=$(N) $(PY) -m pytest -s tests/differential/test_libpcap.py $(PYTEST_ARGS)

bench: build ## measure beside libpcap (BENCH_ARGS="--packets 1000000")
	$(PY) benchmarks/ratios.py $(BENCH_ARGS)

bench-check: build ## run each benchmark once, small: do they still work?
	FASTFLOW_BENCH_PACKETS=20000 $(PY) -m pytest benchmarks/bench_*.py --benchmark-disable $(PYTEST_ARGS)

sdist-check: $(STAMP) ## sdist, wheel from it, install elsewhere, run there
	PYTHON=$(PYTHON) bash .ci/sdist-check

clean: ## remove everything that is built, but not .venv
	rm -rf build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
	rm -rf src/fastflow/*.so src/*.egg-info tests/fuzz/corpus-local
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
