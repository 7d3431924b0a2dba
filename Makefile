# The front door. Needs Python 3.11, pip, make and git; brings the rest into .venv from the lock.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
HOME_FOLDER = $(or $(GATEWAY_HOME),.gateway)
DEMO_HOME = $(if $(wildcard $(HOME_FOLDER)/demo-tokens.json),$(HOME_FOLDER),$(HOME_FOLDER)/demo)

.PHONY: help setup demo serve test check format bench bench-engine assets lock clean
help: ## what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## make .venv from the lock

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: set PYTHON=path/to/python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## a synthetic multi-country trial, from request to opened extract
	$(BIN)/gateway demo

serve: $(READY) ## the pages and the API over the demo's home, with its accounts
	@test -f "$(DEMO_HOME)/demo-tokens.json" || { echo "There is no demo yet: run make demo first."; exit 2; }
	GATEWAY_HOME="$(DEMO_HOME)" $(BIN)/gateway serve

test: $(READY) ## the whole test suite
	$(BIN)/python -m pytest -n 2 --dist loadfile tests

check: $(READY) ## style, types, floors, budgets
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/house/budgets.py

format: $(READY) ## let ruff format and fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## speed of a release, as a ratio to a floor of the same run; then of the log, of a decision and of the pages
	$(BIN)/python -m tests.bench $(ARGS)
	$(BIN)/python -m tests.bench.audit
	$(BIN)/python -m tests.bench.decide
	$(BIN)/python -m tests.bench.pages

PEERS := .venv-peers
$(PEERS)/.ready: tests/bench/peers.lock
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/bench/peers.lock
	@touch $@

bench-engine: $(READY) $(PEERS)/.ready ## the de-identification engine beside its peers, which get a .venv-peers of their own
	$(BIN)/python -m tests.bench.engine --peers $(PEERS)/bin/python $(ARGS)

assets: ## renew what the pages load from elsewhere, from its own lock (needs npm)
	gateway/web/assets/renew

lock: ## renew requirements.lock from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra dev --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --universal -o requirements.lock

clean: ## remove what make made
	rm -rf $(VENV) .venv-peers build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
