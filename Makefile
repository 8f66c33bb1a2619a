# Needs Python 3.11 or newer and make; everything else is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow lint format bench docs schemas clean

demo: .venv/.with-pooling  ## measure a paper's claims on embedded images
	$(BIN)/cenote run order-theory

test: .venv/.with-dev  ## the tests, experiments at their smallest
	$(BIN)/pytest -n 2 -m "not slow"

test-slow: .venv/.with-dev  ## kill, simulation, smoke, wheel and documentation tests
	$(BIN)/pytest -n 2 -m slow

lint: .venv/.with-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.with-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.with-dev  ## ratios to the best peer; refuses a busy machine
	for file in benchmarks/[a-z]*.py; do $(BIN)/python $$file || exit 1; done

docs: .venv/.with-dev  ## README's table, then the site, into docs/_build
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict  # the variable silences an advertisement

schemas: .venv/.with-dev  ## rewrite the JSON Schemas after a change of card or result
	$(BIN)/python -m cenote.catalog.schemas

.venv/.with-%: pyproject.toml
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[$*]"
	touch $@

clean:
	rm -rf .venv build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
