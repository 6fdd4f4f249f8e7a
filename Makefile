# `make` prints what there is to do. Everything lives in .venv; nothing is written to the home directory but pip's cache.

PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --quiet --disable-pip-version-check
SETUP_INPUTS := pyproject.toml constraints.txt conf/spark_home.py conf/spark-defaults.conf conf/log4j2.properties

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test check clean

help:
	@echo "make setup           .venv with Spark, Delta and, where the machine has none, Java"
	@echo "make demo  [ARGS=…]  a sample company: export, deliver, verify"
	@echo "make test  [ARGS=…]  pytest"
	@echo "make check           ruff, mypy, import-linter"
	@echo "make clean           remove .venv, caches and the demo's output"

setup: $(VENV)/.ready

$(VENV)/.ready: $(SETUP_INPUTS)
	@echo "setup: environment ($(PYTHON) -m venv $(VENV))"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "setup: packages (the first time a few minutes: Spark alone is 430 MB)"
	@# the build tools first, pinned too: an isolated build would fetch its own, unpinned
	@$(PIP) install -c constraints.txt setuptools wheel hatchling editables
	@$(PIP) install -c constraints.txt --no-build-isolation -e '.[spark,dev]'
	@$(VENV)/bin/python conf/spark_home.py
	@touch $@

demo: setup
	@$(VENV)/bin/rover-spark demo $(ARGS)

test: setup
	$(VENV)/bin/pytest $(ARGS)

check: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

clean:
	rm -rf $(VENV) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist rover_demo spark-warehouse metastore_db derby.log
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
