# Two commands do everything: `make demo` and `make test`. The rest is for those who change the code.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DATA   ?=
REPO   ?= demo

.PHONY: demo test lint types layers check bench lsst-venv clean help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed  ## make a repository and take raw frames to a catalog (DATA=folder of raw frames: real ones)
	$(BIN)/python examples/demo.py --repo $(REPO) $(if $(DATA),--data $(DATA))

test: $(VENV)/.installed-dev  ## run the tests on every core
	$(BIN)/python -m pytest -q -n auto --dist loadgroup

lint: $(VENV)/.installed-dev  ## ruff: style and mistakes
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

# mypy knows packages by their folder's name, and this folder may be called anything: a link lends it the right one.
types: $(VENV)/.installed-dev  ## mypy --strict
	@mkdir -p .mypy_cache/path && ln -sfn ../.. .mypy_cache/path/skybutler
	MYPYPATH=.mypy_cache/path $(BIN)/mypy -p skybutler --exclude '(tests|benchmarks|examples|build|docs|demo)/'

layers: $(VENV)/.installed-dev  ## import-linter: no import goes up a floor
	$(BIN)/lint-imports

check: test lint types layers  ## all of it, as CI does

bench: $(VENV)/.installed-dev  ## put, get, find and start-up beside raw sqlite3 + pyarrow (and LSST, where installed)
	$(BIN)/python benchmarks/butler.py

lsst-venv:  ## install LSST's butler in .lsst-venv, for the benchmarks to compare with
	$(PYTHON) -m venv .lsst-venv
	.lsst-venv/bin/python -m pip install --quiet --disable-pip-version-check lsst-daf-butler 'pandas<3'

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

clean:  ## remove the demo repository and caches
	rm -rf demo build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
