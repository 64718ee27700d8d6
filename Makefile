# `make help` lists what there is. Every target does its own set-up, in .venv (or VENV=...).

PYTHON ?= python3
PADDLE ?= auto
VENV ?= .venv
JOBS ?= 2
TESTS ?= tests
HOSTILE ?= 10000
HOSTILE_SEED ?= $(shell date +%s)
OLDEST_PYTHON ?= $(PYTHON)
OLDEST_VENV ?= .venv-oldest
# Pins for pip, and the newest Python 3 that they have files for; `make test-oldest` sets both.
CONSTRAINTS ?=
NEWEST ?= 13

ifeq ($(PADDLE),auto)
override PADDLE := $(if $(findstring GPU,$(shell found=$$(timeout 30 nvidia-smi -L 2> /dev/null) && echo "$$found")),gpu,cpu)
endif
$(if $(filter cpu gpu,$(PADDLE)),,$(error PADDLE is auto, cpu or gpu, not '$(PADDLE)'))

python := $(VENV)/bin/python
# Several workers share the cores: one thread each, or they only wait for one another. Each worker and
# each process of a test would compile all files again where nobody may keep what was compiled.
pytest := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(python) -m pytest -n $(JOBS) --dist loadgroup

# The environment is ready when this file is there: it is written last, so a set-up that was killed
# is done again. Its name holds what the environment was made for, and where.
made_for := $(firstword $(shell echo "$(CURDIR) $(PADDLE_INDEX) $(CONSTRAINTS)" | cksum))
ready := $(VENV)/.ready-$(PADDLE)-$(made_for)
# Its Python must start, and be of the version that was asked for, if one was; and Paddle be there.
version := $(shell $(python) --version 2> /dev/null)
asked := $(if $(filter-out file,$(origin PYTHON)),$(shell "$(PYTHON)" --version 2> /dev/null),$(version))
has_python := $(and $(version),$(findstring [$(version)],[$(asked)]))
is_fit := $(and $(has_python),$(wildcard $(VENV)/lib/python*/site-packages/paddle/__init__.py))

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
	@# One at a time: the next one finds it made.
	@flock setup.py $(MAKE) --no-print-directory PADDLE=$(PADDLE) made
	@echo "setup: $(VENV) is ready (PADDLE=$(PADDLE))"

made: $(ready)
	@:

$(ready): requirements.txt setup.py pyproject.toml $(CONSTRAINTS) $(if $(is_fit),,again)
	@command -v "$(PYTHON)" > /dev/null || { echo "setup: there is no '$(PYTHON)'; name another one by adding PYTHON=python3.11" >&2; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, $(NEWEST)))' || { echo "setup: Python 3.9 to 3.$(NEWEST) is needed here, and $(PYTHON) is $$("$(PYTHON)" --version); name another one by adding PYTHON=python3.11" >&2; exit 2; }
	@[ ! -e "$(VENV)" ] || [ -e "$(VENV)/pyvenv.cfg" ] || { echo "setup: '$(VENV)' is no virtual environment, and is left alone; name another folder by adding VENV=..." >&2; exit 2; }
	@echo "setup: making $(VENV) with $(PYTHON), PADDLE=$(PADDLE); about 250 MB are fetched ($(if $(filter gpu,$(PADDLE)),some gigabytes more,PADDLE=gpu: some gigabytes))"
	@# What was begun and not finished, and what was made for something else, is not mended but made again.
	@unfit=$$(ls -A "$(VENV)" 2> /dev/null | grep -E '^\.(unfinished|ready-)' | grep -vx '$(and $(is_fit),$(notdir $(ready)))' || true); \
	$(if $(has_python),[ -z "$$unfit" ] || )"$(PYTHON)" -m venv $${unfit:+--clear} "$(VENV)"
	@touch "$(VENV)/.unfinished"
	@$(python) -m pip install -qq --upgrade pip
	@$(python) -m pip install -qq $(if $(PADDLE_INDEX),--extra-index-url "$(PADDLE_INDEX)") $(if $(CONSTRAINTS),--constraint "$(CONSTRAINTS)") --editable '.[$(PADDLE),dev]' || \
	{ [ $(PADDLE) = cpu ] || echo "setup: PyPI has paddlepaddle-gpu 2.6.2, for Python 3.9 to 3.12; Paddle's own index has 3.x: make setup PADDLE_INDEX=https://www.paddlepaddle.org.cn/packages/stable/cu126/ (without the GPU: make setup PADDLE=cpu)" >&2; exit 1; }
	@mv "$(VENV)/.unfinished" "$@"

# Never a file, so what depends on it is made again.
again:

.PHONY: quickstart
quickstart: setup  ## digits: prepare, train, evaluate, export, predict
	$(VENV)/bin/ppcls data prepare digits
	$(python) tools/train.py -c $(digits_config) --overwrite -o 'Loggers=[Console: {interval: 10}, JsonLines, Curves]'
	$(python) tools/eval.py -c $(digits_config) --json $(digits_run)/eval.json
	$(python) tools/export_model.py -c $(digits_config) --overwrite
	$(python) deploy/predict.py --model_dir $(digits_run)/inference --input $(digit)
	@echo
	@echo 'Done. Look at the learning curves: $(digits_run)/curves.png'
	@echo 'Accuracy: $(digits_run)/eval.json  exported model: $(digits_run)/inference/'

# Style and types are checked beside the tests; what they have to say comes first or last, not between.
define test_with_checks
@checks=$$(mktemp); trap 'rm -f "$$checks"' EXIT; \
$(MAKE) --no-print-directory PADDLE=$(PADDLE) lint types > "$$checks" 2>&1 & \
status=0; $(pytest) $(1) $(TESTS) || status=$$?; \
wait $$! || status=$$?; cat "$$checks"; exit $$status
endef

.PHONY: test
test: export HOSTILE = 100
test: setup  ## what CI runs: style, types, and all tests but the exhaustive ones
	$(call test_with_checks,-m "not exhaustive")

.PHONY: test-fast
test-fast: setup  ## the tests that take a moment; run them after every edit
	$(pytest) -m "not slow and not exhaustive" $(TESTS)

.PHONY: test-all
test-all: setup  ## style, types and every test: each network exported and converted, ten kills
	$(call test_with_checks,)

.PHONY: test-hostile
test-hostile: setup  ## 10,000 hostile inputs for every reader, of a new seed (HOSTILE=..., HOSTILE_SEED=...)
	@report=$$(mktemp); trap 'cat "$$report"; rm -f "$$report"' EXIT; \
	HOSTILE=$(HOSTILE) HOSTILE_SEED=$(HOSTILE_SEED) HOSTILE_REPORT="$$report" $(pytest) -o timeout=3600 tests/hostile

.PHONY: test-oldest
test-oldest:  ## every test with the oldest versions supported, in .venv-oldest
	@$(MAKE) --no-print-directory setup oldest VENV="$(OLDEST_VENV)" PYTHON="$(OLDEST_PYTHON)" CONSTRAINTS=requirements/oldest.txt NEWEST=12

oldest:
	$(pytest) $(TESTS)

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
