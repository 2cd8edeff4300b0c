# Every command sets itself up: a virtual environment in .venv and a build in place, made once and renewed when what they
# come from changes. Needs Python >= 3.11, a C compiler and make; `make ct` and `make fuzz` also clang and valgrind.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
BUILT := build/.built
SOURCES := setup.py $(shell find csrc -name '*.[ch]' ! -name '_kernels.c') csrc/build_kernels.py $(wildcard keysend_fast/*.pyx keysend_fast/*.pxd keysend_fast/*.h)
C_FILES := $(shell git ls-files 'csrc/*.[ch]' 'keysend_fast/*.h' 'tests/c/*.[ch]' 2>/dev/null)
BENCH ?= onions
INSTALL := $(PY) -m pip install -q --disable-pip-version-check
PYTEST ?= $(PY) -m pytest

.PHONY: help demo test bench bench-save bench-peers interop long lint lint-python lint-c lint-project ct asan fuzz wheel docs clean
help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 22

# ---------------------------------------------------------------- set-up

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is not Python >= 3.11: make PYTHON=..." >&2; exit 1; }
	@command -v cc gcc clang >/dev/null || { echo "no C compiler: install gcc or clang" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The package itself, in place, with what the commands need. Compiles everything.
$(VENV)/.base: pyproject.toml | $(PY)
	$(PYTHON) tools/requirements.py build | xargs $(INSTALL)
	$(INSTALL) --no-build-isolation -e '.[cli,feed,graph]'
	@mkdir -p build && touch $(BUILT) $@

# What one kind of work needs on top: the extra of that name and those it goes with.
$(VENV)/.dev: EXTRAS = test lint arrow nats metrics
$(VENV)/.bench: EXTRAS = bench test
$(VENV)/.docs: EXTRAS = docs
$(VENV)/.dev $(VENV)/.bench $(VENV)/.docs: $(VENV)/.base
	$(PYTHON) tools/requirements.py $(EXTRAS) | xargs $(INSTALL)
	@touch $@

# In a make of its own, because .base may have built just now.
REBUILD = @$(MAKE) --no-print-directory $(BUILT)
$(BUILT): $(SOURCES)
	$(PY) setup.py -q build_ext --inplace
	@mkdir -p build && touch $@

# ---------------------------------------------------------------- use

demo: $(VENV)/.base ## real routes become onions, each recipient claims; a feed's audience pays; a feed that has no routes
	$(REBUILD)
	$(PY) -m keysend_fast demo $(DEMO)
	$(PY) -m keysend_fast stream --listeners 2000 --html build/stream.html $(STREAM)
	$(PY) -m keysend_fast stream podcast-namespace-example.xml --listeners 50

test: $(VENV)/.dev ## the test suite
	$(REBUILD)
	$(PYTEST) -m "not interop and not long and not build" $(TEST)

long: $(VENV)/.dev ## the long forms of tests that have short ones
	$(REBUILD)
	$(PYTEST) -m long $(TEST)

interop: $(VENV)/.dev ## against other implementations; needs cargo and go
	$(REBUILD)
	$(PYTEST) -m interop tests/interop $(TEST)

bench: $(VENV)/.bench ## benchmarks (BENCH=onions, kernels or failures), then the guard against this CPU's baseline
	$(REBUILD)
	$(PY) -m benchmarks $(BENCH)
	$(PY) -m benchmarks.guard

bench-save: $(VENV)/.bench ## the guard's figures, kept as this CPU's baseline
	$(REBUILD)
	$(PY) -m benchmarks.guard --save

bench-peers: $(VENV)/.bench ## side by side with other implementations; needs cargo and go
	$(REBUILD)
	$(PY) -m benchmarks.peers $(PEERS)

# ---------------------------------------------------------------- checks

lint: lint-python lint-c lint-project ## style, types, citations, exported symbols

lint-python: $(VENV)/.dev
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy

lint-c: $(VENV)/.dev
	$(VENV)/bin/clang-format --dry-run -Werror $(C_FILES)

lint-project: $(VENV)/.dev
	$(REBUILD)
	$(PY) tools/make_pxd.py --check
	$(PY) tools/selftest_answers.py --check
	$(PY) tools/check_magic.py
	$(PY) tools/check_citations.py
	$(PY) tools/check_symbols.py
	$(PY) tools/check_paths.py

ct: $(VENV)/.base ## constant time: valgrind and MemorySanitizer watch the kernels
	bash tests/c/ct.sh $(CT)

asan: $(VENV)/.dev ## the test suite on a build with AddressSanitizer and UndefinedBehaviorSanitizer
	bash tools/asan.sh $(ASAN)

fuzz: $(VENV)/.base ## libFuzzer on everything that reads foreign bytes
	bash tests/c/fuzz.sh $(FUZZ)

wheel: $(VENV)/.base ## sdist and wheel, and the wheel tried in an empty environment without a compiler
	bash tools/wheel_smoke.sh

docs: $(VENV)/.docs ## the documentation as a site in build/site
	$(PY) -m mkdocs build --strict

clean: ## remove what was made, the environment too
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f keysend_fast/*.so keysend_fast/*.c csrc/_kernels.c
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
