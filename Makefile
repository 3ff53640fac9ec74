# make help says what there is. Needs nothing but Python 3.11 or later, and make.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
# The first interpreter that runs, is recent enough and can make a virtual environment.
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
  $$p -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
  && { echo $$p; break; }; done)
endif
BIN := $(VENV)/bin
UV := $(shell command -v uv)
# uv does not read pip's setting for a folder of wheels.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
# torch only from a place that serves the CPU build, where one is named; else from the index.
ifdef UV
INSTALL = VIRTUAL_ENV=$(CURDIR)/$(VENV) uv pip install --quiet
else
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif
# xdist's workers, one a core; the real terminals are driven one at a time.
JOBS ?= auto

.PHONY: help setup setup-dev demo test test-terminals bench check format lint types layers clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "annotator needs Python 3.11 or later, with venv (on Debian:" \
	  "apt install python3-venv), or make PYTHON=/path/to/python3.11" >&2; exit 1; }
ifdef UV
	@uv venv --quiet --python $(PYTHON) $(VENV)
else
	@$(PYTHON) -m venv $(VENV)
endif

.setup-demo: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing what the demo needs into .venv …"
	@$(INSTALL) -c constraints.txt -e .
	@touch $@

.setup-dev: .setup-demo requirements-dev.txt
	@echo "installing what the tests need into .venv (torch, transformers …) …"
	@$(INSTALL) -c constraints.txt -r requirements-dev.txt -e '.[models,logistic,faces,parquet]'
	@touch $@

setup: .setup-demo ## Install what the demo needs, into .venv

setup-dev: .setup-dev ## Install what the tests need too (torch, transformers …)

demo: .setup-demo ## Open the annotator on example_data/
	@$(BIN)/annotator demo $(ARGS)

test: .setup-dev ## Run the tests
	$(BIN)/python -m pytest -n $(JOBS) -m "not terminal" $(ARGS)
	$(BIN)/python -m pytest -n 0 -m terminal $(ARGS)

test-terminals: .setup-dev ## Install real terminals (Debian, root) and drive them
	tests/terminals/setup.sh
	$(BIN)/python -m pytest -n 0 -m terminal $(ARGS)

bench: .setup-dev ## Measure, beside the peers and the limits (takes a while)
	$(BIN)/python -m benchmarks $(ARGS)

check: format lint types layers test ## All that must hold before a push

format: .setup-dev ## Format the code
	$(BIN)/ruff format .

lint: .setup-dev ## Look for faults in the code
	$(BIN)/ruff check .

types: .setup-dev ## Check the types
	$(BIN)/mypy

layers: .setup-dev ## Check that the layers import one way
	$(BIN)/lint-imports

clean: ## Take away what make set up
	rm -rf $(VENV) .setup-* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
