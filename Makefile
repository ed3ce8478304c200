# Everything runs from .venv, which the first target that needs it makes. Python 3.11+, make and git suffice.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
OPTIONS ?=
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup values generate verify format lint types test check golden bench test-cluster clean

help: ## show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## install everything into .venv

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	@echo "setting up .venv (once, about a minute)" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

values: $(STAMP) ## MODEL= PROFILE= [OPTIONS=]: write, validate and render values/<name>-<profile>.yaml
	@test -n "$(MODEL)" -a -n "$(PROFILE)" || { echo "usage: make values MODEL=<hub id or folder> PROFILE=<2xt4, g5.48xlarge, ...>" >&2; exit 2; }
	@$(BIN)/python tools/make_values.py "$(MODEL)" --profile "$(PROFILE)" $(OPTIONS)

generate: $(STAMP) ## write everything that is generated and committed
	@$(BIN)/python tools/generate.py

verify: $(STAMP) ## fail when something generated is stale
	@$(BIN)/python tools/generate.py --check

format: $(STAMP) ## format the Python code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lint: $(STAMP) ## ruff, yamllint
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/yamllint -s .

types: $(STAMP) ## mypy
	@$(BIN)/mypy

test: $(STAMP) ## all tests that need no cluster
	@$(BIN)/pytest -m "not cluster"

check: lint types verify test ## everything that a commit must pass

golden: $(STAMP) ## write the golden manifests again; review the difference
	@UPDATE_GOLDEN=1 $(BIN)/pytest -q tests/chart

bench: $(STAMP) ## time of one plan and one ranking against a bare Python, and of the whole grid
	@$(BIN)/python tools/bench.py

test-cluster: $(STAMP) ## [JOBS=2]: tests on the Kubernetes of KUBECONFIG, which offers two GPUs per job
	@test -n "$(KUBECONFIG)" || { echo "KUBECONFIG names no cluster" >&2; exit 2; }
	@$(BIN)/pytest -m cluster --numprocesses $(JOBS) --dist worksteal tests/cluster

clean: ## remove .venv and caches
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis generator/*.egg-info
