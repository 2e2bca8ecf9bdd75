# Every target sets up what it needs. `make` alone lists them.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# Programs of the environment find each other; nothing reports home; one thread per numeric library is fastest here.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DO_NOT_TRACK := 1
export DAGSTER_DISABLE_TELEMETRY := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export MLFLOW_DISABLE_TELEMETRY := true
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run up demo docs test check bench backtest lock clean setup

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(READY) ## Land the data, run the whole graph, print what happened.
	@$(BIN)/perennial run

up: $(READY) ## Serve the Dagster UI on localhost.
	@$(BIN)/perennial up

demo: $(READY) ## A drift and a bad deployment, made good by nobody's hand, in under 3 minutes.
	@$(BIN)/perennial demo

docs: $(READY) ## Write what every table and column means into one page that needs no network.
	@cd dbt_project && PERENNIAL_HOME="$${PERENNIAL_HOME:-$(CURDIR)/var}" ../$(BIN)/dbt parse --quiet && \
	  PERENNIAL_HOME="$${PERENNIAL_HOME:-$(CURDIR)/var}" ../$(BIN)/dbt docs generate --static --no-compile --quiet
	@echo "dbt_project/target/static_index.html"

backtest: $(READY) ## Retrain week by week over the year and judge every model against its baselines.
	@$(BIN)/perennial backtest

test: $(READY) ## Run the tests, except the slow ones (those: pytest -m slow).
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: $(READY) ## Lint, formats, types, import rules, SQL and YAML.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	cd dbt_project && ../$(BIN)/sqlfluff lint --disable-progress-bar .
	$(BIN)/yamllint --strict .

bench: $(READY) ## Measure against peers; ratios are printed.
	@for benchmark in tests/benchmarks/*.py; do \
	  test -e "$$benchmark" || { echo "tests/benchmarks holds no benchmark"; exit 1; }; \
	  echo "== $$benchmark"; PYTHONPATH=. $(BIN)/python "$$benchmark" || exit 1; \
	done

lock: ## Renew requirements.lock from pyproject.toml (needs uv).
	@command -v uv >/dev/null || { echo "make lock needs uv: see https://docs.astral.sh/uv/"; exit 1; }
	uv pip compile pyproject.toml --extra dev --extra boosting --extra postgres --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-strip-extras --no-annotate --no-header --quiet --output-file requirements.lock

clean: ## Remove caches and build results; var/ and .venv/ stay.
	rm -rf build *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf dbt_project/target dbt_project/logs
	find ml_assets dagster_defs tests -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(READY) ## Only make the environment in .venv/.

$(READY): requirements.lock
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is not there. Install Python 3.11, 3.12 or 3.13, or name one: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); Python 3.11, 3.12 or 3.13 is needed."; \
	  echo "Install one and name it: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make environments. On Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }
	@echo "Setting up .venv from requirements.lock; this takes one or two minutes, once."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@
