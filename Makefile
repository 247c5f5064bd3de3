# `make book` and `make test` do all the set-up themselves. PYTHON names the interpreter to start from: 3.11 to 3.13.
# On Windows this needs a POSIX shell, as Git brings one; without make, the README has three lines that do the same.
PYTHON ?= $(if $(filter Windows_NT,$(OS)),python,python3)
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PORT ?= 8000
RESULTS ?= _build/benchmark.json
READY := $(VENV)/.ready
PEERS := $(VENV)/.peers
COSMIC := $(VENV)/.cosmic
BUILD := $(BIN)/jupyter-book build . --warningiserror --nitpick --keep-going --quiet
# A second run of a chapter's checks, on the plainest code path of the CPU and with one thread:
# what a chapter prints must not hang on which instructions summed its numbers.
PLAIN := ATEN_CPU_CAPABILITY=default OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help book test mutants bench weigh verify serve live notebooks lock clean

help: ## say what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# An interpreter that is named, and has another version than the environment's, makes a new environment.
VERSION := import sys; print(*sys.version_info[:2])
ifneq ($(origin PYTHON),file)
ifneq ($(shell $(PYTHON) -c '$(VERSION)'),$(shell $(BIN)/python -c '$(VERSION)' 2>&1))
.PHONY: $(READY)
endif
endif

$(READY): requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("Python %d.%d was found, and 3.11 to 3.13 is needed: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(shell grep ^pip= requirements.txt)
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	@touch $@

book: $(READY) ## execute every chapter and build the pages; a warning is an error
	rm -rf _build/html _build/.doctrees _build/jupyter_execute
	$(BUILD)
	$(BIN)/python tools/check_pages.py _build/html
	@echo "The book: file://$(CURDIR)/_build/html/index.html"

test: book ## unit tests, the pages in a browser, every chapter against its committed outputs, linter, type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest
	$(BIN)/pytest --nbval book
	$(PLAIN) $(BIN)/pytest --nbval book

$(COSMIC): tests/mutation/requirements.txt $(READY)
	$(BIN)/python -m pip install --quiet --requirement $< --requirement requirements.txt
	@touch $@

mutants: $(COSMIC) ## change the package in 1,500 places, one at a time, and see that a test notices; takes hours
	$(BIN)/python tests/mutation/mutants.py $(MODULES)

$(PEERS): benchmarks/requirements.txt $(READY)
	$(BIN)/python -m pip install --quiet --requirement $< --requirement requirements.txt
	@touch $@

bench: $(PEERS) ## time the compiled path against PyTorch and JAX side by side, for the figures in chapter 8
	$(BIN)/python benchmarks/speed.py $(RESULTS)

weigh: book ## weigh the pages, and time their sliders and their loading in a browser
	$(BIN)/python benchmarks/weigh.py

verify: $(READY) ## hold the identity against BPTT on 10,000 random networks, for the figure in chapter 5
	$(BIN)/python tools/verify.py

serve: $(READY) ## serve the built pages on this machine
	@$(BIN)/python tools/serve.py _build/html $(PORT)

live: $(READY) ## open the chapters in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=book

notebooks: $(READY) ## execute the committed chapters and write their outputs back
	$(BIN)/python tools/notebooks.py

lock: $(READY) ## renew constraints.txt from requirements.txt, for every platform and Python version
	sed '/^--constraint/d' requirements.txt | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --no-emit-package eprop-nb --output-file constraints.txt -

clean: ## remove what was built, and the environment
	rm -rf _build $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache
