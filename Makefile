# An index of commands; each is one line of something a person could type.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo test lint lock clean

setup: $(READY)                 ## an isolated environment with the locked dependencies

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	$(BIN)/python -m compileall -q gateway connectors marketplace maintenance
	@touch $@

demo: $(READY)                  ## a simulated factory, a simulated market and the gateway between them
	@$(BIN)/toolcrib demo $(ARGS)

test: $(READY)                  ## everything a user should be able to verify, in under five minutes
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not serial" $(ARGS)
	@$(BIN)/python -m pytest -q -m serial $(ARGS)

lint: $(READY)                  ## style, types, arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock:                           ## resolve again: for development, and for the image; hashes, and no index address
	$(COMPILE) --all-extras pyproject.toml -o requirements.lock
	$(COMPILE) --constraint requirements.lock pyproject.toml -o requirements.runtime.lock
	$(COMPILE) --constraint requirements.lock docker/build.in -o docker/build.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
