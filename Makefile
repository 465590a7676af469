# One isolated environment, made from pyproject.toml and constraints.txt; every target sets it up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: demo test gpu-test check format docs docs-serve setup clean

demo: setup  ## render videos, extract, train, localize, evaluate
	$(BIN)/tal demo

test: setup  ## the test suite
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

gpu-test: setup  ## on a machine with an NVIDIA GPU: what only it can tell, and how fast it is
	TAL_REQUIRE_GPU=1 $(BIN)/python -m pytest -m gpu
	mkdir -p benchmarks/results
	$(BIN)/tal bench flow_gpu --json > "benchmarks/results/flow_gpu-$$(nvidia-smi --query-gpu=name --format=csv,noheader | head -1 | tr 'A-Z ' 'a-z-').json"

check: setup  ## format, lint, types, import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup  ## the documentation, in site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-serve: setup  ## the documentation in a browser, as it is being written
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) demo
