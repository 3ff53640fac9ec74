# make help says what there is. Needs nothing but Python 3.11 or later, and make.
.DEFAULT_GOAL := help
SHELL := /bin/sh
ifdef PYTHON
# One that you name has a virtual environment of its own: make test PYTHON=python3.13 sets up
# .venv-3.13. pyenv has versions that its shims do not run.
NAMED := $(PYTHON)
override PYTHON := $(shell for p in $(NAMED) $(HOME)/.pyenv/versions/*/bin/$(notdir $(NAMED)); do \
  $$p -c 'import ensurepip' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv-$(shell "$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
else
# The first interpreter that runs, is recent enough and can make a virtual environment.
PYTHON := $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
  $$p -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
  && { echo $$p; break; }; done)
VENV := .venv
endif
BIN := $(VENV)/bin
# What the tests need of the package. EXTRAS=logistic,faces,parquet leaves torch out, and the tests
# that need it are skipped, each by its name.
EXTRAS ?= models,logistic,faces,parquet,postgres,heif,jxl,dicom
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
# Tests chosen by ARGS may all be of one kind; then the other run finds none, and ends with 5.
NOTHING_IS_FINE = $(if $(ARGS),|| test $$? = 5)
# That all is installed is noted in the virtual environment: gone with it, noted for each.
DEMO := $(VENV)/.setup-demo
comma := ,
DEV := $(VENV)/.setup-dev-$(subst $(comma),-,$(EXTRAS))

.PHONY: animation help setup setup-dev demo test test-terminals bench check format lint types layers clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@"$(PYTHON)" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "$(or $(NAMED),python3): annotator needs Python 3.11 or later, with venv (on Debian:" \
	  "apt install python3-venv), or make PYTHON=/path/to/python3.13" >&2; exit 1; }
	@rm -rf $(VENV)
ifdef UV
	@uv venv --quiet --python $(PYTHON) $(VENV)
else
	@$(PYTHON) -m venv $(VENV)
endif

$(DEMO): $(BIN)/python pyproject.toml constraints.txt
	@echo "installing what the demo needs into $(VENV) …"
	@$(INSTALL) -c constraints.txt -e .
	@touch $@

$(DEV): $(DEMO) requirements-dev.txt
	@echo "installing what the tests need into $(VENV) ($(EXTRAS)) …"
	@$(INSTALL) -c constraints.txt -r requirements-dev.txt -e '.[$(EXTRAS)]'
	@touch $@

setup: $(DEMO) ## Install what the demo needs, into .venv

setup-dev: $(DEV) ## Install what the tests need too (torch, transformers …)

demo: $(DEMO) ## Open the annotator on example_data/
	@$(BIN)/annotator demo $(ARGS)

test: $(DEV) ## Run the tests (PYTHON=python3.13: with that Python)
	$(BIN)/python -m pytest -n $(JOBS) -m "not terminal" $(ARGS) $(NOTHING_IS_FINE)
	$(BIN)/python -m pytest -n 0 -m terminal $(ARGS) $(NOTHING_IS_FINE)

test-terminals: $(DEV) ## Install real terminals (Debian, root) and drive them
	VENV=$(VENV) tests/terminal/real/setup.sh
	$(BIN)/python -m pytest -n 0 -m terminal $(ARGS)

bench: $(DEV) ## Measure, beside the peers and the limits (takes a while)
	$(BIN)/python -m benchmarks $(ARGS)

animation: $(DEV) ## Film the README's animation (needs make test-terminals)
	$(BIN)/python docs/animation/make_animation.py $(ARGS)

check: format lint types layers test ## All that must hold before a push

format: $(DEV) ## Format the code
	$(BIN)/ruff format .

lint: $(DEV) ## Look for faults in the code
	$(BIN)/ruff check .

types: $(DEV) ## Check the types
	$(BIN)/mypy

layers: $(DEV) ## Check that the layers import one way
	$(BIN)/lint-imports

clean: ## Take away what make set up
	rm -rf .venv .venv-* .setup-* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
