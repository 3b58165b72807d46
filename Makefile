# Every target is complete by itself: it makes the environment that it needs.
# PYTHON is the interpreter that makes the environments.

PYTHON ?= python3
VENV ?= .venv
COMPAT_VERSIONS ?= 1.6.1 1.7.2 1.8.0
WORKERS ?= 2
# What needs no environment of its own, kills nothing and takes no time.
FAST := not crash and not slow and not ecosystem and not cluster

ifeq ($(OS),Windows_NT)
BIN := Scripts
else
BIN := bin
endif

PY := $(VENV)/$(BIN)/python
READY := $(VENV)/.ready
PIP_INSTALL := -m pip install --quiet --quiet --disable-pip-version-check

# One thread a process: with two cores and two test processes, more are slower.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export TF_CPP_MIN_LOG_LEVEL ?= 3
export MPLBACKEND ?= agg

.PHONY: help browser demo test test-unit test-doctest test-parity test-crash \
	test-compat test-lowest test-next test-cluster test-ecosystem lint typecheck \
	docs package bench bench-quick clean
.DEFAULT_GOAL := help

help:
	@echo "make demo          search in three frameworks on real data, and show the store"
	@echo "make test          unit and integration tests, doctests, README, parity"
	@echo "make test-parity   scikit-learn's own tests of GridSearchCV with our class"
	@echo "make test-crash    what make test leaves out: killed processes, slow tests"
	@echo "make test-compat   tests of searches and parity, on scikit-learn $(COMPAT_VERSIONS)"
	@echo "make browser       Chromium for the tests of reports, from Debian's packages"
	@echo "make lint          ruff: rules and format"
	@echo "make typecheck     mypy --strict"
	@echo "make test-lowest   all that needs no framework, on the lowest versions"
	@echo "make test-cluster  on Dask and Ray"
	@echo "make test-ecosystem  XGBoost, LightGBM, CatBoost, MLflow, polars, ..."
	@echo "make package       wheel and sdist, installed into a bare environment"
	@echo "make docs          HTML in docs/_build/html; warnings are errors"
	@echo "make bench-quick   benchmarks at small sizes, 4 minutes; make bench: 40"
	@echo "make clean         remove environments and what tools leave"

$(READY): pyproject.toml constraints/ci.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) $(PIP_INSTALL) -c constraints/ci.txt -e ".[all,dev,docs]"
	@echo ready > $@

# For the tests of reports: Debian's, where it may be installed.
browser:
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then \
		chromium --version; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq --no-install-recommends chromium chromium-driver; \
	else echo "no Chromium, and no right to install it: reports are not tested"; fi

demo: $(READY)
	$(PY) examples/demo.py

test: test-unit test-doctest test-parity

test-unit: $(READY)
	$(PY) -m pytest -n $(WORKERS) -m "$(FAST)"

test-doctest: $(READY)
	$(PY) -m pytest --doctest-modules weightsearch

test-parity: $(READY)
	$(PY) tests/parity/run.py -n $(WORKERS)

test-crash: $(READY)
	$(PY) -m pytest -n $(WORKERS) -m "(crash or slow) and not ecosystem and not cluster"

test-compat: $(COMPAT_VERSIONS:%=test-compat-%)

# What reaches into scikit-learn's searches; all of it runs on the lowest (1.6) and the
# last version.
OF_SEARCHES := $(addprefix tests/integration/test_,search.py own_search.py callbacks.py)

test-compat-%: .venvs/sklearn-%/.ready
	$(if $(filter 1.6.%,$*),, \
		.venvs/sklearn-$*/$(BIN)/python -m pytest -n $(WORKERS) -m "$(FAST)" $(OF_SEARCHES))
	.venvs/sklearn-$*/$(BIN)/python tests/parity/run.py -n $(WORKERS)

.venvs/sklearn-%/.ready: pyproject.toml constraints/compat.txt
	$(PYTHON) -m venv .venvs/sklearn-$*
	.venvs/sklearn-$*/$(BIN)/python $(PIP_INSTALL) -c constraints/compat.txt \
		"scikit-learn==$*" -e ".[test]"
	@echo ready > $@

.PRECIOUS: .venvs/sklearn-%/.ready

test-lowest: .venvs/lowest/.ready
	.venvs/lowest/$(BIN)/python -m pytest -n $(WORKERS) -m "$(FAST)"

.venvs/lowest/.ready: pyproject.toml constraints/lowest.txt
	$(PYTHON) -m venv .venvs/lowest
	.venvs/lowest/$(BIN)/python $(PIP_INSTALL) -c constraints/lowest.txt \
		-e ".[plot,cli,test]"
	@echo ready > $@

# The next scikit-learn, where there is one to try.
test-next: $(READY)
	@version=$$($(PY) -m pip index versions --pre scikit-learn 2>/dev/null \
		| sed -nE '1s/.*\((.*(a|b|rc)[0-9]+)\)/\1/p'); \
	if [ -n "$$version" ]; then $(MAKE) test-compat-$$version; \
	else echo "scikit-learn has no pre-release newer than its last release"; fi

test-cluster: .venvs/cluster/.ready
	.venvs/cluster/$(BIN)/python -m pytest tests/cluster

.venvs/cluster/.ready: pyproject.toml constraints/cluster.txt
	$(PYTHON) -m venv .venvs/cluster
	.venvs/cluster/$(BIN)/python $(PIP_INSTALL) -c constraints/cluster.txt \
		-e ".[test,dask,ray]"
	@echo ready > $@

test-ecosystem: .venvs/ecosystem/.ready
	.venvs/ecosystem/$(BIN)/python -m pytest tests/ecosystem

# xgboost itself would bring half a gigabyte for graphics cards.
.venvs/ecosystem/.ready: pyproject.toml constraints/ecosystem.txt
	$(PYTHON) -m venv .venvs/ecosystem
	.venvs/ecosystem/$(BIN)/python $(PIP_INSTALL) -c constraints/ecosystem.txt \
		-e ".[test,mlflow,skore]" xgboost-cpu lightgbm catboost imbalanced-learn \
		polars pyarrow fsspec statsmodels scikit-optimize
	@echo ready > $@

package: $(READY)
	$(PY) tools/check_package.py

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

typecheck: $(READY)
	$(PY) -m mypy

docs: $(READY)
	$(PY) tools/check_docs.py
	rm -rf docs/api
	$(PY) tools/report_picture.py docs/_static/report.png
	$(PY) -m sphinx -b html -W --keep-going -n docs docs/_build/html

bench: .venvs/bench/.ready
	.venvs/bench/$(BIN)/python benchmarks/run.py

bench-quick: .venvs/bench/.ready
	.venvs/bench/$(BIN)/python benchmarks/run.py --quick

.venvs/bench/.ready: pyproject.toml constraints/ci.txt
	$(PYTHON) -m venv .venvs/bench
	.venvs/bench/$(BIN)/python $(PIP_INSTALL) -c constraints/ci.txt -e ".[bench]"
	@echo ready > $@

clean:
	rm -rf docs/api docs/gallery docs/_build docs/_static/report.png
	rm -rf .venv .venvs build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
