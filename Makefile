# `make book` and `make test` do all the set-up themselves. PYTHON names the interpreter to start from: 3.11 to 3.13.
# On Windows this needs a POSIX shell, as Git brings one; without make, the README has three lines that do the same.
PYTHON ?= $(if $(filter Windows_NT,$(OS)),python,python3)
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PORT ?= 8000
RESULTS ?= _build/benchmark.json
# How many tests run side by side. Those of one file, and the cells of one chapter, stay together.
WORKERS ?= 2
PYTEST = $(BIN)/pytest --numprocesses=$(WORKERS) --dist=loadfile
# TORCH names the build of PyTorch where there are several, as on Linux: cpu, cu130, auto, …; uv knows where each is.
TORCH ?=
# What is installed; `make newest` names others for the make that it calls, and they are not for those that the tests call.
REQUIREMENTS ?= requirements.txt
CONSTRAINTS ?= constraints.txt
unexport REQUIREMENTS CONSTRAINTS
READY := $(VENV)/.ready
PEERS := $(VENV)/.peers
COSMIC := $(VENV)/.cosmic
BUILD := $(BIN)/jupyter-book build . --warningiserror --nitpick --keep-going --quiet
# A second run of a chapter's checks, on the plainest code path of the CPU and with one thread:
# what a chapter prints must not hang on which instructions summed its numbers.
PLAIN := ATEN_CPU_CAPABILITY=default OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

# On Windows, too, a text is UTF-8.
export PYTHONUTF8 := 1

.DEFAULT_GOAL := help
.PHONY: help book pdf test lint units chapters summary mutants bench weigh verify serve live notebooks lock clean
.PHONY: renew moved picture copies lowest publish newest links way-out report dist release

help: ## say what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# An interpreter that is named, and has another version than the environment's, makes a new environment.
VERSION := import sys; print(*sys.version_info[:2])
ifneq ($(origin PYTHON),file)
ifneq ($(shell $(PYTHON) -c '$(VERSION)'),$(shell $(BIN)/python -c '$(VERSION)' 2>&1))
.PHONY: $(READY)
endif
endif

$(READY): $(REQUIREMENTS) $(CONSTRAINTS) pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("Python %d.%d was found, and 3.11 to 3.13 is needed: make PYTHON=python3.12 ..." % v)'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(shell grep ^pip= requirements.txt)
	$(if $(TORCH),$(BIN)/python -m pip install --quiet $(shell grep ^uv= requirements.txt))
	$(if $(TORCH),$(BIN)/uv pip install --quiet --python $(VENV) --torch-backend=$(TORCH) --no-deps $(shell grep ^torch= $(CONSTRAINTS)))
	$(BIN)/python -m pip install --quiet --requirement $(REQUIREMENTS)
	@touch $@

book: $(READY) ## execute every chapter and build the pages; a warning is an error
	rm -rf _build/html _build/.doctrees _build/jupyter_execute _build/reports
	$(BUILD)
	$(BIN)/python tools/check_pages.py _build/html
	@echo "The book: file://$(CURDIR)/_build/html/index.html"

pdf: book ## the whole book as one PDF as well, where there is a Chromium; the pages then lead to it
	$(BIN)/python tools/print_book.py _build/html

# Each of the four alone, too: where one fails, `make --keep-going test` goes on with the others. BROWSER=no leaves out
# the tests of the pages in a browser.
test: lint book units chapters ## linter, type checker, the book, unit tests, the pages in a browser, every chapter

lint: $(READY) ## what can be said without running anything: linter, formatter, type checker, layers of the package
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

units: pdf ## the unit tests, and the pages in a browser
	$(PYTEST) --junit-xml=_build/reports/tests.xml

chapters: $(READY) ## every chapter against its committed outputs, on the fast and on the plainest code path
	$(PYTEST) --nbval book --junit-xml=_build/reports/chapters.xml
	$(PLAIN) $(PYTEST) --nbval book --junit-xml=_build/reports/chapters-plain.xml

summary: ## what failed in the last `make test`, in Markdown: chapter by chapter and cell by cell
	$(PYTHON) tools/summary.py _build/reports

$(COSMIC): tests/mutation/requirements.txt $(READY)
	$(BIN)/python -m pip install --quiet --requirement $< --requirement requirements.txt
	@touch $@

mutants: $(COSMIC) ## change the package in 1,500 places, one at a time, and see that a test notices; takes hours
	$(BIN)/python tests/mutation/mutants.py $(MODULES)

$(PEERS): benchmarks/requirements.txt $(READY)
	$(BIN)/python -m pip install --quiet --requirement $< --requirement requirements.txt
	@touch $@

bench: $(PEERS) ## time and train side by side with PyTorch, JAX and NEST, for the figures in chapters 8, 9 and 12
	$(BIN)/python benchmarks/units.py $(dir $(RESULTS))units.json
	$(BIN)/python benchmarks/speed.py $(RESULTS)

weigh: book ## weigh the pages, and time their sliders and their loading in a browser
	$(BIN)/python benchmarks/weigh.py

verify: $(READY) ## the identity on 10,000 random networks and 1,000 of any neuron; all mistakes, each among the others
	$(BIN)/python tools/verify.py
	EXAMPLES=1000 $(PYTEST) tests/evidence/test_any_neuron.py
	$(BIN)/python tools/confusion.py

serve: $(READY) ## serve the built pages on this machine
	@$(BIN)/python tools/serve.py _build/html $(PORT)

# As root, as in a container, JupyterLab starts only where it is told that this is meant.
live: $(READY) ## open the chapters in JupyterLab
	$(BIN)/jupyter lab --ServerApp.root_dir=book $(if $(filter 0,$(shell id -u)),--allow-root)

notebooks: $(READY) ## execute the committed chapters and write their outputs back
	$(BIN)/python tools/notebooks.py

lock: $(READY) ## renew constraints.txt from requirements.txt, for every platform and Python version
	sed '/^--constraint/d' requirements.txt | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-header --no-emit-package eprop-nb --output-file constraints.txt -

HOLD ?=
renew: $(READY) ## renew every version, but HOLD="torch<2.14"; execute the chapters; show what has moved; or change nothing
	$(BIN)/python tools/renew.py $(foreach each,$(HOLD),'$(each)')

SINCE ?= HEAD
moved: $(READY) ## show which versions, outputs and figures have moved since a commit, SINCE=HEAD
	$(BIN)/python tools/renew.py --since $(SINCE)

picture: book ## take the README's picture of the built book, where it shows something else by now
	$(BIN)/python tools/picture.py _build/html assets

# What the workflows do on top of it, each of them to be tried on any machine.

copies: $(READY) ## the chapters as they are launched, with a cell that installs the package
	$(BIN)/python tools/copies.py _build/copies

lowest: $(READY) ## run these copies with nothing but the package, and the lowest versions that it allows
	TORCH=$(TORCH) $(BIN)/python tools/lowest.py

publish: ## put these copies on the branch `notebooks`, where Colab finds them
	$(PYTHON) tools/publish.py _build/copies notebooks

newest: $(READY) ## the tests with the newest versions that are allowed, in an environment of their own
	mkdir -p _build
	sed -E 's/^jupyter-book==.*/jupyter-book<2/; s/==.*//; s/^--constraint .*/--constraint newest-constraints.txt/' requirements.txt > _build/newest-requirements.txt
	sed '/^--constraint/d' _build/newest-requirements.txt | $(BIN)/uv pip compile --quiet --prerelease disallow --no-emit-package eprop-nb --output-file _build/newest-constraints.txt -
	$(MAKE) --keep-going book units chapters VENV=_build/newest REQUIREMENTS=_build/newest-requirements.txt CONSTRAINTS=_build/newest-constraints.txt

links: $(READY) ## ask for every outside address of the book
	$(BIN)/jupyter-book build . --builder linkcheck --keep-going --quiet

way-out: $(READY) ## build the book without jupyter-book, with the newest Sphinx and theme
	$(BIN)/python tools/way_out.py _build/way-out

report: ## open one issue, or say in it what has failed in JOBS, as in "newest=success links=failure"
	$(PYTHON) tools/report.py $(JOBS)

dist: $(READY) ## what is released: built, checked, installed and tried in an empty environment
	$(BIN)/python tools/release.py check
	rm -rf _build/dist
	$(BIN)/python -m build --outdir _build/dist .
	$(BIN)/twine check --strict _build/dist/*
	$(BIN)/python tools/try_dist.py _build/dist

release: ## the release of this tag on GitHub, with the notes of CHANGELOG.md
	$(PYTHON) tools/release.py create _build/dist

clean: ## remove what was built, and the environment
	rm -rf _build $(VENV) *.egg-info .pytest_cache .mypy_cache .ruff_cache
