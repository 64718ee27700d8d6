# `make help` lists what there is. Every target does its own set-up, in .venv (or VENV=...).

PYTHON ?= python3
PADDLE ?= auto
VENV ?= .venv
JOBS ?= 2
TESTS ?= tests
OLDEST_PYTHON ?= $(PYTHON)
OLDEST_VENV ?= .venv-oldest
export PADDLE_INDEX

python := $(VENV)/bin/python
make_venv = scripts/make_venv.py --paddle "$(PADDLE)"
# Several workers share the cores: one thread each, or they only wait for one another.
pytest := OMP_NUM_THREADS=1 $(python) -m pytest -n $(JOBS) --dist loadgroup

digits_config := configs/quick_start/LeNet_digits.yaml
digits_run := output/LeNet_digits
digit := dataset/digits/val/7/0043.png

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' Makefile
	@echo
	@echo 'PYTHON=python3.11  which Python makes the environment (3.9 to 3.13)'
	@echo 'PADDLE=cpu|gpu     overrules what nvidia-smi says'
	@echo 'PADDLE_INDEX=URL   where else to look for Paddle; PyPI has no GPU version of Paddle 3'

.PHONY: setup
setup:  ## make or update the environment in .venv
	@command -v "$(PYTHON)" > /dev/null || { echo "setup: there is no '$(PYTHON)'; name another one by adding PYTHON=python3.11" >&2; exit 2; }
	@"$(PYTHON)" $(make_venv) --venv "$(VENV)"

.PHONY: quickstart
quickstart: setup  ## digits: prepare, train, evaluate, export, predict
	$(VENV)/bin/ppcls data prepare digits
	$(python) tools/train.py -c $(digits_config) --overwrite
	$(python) tools/eval.py -c $(digits_config) --json $(digits_run)/eval.json
	$(python) tools/export_model.py -c $(digits_config) --overwrite
	$(python) deploy/predict.py --model_dir $(digits_run)/inference --input $(digit)
	@echo
	@echo 'Done. The results:'
	@echo '  images           dataset/digits/'
	@echo '  learning curves  $(digits_run)/curves.png  (metrics: train_log.jsonl, log: train.log)'
	@echo '  best weights     $(digits_run)/best_model.safetensors'
	@echo '  accuracy         $(digits_run)/eval.json'
	@echo '  exported model   $(digits_run)/inference/'

.PHONY: test
test: lint types  ## lint, check types, run every test
	$(pytest) $(TESTS)

.PHONY: test-fast
test-fast: setup  ## run the tests that take a moment
	$(pytest) -m "not slow" $(TESTS)

.PHONY: test-oldest
test-oldest:  ## run every test with the oldest versions supported, in .venv-oldest
	@"$(OLDEST_PYTHON)" $(make_venv) --venv "$(OLDEST_VENV)" --constraints requirements/oldest.txt --newest-minor 12
	$(subst $(python),$(OLDEST_VENV)/bin/python,$(pytest)) $(TESTS)

.PHONY: lint
lint: setup  ## check style
	$(python) -m ruff check .
	$(python) -m ruff format --check .

.PHONY: types
types: setup  ## check types
	$(python) -m mypy

.PHONY: format
format: setup  ## put the code into shape
	$(python) -m ruff check --fix .
	$(python) -m ruff format .

.PHONY: clean
clean:  ## remove environments, caches and builds; keep dataset/ and output/
	rm -rf .venv .venv-oldest build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
