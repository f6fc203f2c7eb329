# Everything a person or CI runs. Each target works right after `git clone`; the first one makes .venv.

PYTHON ?= python3
BIN    := .venv/bin
READY  := .venv/.ready
# What is imported stays compiled, even where the shell says otherwise: the tests start many an interpreter.
test soak: export PYTHONDONTWRITEBYTECODE =
# Two test processes: the suite waits for PostgreSQL and child processes more than it computes.
JOBS   ?= 2

.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(READY) ## make .venv with adjourn (editable) and the development tools

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "adjourn needs Python 3.11 or newer; call make PYTHON=python3.11"; exit 1; }
	@if command -v uv >/dev/null 2>&1; then \
	  test -x $(BIN)/python || uv venv --quiet --python "$(PYTHON)" .venv; \
	  uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'; \
	else \
	  test -x $(BIN)/python || $(PYTHON) -m venv .venv; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt 'setuptools>=77' && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'; \
	fi
	@# mypy and editors find the package under its own name here, whatever the checkout is called
	@mkdir -p .venv/typing && ln -sfn ../.. .venv/typing/adjourn
	@touch $@

demo: $(READY) ## a run that pauses for a person and is resumed by another process
	@$(BIN)/adjourn demo

test: $(READY) ## all tests (the long versions: make soak)
	@$(BIN)/python -m pytest -n $(JOBS) -m "not soak"

soak: $(READY) ## the long versions of the crash, race and load tests
	@$(BIN)/python -m pytest -n $(JOBS) -m soak --timeout=3600

bench: .venv/.bench ## the checkpoint store against LangGraph's own savers and DBOS, the engine against bare LangGraph, the inbox, rounds of votes, plans, strategies, and workers
	@$(BIN)/python -m benchmarks.store
	@$(BIN)/python -m benchmarks.engine
	@$(BIN)/python -m benchmarks.inbox
	@$(BIN)/python -m benchmarks.council
	@$(BIN)/python -m benchmarks.workers
	@$(BIN)/python -m benchmarks.delegation
	@$(BIN)/python -m benchmarks.adaptive

.venv/.bench: $(READY)
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[bench]'; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'; \
	fi
	@touch $@

check: $(READY) ## style, types, import arrows
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@MYPYPATH=.venv/typing $(BIN)/mypy -p adjourn
	@$(BIN)/python -m pytest -q tests/house/test_arrows.py

docs: $(READY) ## rewrite the generated pages
	@$(BIN)/python docs/generate.py

format: $(READY) ## let ruff write the style
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

clean: ## remove what the targets above made
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

.PHONY: help setup demo test soak bench check docs format clean
