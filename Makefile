# Everything a contributor types. The environment (.venv) is made and refreshed on demand.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-all chaos check fix bench docs pins clean

PORT ?= 8000
PYTEST_ARGS ?=
CHAOS_ARGS ?=
WORKERS ?= 3
# Ours go before anything the caller has installed; a set PYTHONPATH would mix the two.
unexport PYTHONPATH
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.demo ## Run the back office with its worker: http://127.0.0.1:8000 (PORT=..., DEMO_EXIT=1 drives itself)
	@PORT=$(PORT) DEMO_EXIT=$(DEMO_EXIT) python -m backoffice.demo

test: .venv/.dev ## Run the tests, with coverage by branch of src/tabur (PYTEST_ARGS="-k name")
	@scripts/chromium.sh
	@scripts/servers.sh
	@python -m pytest -n $(WORKERS) -m "not slow" --cov --cov-report=term $(PYTEST_ARGS)

test-all: .venv/.dev ## Run the tests and the slow ones, on every Python from 3.11 on found here
	@scripts/chromium.sh
	@scripts/servers.sh
	@python -m pytest -n $(WORKERS) --hypothesis-profile=thorough --cov --cov-report=term $(PYTEST_ARGS)
	@scripts/other_pythons.sh $(PYTEST_ARGS)

chaos: .venv/.dev ## Run the fault tests in full, with a report
	@scripts/servers.sh
	@python -m chaos $(CHAOS_ARGS)

check: .venv/.dev ## Lint, format, types, layers, and what must not stand in the tree
	ruff check
	ruff format --check
	mypy
	pyright
	python scripts/check_public_types.py
	lint-imports
	python scripts/check_tree.py

fix: .venv/.dev ## Mend what can be mended by itself: lint and format
	ruff check --fix
	ruff format

bench: .venv/.dev ## Measure Tabur, bare stores and rivals on four stores (QUICK=1 for a minute of it)
	@scripts/servers.sh
	@python -m bench $(if $(QUICK),--quick) $(BENCH_ARGS)

docs: .venv/.dev ## Run every example in README.md and docs/, and check their links
	@python -m pytest -n 0 tests/docs $(PYTEST_ARGS)

pins: .venv/.dev ## Resolve constraints.txt anew
	python scripts/pin.py

clean: ## Remove the environment, caches, and what the demo has written
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf .coverage .coverage.* htmlcov dist var
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.made: scripts/venv.sh
	@scripts/venv.sh
	@touch $@

.venv/.demo: .venv/.made scripts/install.sh pyproject.toml backoffice/pyproject.toml constraints.txt
	@scripts/install.sh demo
	@touch $@

.venv/.dev: .venv/.made scripts/install.sh pyproject.toml backoffice/pyproject.toml constraints.txt
	@scripts/install.sh dev
	@touch $@ .venv/.demo
