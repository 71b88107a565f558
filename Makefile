# Everything a contributor runs. Each target installs what it needs; none needs another by hand.
PYTHON ?= $(shell command -v /usr/bin/python3.11 || command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
RUNTIME_STAMP := $(VENV)/.runtime-installed
DEV_STAMP := $(VENV)/.dev-installed
FUZZ_STAMP := $(VENV)/.fuzz-installed

.DEFAULT_GOAL := help
KILLS ?= 1000
SECONDS ?= 600
FUZZED := var/fuzz
.PHONY: help run env dev-env test test-fast crash fuzz lint format bench lock system-packages clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUNTIME_STAMP)  ## start Ringback with a simulated carrier and a first account
	@exec $(BIN)/ringback demo

env: $(RUNTIME_STAMP)  ## create .venv with what Ringback needs at run time

dev-env: $(DEV_STAMP)  ## add what tests, linters and benchmarks need

$(BIN)/python:
	@scripts/create-venv "$(PYTHON)" "$(VENV)"

$(RUNTIME_STAMP): requirements/runtime.lock pyproject.toml | $(BIN)/python
	@echo "installing Ringback's run-time packages from requirements/runtime.lock ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_STAMP): requirements/dev.lock $(RUNTIME_STAMP)
	@echo "installing the development packages from requirements/dev.lock ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

$(FUZZ_STAMP): requirements/fuzz.lock $(DEV_STAMP)
	@echo "installing atheris from requirements/fuzz.lock ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.lock
	@touch $@

system-packages:  ## install the Debian packages that tests and benchmarks use
	@scripts/install-system-packages chromium kannel kannel-extras nodejs npm nginx postgresql prometheus tshark wrk

test: $(DEV_STAMP)  ## install what the tests need and run them all
	@scripts/install-system-packages chromium kannel kannel-extras nodejs npm nginx postgresql prometheus tshark wrk
	@$(MAKE) --no-print-directory lint
	@# What kills processes under load has the machine to itself. Both are run, whatever comes of the first.
	@failed=0; \
	$(BIN)/python -m pytest -n auto --dist loadfile --ignore tests/integration/crash || failed=1; \
	$(BIN)/python -m pytest tests/integration/crash || failed=1; \
	exit $$failed

test-fast: $(DEV_STAMP)  ## unit and conformance tests: under a minute
	$(BIN)/python -m pytest -q tests/unit tests/conformance

crash: $(DEV_STAMP)  ## kill processes under load, KILLS=1000 times on each database
	@scripts/install-system-packages postgresql
	KILLS=$(KILLS) $(BIN)/python -m pytest -q tests/integration/crash

fuzz: $(FUZZ_STAMP)  ## fuzz what SMPP peers send, for SECONDS=600; a failing input is left in var/fuzz
	@mkdir -p $(FUZZED)
	$(BIN)/python -m tests.fuzz.fuzz_pdu $(FUZZED) tests/data/smpp/corpus -max_total_time=$(SECONDS) -max_len=2048 \
	  -timeout=5 -rss_limit_mb=512 -artifact_prefix=$(FUZZED)/failed- -print_final_stats=1

lint: $(DEV_STAMP)  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports

format: $(DEV_STAMP)  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV_STAMP)  ## run every benchmark, one JSON line each
	@scripts/install-system-packages chromium kannel nginx wrk
	$(BIN)/python -m benchmarks all --json

lock: | $(BIN)/python  ## re-resolve the lock files (needs uv)
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-annotate --python-version 3.11 \
	  --custom-compile-command "make lock" pyproject.toml -o requirements/runtime.lock
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-annotate --python-version 3.11 \
	  --custom-compile-command "make lock" --group dev -c requirements/runtime.lock pyproject.toml -o requirements/dev.lock
	printf "hatchling\neditables\n" | $(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --no-annotate --python-version 3.11 \
	  --custom-compile-command "make lock" -c requirements/dev.lock - -o requirements/build.lock
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-annotate --python-version 3.11 \
	  --custom-compile-command "make lock" --group fuzz -o requirements/fuzz.lock

clean:  ## remove the environment and caches; data directories stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
