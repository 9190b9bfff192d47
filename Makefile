# make help lists what there is. Everything runs in .venv; `make install` makes it.
PYTHON ?= python3.11
BIN := .venv/bin
CONSTRAINTS ?= -c constraints/cpu.txt

.DEFAULT_GOAL := help
.PHONY: help install run test full faults lint format types floors wheel clean edge

help: ## show this
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

install: ## virtual environment with everything for development (CONSTRAINTS= for a GPU's torch)
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q $(CONSTRAINTS) -e '.[dev]'

run: ## the quickstart
	$(BIN)/distill train

test: ## the ordinary tests, a few minutes
	$(BIN)/pytest -q

full: ## all tests, the slow ones too
	$(BIN)/pytest -q -m 'slow or not slow'

faults: ## the full count of malformed configs, killed processes and damaged files
	$(BIN)/pytest -q -m slow

lint: ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: ## ruff: repair what can be repaired
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: ## pyright
	$(BIN)/pyright --pythonpath $(BIN)/python

floors: ## an import only goes down
	$(BIN)/lint-imports

wheel: ## dist/*.whl, with conf and experiments inside
	$(BIN)/python -m build --wheel

edge: ## SmolLM2-135M to an int8 ONNX file, measured in turns, into docs/edge.md; 10 to 20 minutes of one core
	$(BIN)/python benchmarks/edge.py

clean: ## what tests and builds leave behind; runs and caches of runs stay
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
