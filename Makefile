# make test   sets everything up, then checks and tests
# make demo   sets everything up, then runs the main job end to end and writes report.html
# Both need Python 3.11 or newer, make, git and gcc; a second call skips the set-up.

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(if $(shell command -v $(name)),$(name))))
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help test demo lint format setup wheel clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed -n 1,3p

test: setup lint
	$(BIN)/python -m pytest

demo: setup
	$(BIN)/opencwm demo

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict src

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt .ci/setup
	@sh .ci/setup "$(PYTHON)" "$(VENV)"
	@touch $@

wheel: setup
	$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) build dist runs report.html .pytest_cache .mypy_cache .ruff_cache .hypothesis
