# Every target sets up what it needs. A new machine needs only Python 3.11 to 3.14.
PYTHON ?= python3
BIN := .venv/bin
TOOL := $(BIN)/python -m loadtest
TEST := $(BIN)/pytest -n 2

.PHONY: help demo compare diff test stress check up down lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(BIN)/.ready ## start a cluster and a console in which you watch logins survive or die; Ctrl-C ends both
	@$(TOOL) console

compare: $(BIN)/.ready ## measure every strategy and write a report to reports/latest (FULL=1: tighter intervals)
	@$(TOOL) compare $(if $(FULL),--full)

diff: $(BIN)/.ready ## show what changed between two runs by more than noise: make diff A=reports/... B=reports/latest
	@$(TOOL) diff $(A) $(B)

test: $(BIN)/.ready ## run everything that must pass, on a real nginx, Redis and PostgreSQL
	@$(TEST)

stress: $(BIN)/.ready ## run races, floods and fault drills in full numbers: half an hour on an idle machine
	@$(BIN)/pytest -v -m stress tests/stress

check: $(BIN)/.ready ## run what CI runs: format, lint, types, import rules, configurations, tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@! docker compose version >/dev/null 2>&1 || docker compose --profile loadtest config --quiet
	@$(TEST)

up: $(BIN)/.ready ## start a local cluster that stays up
	@$(TOOL) up

down: $(BIN)/.ready ## stop it, and everything else that this checkout has left running
	@$(TOOL) down

lock: ## pin the newest versions that pyproject.toml allows, with hashes
	@$(PYTHON) -m venv .run/uv && .run/uv/bin/pip install --quiet uv
	@.run/uv/bin/uv pip compile pyproject.toml --group loadtest --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --upgrade --quiet -o requirements.txt
	@.run/uv/bin/uv pip compile pyproject.toml -c requirements.txt --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --upgrade --quiet -o services/requirements.txt

clean: down ## delete the environment and all local state, but no reports
	@rm -rf .venv .run

$(BIN)/.ready: requirements.txt
	@echo "Setting up .venv from requirements.txt (about a minute, once) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@
