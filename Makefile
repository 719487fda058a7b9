# Everything a person or a CI machine does with this checkout. `make` alone lists the targets.
#
# The virtual environment is made once in $(VENV) and again whenever setup.py or pyproject.toml change. Variables to
# set on the command line:  make test PYTHON=python3.12   make test PYTEST_ARGS="-n 0 tests/layers"

PYTHON ?= python3
VENV ?= .venv
# The extras of setup.py that `make test` and the checks install. Add `torch` to compare with PyTorch as well.
EXTRAS ?= dev
# Two processes, whole files at a time, as files share what is slow to make. TensorFlow needs about 1 GB in each.
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder
DEMO_DIR ?= runs/demo

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
# One environment, so one thing at a time, even with -j.
.NOTPARALLEL:

comma := ,
PY := $(VENV)/bin/python
CORE_STAMP := $(VENV)/.installed
EXTRAS_STAMP := $(VENV)/.installed-$(subst $(comma),-,$(EXTRAS))
DOCS_STAMP := $(VENV)/.installed-docs
INSTALL_INPUTS := setup.py pyproject.toml cnnf_tf/version.py

# Each of the pytest processes gets one thread, or else they take the cores from each other.
TEST_ENV := TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
	TF_CPP_MIN_LOG_LEVEL=2 MPLBACKEND=Agg

.PHONY: help
help: ## List the targets (this text).
	@echo "Usage: make TARGET [VARIABLE=value]. The two that do everything: make demo, make test."
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# --- Installation -----------------------------------------------------------------------------------------------------

# $(call install,WHAT,STAMPS): an editable install of WHAT. One that was cut short leaves $(VENV)/.unfinished behind, and
# the next one then starts from an empty environment: a half-copied package looks installed to pip. A pip that fails by
# itself, for want of a network say, does not cost an environment that worked before.
define install
	@if test -e $(VENV)/.unfinished || ! $(PY) -m pip --version >/dev/null 2>&1; then $(create_venv); fi
	@echo "Installing $(1) into $(VENV): about 600 MB to download the first time."
	@touch $(VENV)/.unfinished
	@$(PY) -m pip install --disable-pip-version-check --editable "$(1)" || \
		{ code=$$?; if test -e $(CORE_STAMP); then rm -f $(VENV)/.unfinished; fi; exit $$code; }
	@rm -f $(VENV)/.unfinished
	@touch $(2)
endef

# Debian and Ubuntu ship python3 without the module `ensurepip`; it is in the package pythonX.Y-venv. The pip of older
# releases can search for hours for versions that go together, hence the newest.
define create_venv
	fail() { echo "Error: $$*" >&2; exit 1; }; \
	command -v "$(PYTHON)" >/dev/null || \
		fail "there is no program $(PYTHON). Install Python 3.10 to 3.13, or name one: make PYTHON=/path/to/python3."; \
	version=$$("$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	case "$$version" in \
		3.1[0-3]) ;; \
		*) fail "$(PYTHON) is Python $$version, and TensorFlow needs 3.10 to 3.13." \
			"Name one that is installed, for example: make PYTHON=python3.12." ;; \
	esac; \
	if test -e "$(VENV)" && ! test -e "$(VENV)/.made-by-make"; then \
		fail "$(VENV) exists, but was not made by this Makefile. Remove it, or name another: make VENV=.venv-make."; \
	fi; \
	if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
		if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
			echo "Python $$version lacks the module ensurepip: installing the package python$$version-venv."; \
			apt-get update -qq; \
			DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "python$$version-venv" >/dev/null; \
		else \
			fail "$(PYTHON) cannot make virtual environments, because its module ensurepip is missing." \
				"On Debian and Ubuntu, run: sudo apt-get install python$$version-venv"; \
		fi; \
	fi; \
	echo "Making a virtual environment with Python $$version in $(VENV)."; \
	mkdir -p "$(VENV)"; \
	touch "$(VENV)/.made-by-make"; \
	find "$(VENV)" -mindepth 1 ! -path "$(VENV)/.made-by-make" -delete; \
	touch "$(VENV)/.unfinished"; \
	"$(PYTHON)" -m venv "$(VENV)"; \
	$(PY) -m pip install --disable-pip-version-check --quiet --upgrade pip
endef

# Of a checkout, the core is what bin/ needs; that is the extra `experiments`, which a wheel does without.
$(CORE_STAMP): $(INSTALL_INPUTS)
	$(call install,.[experiments],$@)

# Whoever has extras has the core.
$(VENV)/.installed-%: $(INSTALL_INPUTS)
	$(call install,.[experiments$(comma)$(subst -,$(comma),$*)],$@ $(CORE_STAMP))

.PHONY: venv
venv: $(EXTRAS_STAMP) ## Make .venv with the package (editable) and the development tools.
	@echo "$(VENV) is ready: source $(VENV)/bin/activate"

# --- The work ---------------------------------------------------------------------------------------------------------

.PHONY: data
data: $(CORE_STAMP) ## Prepare Fashion-MNIST for TensorFlow Datasets (from Debian's package, if need be).
	$(PY) bin/prepare_data.py --dataset=fashion_mnist --apt

.PHONY: demo
demo: data ## Install, get the data, and show on one page what the pretrained models do (DEMO_DIR/index.html).
	$(PY) bin/demo.py --output=$(DEMO_DIR)
	@echo "Next: train one yourself, about 20 minutes on two CPU cores:"
	@echo "  $(PY) bin/train.py --config=configs/fashion_mnist_standard.py --workdir=runs/standard"

.PHONY: test
test: $(EXTRAS_STAMP) ## Install what the tests need and run them all.
	$(TEST_ENV) $(PY) -m pytest $(PYTEST_ARGS)

.PHONY: test-fast
test-fast: $(EXTRAS_STAMP) ## Run the tests without the slow files: what a commit needs, under two minutes.
	$(TEST_ENV) $(PY) -m pytest $(PYTEST_ARGS) -m "not slow"

.PHONY: lint
lint: $(EXTRAS_STAMP) ## Check the code with ruff, and the directions of imports with import-linter.
	$(PY) -m ruff check .
	PYTHONPATH=. $(VENV)/bin/lint-imports --no-cache

.PHONY: format
format: $(EXTRAS_STAMP) ## Format the code with ruff and sort its imports.
	$(PY) -m ruff check --select I --fix .
	$(PY) -m ruff format .

.PHONY: format-check
format-check: $(EXTRAS_STAMP) ## Fail if `make format` would change anything.
	$(PY) -m ruff format --check .

.PHONY: typecheck
typecheck: $(EXTRAS_STAMP) ## Check the types with mypy.
	$(PY) -m mypy

.PHONY: docs
docs: $(DOCS_STAMP) ## Build the site of docs/ and of the docstrings, with search, into site/.
	$(PY) -m mkdocs build

.PHONY: docs-serve
docs-serve: $(DOCS_STAMP) ## Show the site on this machine, and follow every change of a page or docstring.
	$(PY) -m mkdocs serve

.PHONY: notebook
notebook: $(EXTRAS_STAMP) ## Run examples/tour.py and write it, with its pictures, to examples/tour.ipynb.
	$(PY) tools/make_notebook.py

.PHONY: lock
lock: $(EXTRAS_STAMP) ## Rewrite requirements_lock.txt from what is installed in .venv.
	$(PY) -m pip install --disable-pip-version-check --quiet --upgrade setuptools
	$(PY) -m tests.packaging_test --write-lock

.PHONY: wheel-check
wheel-check: $(EXTRAS_STAMP) ## Build wheel and sdist; install the wheel in an empty environment and run it there.
	.ci/wheel_check $(PY)

.PHONY: benchmark
benchmark: $(CORE_STAMP) ## Measure the speed of inference and training on this machine.
	$(PY) bin/benchmark.py

.PHONY: clean
clean: ## Remove the virtual environment, caches and build products; runs/ and data stay.
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
