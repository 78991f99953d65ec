# Every target sets up what it needs: Python 3.11 or newer is all that a new machine must bring.
PYTHON ?= python3
BIN := .venv/bin
TOOL := $(BIN)/python -m loadtest

.PHONY: help compare diff test stress check up down lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

compare: $(BIN)/.ready ## measure every strategy on a cluster of its own; report in reports/latest (FULL=1: tighter intervals)
	@$(TOOL) compare $(if $(FULL),--full)

diff: $(BIN)/.ready ## what changed from one run to another beyond noise: make diff A=reports/... B=reports/latest
	@$(TOOL) diff $(A) $(B)

test: $(BIN)/.ready ## everything that must pass, on a real nginx, Redis and PostgreSQL
	@$(BIN)/pytest

stress: $(BIN)/.ready ## races, floods and drills in full numbers, about half an hour; best on an idle machine
	@$(BIN)/pytest -v -m stress tests/stress

check: $(BIN)/.ready ## what CI runs: format, lint, types, import rules, configurations, tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@! docker compose version >/dev/null 2>&1 || docker compose --profile loadtest config --quiet
	@$(BIN)/pytest

up: $(BIN)/.ready ## a local cluster that stays up
	@$(TOOL) up

down: $(BIN)/.ready ## stop it, and whatever else of ours is still running
	@$(TOOL) down

lock: ## pin the newest versions that pyproject.toml admits, with hashes
	@$(PYTHON) -m venv .run/uv && .run/uv/bin/pip install --quiet uv
	@.run/uv/bin/uv pip compile pyproject.toml --group loadtest --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --upgrade --quiet -o requirements.txt
	@.run/uv/bin/uv pip compile pyproject.toml -c requirements.txt --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --upgrade --quiet -o services/requirements.txt

clean: down ## forget the environment and all local state; reports stay
	@rm -rf .venv .run

$(BIN)/.ready: requirements.txt
	@echo "Setting up .venv from requirements.txt (about a minute, once) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@
