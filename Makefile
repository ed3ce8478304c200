# Everything runs from .venv, which the first target that needs it makes. Python 3.11+, make and git suffice.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
OPTIONS ?=
TOOL := PYTHONPATH=tools $(BIN)/python -m
PUBLISHING := $(TOOL) publishing
JOBS ?= 4
DOCUMENTS ?= 5000
INPUTS ?= 20000
DRY_RUNS ?= 500
RUNS ?= 200
WORKERS ?= auto
PARALLEL := --numprocesses $(WORKERS) --dist loadfile --ignore tests/cluster --ignore tests/load
QUICK := tests/generator tests/values $(addprefix tests/chart/test_,accelerators.py removed.py schema_agreement.py structure.py validate*.py)
HERE := not cluster and not registry and not load and not site
NEEDS_CLUSTER = @test -n "$(KUBECONFIG)" || { echo "KUBECONFIG names no cluster" >&2; exit 2; }

.DEFAULT_GOAL := help
.PHONY: killed-downloads fuzz fuzz-inputs test-dry-run help setup setup-publish publish-built zizmor values generate verify format lint types test quick test-all check golden pairs bench compare calibrate test-rules test-cluster test-cluster-smoke test-faults kwok load actionlint clean \
	package sign verify-package publish index release test-registry lock audit wheel site test-site \
	sign-keyless check-tag checksums github-release ct-lint ct-install kind kind-delete defects mutants

help: ## show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## install everything into .venv

$(STAMP): pyproject.toml requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	@echo "setting up .venv (once, about a minute)" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup-publish: ## install what `make publish-built` needs into .venv, and nothing of development
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/publish.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

values: $(STAMP) ## MODEL= PROFILE= [OPTIONS=]: write, validate and render values/<name>-<profile>.yaml
	@test -n "$(MODEL)" -a -n "$(PROFILE)" || { echo "usage: make values MODEL=<hub id or folder> PROFILE=<2xt4, g5.48xlarge, ...>" >&2; exit 2; }
	@$(BIN)/python tools/make_values.py "$(MODEL)" --profile "$(PROFILE)" $(OPTIONS)

generate: $(STAMP) ## write everything that is generated and committed
	@$(BIN)/python tools/generate.py

verify: $(STAMP) ## fail when something generated is stale, or a page says what is not so
	@$(BIN)/python tools/generate.py --check
	@$(BIN)/pytest -q $(PARALLEL) -m prose tests/docs

format: $(STAMP) ## format the Python code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lint: $(STAMP) ## ruff, yamllint, the layers of the package, its seams
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/yamllint -s . && $(BIN)/lint-imports --no-cache && $(BIN)/python tools/measure/questions.py

actionlint: $(STAMP) ## the GitHub workflows
	@$(BIN)/actionlint -shellcheck= -pyflakes=

# What runs in the pods is held against the library of an older Python too: 3.10 is the oldest that mypy knows.
types: $(STAMP) ## mypy
	@$(BIN)/mypy
	@$(BIN)/mypy --python-version 3.10 generator/supervisor

test: $(STAMP) ## [WORKERS=auto]: the tests that need no cluster (about 3 minutes on two cores)
	@$(BIN)/pytest $(PARALLEL) -m "$(HERE) and not prose and not nightly"

quick: $(STAMP) ## what a changed line needs: planner, memory, refusals and structure of the chart (under a minute)
	@$(BIN)/pytest -q $(PARALLEL) -m "$(HERE) and not prose and not nightly and not slow" $(QUICK)

test-all: $(STAMP) ## the tests that need no cluster, each law over all of its cases (a quarter of an hour)
	@LLM_SERVING_NIGHTLY=1 $(BIN)/pytest $(PARALLEL) -m "$(HERE)"

test-rules: $(STAMP) ## the alerts under promtool (Debian's package prometheus)
	@LLM_SERVING_NEED_PROMTOOL=1 $(BIN)/pytest tests/rules

check: lint types verify test ## everything that a commit must pass

defects: $(STAMP) ## plant each defect of tools/defects/defects.yaml alone; the named test must fail (about 5 minutes)
	@$(TOOL) defects plant

mutants: $(STAMP) ## mutants of the planner and the memory model against their tests (about 15 minutes)
	@$(TOOL) defects mutants

golden: $(STAMP) ## write the golden manifests again; review the difference
	@UPDATE_GOLDEN=1 $(BIN)/pytest -q tests/chart/test_golden.py

pairs: $(STAMP) ## write tests/data/pairs.json again: the documents in which each switch stands beside each other (a minute)
	@PYTHONPATH=tests:tools $(BIN)/python -m support.pairs tests/data/pairs.json

kwok: $(STAMP) ## KWOK, which lets pods run on simulated nodes, into .venv (needs Go)
	@GOBIN="$(CURDIR)/$(BIN)" go install sigs.k8s.io/kwok/cmd/kwok@v0.8.0

killed-downloads: $(STAMP) ## [RUNS=200 WORKERS=2]: downloads on one claim, killed at random points, each run told in build/killed-downloads.csv
	@mkdir -p build && : > build/killed-downloads.csv
	@LLM_SERVING_KILLED_RUNS=$(RUNS) LLM_SERVING_KILLED_TABLE=build/killed-downloads.csv $(BIN)/pytest -q --numprocesses $(if $(filter auto,$(WORKERS)),2,$(WORKERS)) tests/supervisor/test_killed_downloads.py

load: $(STAMP) ## 200 streams during an upgrade, in each rollout mode, on the Kubernetes of KUBECONFIG (10 minutes)
	$(NEEDS_CLUSTER)
	@$(BIN)/pytest -m load -s tests/load

bench: $(STAMP) ## a plan beside hf-mem and aiconfigurator (PyPI, own environments), a ranking, the whole grid
	@$(TOOL) measure.bench

compare: $(STAMP) ## CONFIGS=: hf-mem and aiconfigurator (PyPI, own environments) on the measured starts
	@test -n "$(CONFIGS)" || { echo "usage: make compare CONFIGS=<folder with <org>__<name>.json files>" >&2; exit 2; }
	@$(TOOL) measure.compare --configs "$(CONFIGS)"

calibrate: $(STAMP) ## CONFIGS=: real start-ups with dummy weights; needs GPUs and an installed vLLM
	@test -n "$(CONFIGS)" || { echo "usage: make calibrate CONFIGS=<folder with <org>__<name>.json files>" >&2; exit 2; }
	@command -v vllm >/dev/null || { echo "vllm is not on PATH: install it, or carry build/calibrate to where it is" >&2; exit 2; }
	@$(TOOL) measure.calibrate prepare --configs "$(CONFIGS)" --out build/calibrate/models
	@$(TOOL) measure.calibrate run build/calibrate/models --results build/calibrate/results.jsonl
	@$(TOOL) measure.calibrate append build/calibrate/results.jsonl

test-cluster: $(STAMP) ## [JOBS=4]: tests on the Kubernetes of KUBECONFIG, which offers two GPUs per job
	$(NEEDS_CLUSTER)
	@$(BIN)/pytest -m "cluster and not faults" --numprocesses $(JOBS) --dist loadscope tests/cluster

test-cluster-smoke: $(STAMP) ## [JOBS=4]: the main job, a group over two pods and an upgrade there (3 minutes)
	$(NEEDS_CLUSTER)
	@$(BIN)/pytest -m smoke --numprocesses $(JOBS) --dist loadscope tests/cluster

test-faults: $(STAMP) ## [JOBS=4]: break releases on the Kubernetes of KUBECONFIG, and print who healed them, and how fast
	$(NEEDS_CLUSTER)
	@$(BIN)/pytest -m faults --numprocesses $(JOBS) --dist loadscope --ignore tests/cluster/test_api_server.py tests/cluster
	@if [ -n "$(LLM_SERVING_RESTART_API_SERVER)" ]; then LLM_SERVING_TEST_REPORTS=build/api-server $(BIN)/pytest -m cluster tests/cluster/test_api_server.py; \
	else echo "not run: tests/cluster/test_api_server.py (LLM_SERVING_RESTART_API_SERVER is no command that restarts it)" >&2; fi

ct-lint: $(STAMP) ## chart-testing: lint with all ci values (needs ct and helm on PATH)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(TOOL) testbed.chart_testing lint

ct-install: $(STAMP) ## [JOBS=4] [IMAGE=]: chart-testing: install, test and upgrade all ci values on the Kubernetes of KUBECONFIG
	@$(TOOL) testbed.chart_testing install --jobs $(JOBS) $(if $(IMAGE),--image $(IMAGE))

kind: $(STAMP) ## [GPUS=8] [NODE_IMAGE=]: a kind cluster with images, operators and made-up GPUs for test-cluster
	@$(TOOL) testbed.kind_cluster create $(if $(GPUS),--gpus $(GPUS)) $(if $(NODE_IMAGE),--node-image $(NODE_IMAGE))

kind-delete: $(STAMP) ## remove it
	@$(TOOL) testbed.kind_cluster delete

fuzz: $(STAMP) ## [DOCUMENTS=5000 JOBS=4]: random values documents render to valid manifests or are refused in due form
	@LLM_SERVING_DOCUMENTS=$(DOCUMENTS) $(BIN)/pytest --numprocesses $(JOBS) tests/fuzz --ignore tests/fuzz/test_inputs.py

fuzz-inputs: $(STAMP) ## [INPUTS=20000 JOBS=4]: made-up documents for every reader end in one line, in bounded time and memory
	@LLM_SERVING_INPUTS=$(INPUTS) $(BIN)/pytest --numprocesses $(JOBS) tests/fuzz/test_inputs.py

test-dry-run: $(STAMP) ## [DRY_RUNS=500]: random documents that render, before the API server of KUBECONFIG, with dry run
	$(NEEDS_CLUSTER)
	@LLM_SERVING_DRY_RUNS=$(DRY_RUNS) $(BIN)/pytest -m cluster tests/cluster/test_dry_run.py

test-registry: $(STAMP) ## tests on a real registry (docker-registry, htpasswd) on loopback
	@$(BIN)/pytest -m registry tests/published

site: $(STAMP) ## write the static site to dist/site (npm brings Pyodide once, for the planner)
	@$(TOOL) website

test-site: site ## [GRID=1]: dist/site in a headless Chromium (Debian's packages chromium, npm); GRID asks 2,000 plans
	@LLM_SERVING_SITE=dist/site $(BIN)/pytest -m "site$(if $(filter 1,$(GRID)),, and not grid)" tests/pages

package: $(STAMP) ## write dist/llm-serving-<version>.tgz, the same bytes from the same files
	@$(PUBLISHING) package

sign: $(STAMP) ## KEY= KEYRING= [PASSPHRASE_FILE=]: write the package's provenance (PGP)
	@test -n "$(KEY)" -a -n "$(KEYRING)" || { echo "usage: make sign KEY=<part of the user id> KEYRING=<secret keyring>" >&2; exit 2; }
	@$(PUBLISHING) sign --key "$(KEY)" --keyring "$(KEYRING)" $(if $(PASSPHRASE_FILE),--passphrase-file "$(PASSPHRASE_FILE)")

verify-package: $(STAMP) ## KEYRING=: check the package against its provenance
	@test -n "$(KEYRING)" || { echo "usage: make verify-package KEYRING=<public keyring>" >&2; exit 2; }
	@$(PUBLISHING) verify --keyring "$(KEYRING)"

publish: package ## REGISTRY=oci://host/path [PLAIN_HTTP=1] [TIMEOUT=s]: push the package, read it back, compare
	@test -n "$(REGISTRY)" || { echo "usage: make publish REGISTRY=oci://host/path" >&2; exit 2; }
	@$(PUBLISHING) publish "$(REGISTRY)" $(if $(filter 1,$(PLAIN_HTTP)),--plain-http) $(if $(TIMEOUT),--timeout "$(TIMEOUT)")

publish-built: $(STAMP) ## REGISTRY=: push the package that lies in dist, if its checksum and all others there are right
	@test -n "$(REGISTRY)" || { echo "usage: make publish-built REGISTRY=oci://host/path" >&2; exit 2; }
	@cd dist && sha256sum --check --strict --quiet SHA256SUMS
	@$(PUBLISHING) publish "$(REGISTRY)"

sign-keyless: ## sign what `make publish` published last with cosign, by the workflow's identity
	@cosign sign --yes "$$(sed 's,^oci://,,' dist/published.txt)"

check-tag: $(STAMP) ## TAG=: fail unless the tag is v and the version
	@$(PUBLISHING) check-tag "$(TAG)"

checksums: ## write dist/SHA256SUMS over packages and wheels
	@cd dist && sha256sum -- *.tgz *.whl > SHA256SUMS

github-release: $(STAMP) ## TAG=: the release page with its files (needs gh and GH_TOKEN)
	@$(PUBLISHING) notes > dist/notes.md
	@gh release create "$(TAG)" --verify-tag --title "$(TAG)" --notes-file dist/notes.md \
	  dist/*.tgz dist/*.whl dist/SHA256SUMS dist/sbom.spdx.json $(filter-out values/catalog.yaml,$(wildcard values/*.yaml))

index: $(STAMP) ## URL= [MERGE=index.yaml]: write dist/index.yaml over the packages, older versions kept
	@test -n "$(URL)" || { echo "usage: make index URL=https://host/path" >&2; exit 2; }
	@$(PUBLISHING) index "$(URL)" $(if $(MERGE),--merge "$(MERGE)")

wheel: $(STAMP) ## write the generator's wheel to dist/
	@rm -rf build
	@SOURCE_DATE_EPOCH=315532800 $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir dist .

release: $(STAMP) ## VERSION=x.y.z [DRY_RUN=1]: version, changelog, annotations, checks, commit, tag
	@test -n "$(VERSION)" || { echo "usage: make release VERSION=x.y.z [DRY_RUN=1]" >&2; exit 2; }
	@$(PUBLISHING) release "$(VERSION)" $(if $(filter 1,$(DRY_RUN)),--dry-run)

lock: $(STAMP) ## write requirements/*.txt from pyproject.toml: exact versions with hashes; UPGRADE=1 takes newer ones
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/supply.txt
	@$(BIN)/python tools/lock.py $(if $(filter 1,$(UPGRADE)),--upgrade)

audit: $(STAMP) ## known vulnerabilities of everything locked (asks PyPI)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/supply.txt
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement requirements/dev.txt --requirement requirements/supply.txt

zizmor: $(STAMP) ## what is unsafe in the workflows, offline
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/supply.txt
	@$(BIN)/zizmor --offline --no-progress .github

clean: ## remove .venv and caches
	@rm -rf .venv .cache build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis generator/*.egg-info
