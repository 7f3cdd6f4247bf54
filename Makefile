# An index of commands; each is one line of something a person could type.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo test lint lock clean crash simulate stateful tamper storage fuzz coverage mutants

setup: $(READY)                 ## an isolated environment with the locked dependencies

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	$(BIN)/python -m compileall -q gateway connectors marketplace maintenance
	@touch $@

demo: $(READY)                  ## a simulated factory, a simulated market and the gateway between them
	@$(BIN)/toolcrib demo $(ARGS)

# Where tests that measure time live: the rest need not be looked through for them.
SERIAL := tests/performance tests/journeys tests/faults

# What pytest makes of the tests is kept, whatever the shell says of bytecode: five processes need it.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(READY)                  ## everything a user should be able to verify; some minutes
	@$(BIN)/python -m pytest -q -m "serial and not long" $(SERIAL) $(ARGS)
	@$(BIN)/python -m pytest -q -n 3 --dist worksteal -m "not serial and not long" $(ARGS)

lint: $(READY)                  ## style, types, arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Campaigns: proofs by counting. Each prints one JSON object as its last line and exits 0 only if its invariant held.
KILLS ?= 1000
MONTHS ?= 50
RUNS ?= 1000
COUNT ?= 10000
SEED ?= 7

crash: $(READY)                 ## kill the real gateway KILLS times while it buys, and count orders at the suppliers
	@$(BIN)/python -m tests.campaigns.crash --kills $(KILLS) $(ARGS)

simulate: $(READY)              ## MONTHS of a plant on a virtual clock, with faults, invariants after every event
	@$(BIN)/python -m tests.campaigns.simulation --months $(MONTHS) --seed $(SEED) $(ARGS)

stateful: $(READY)              ## RUNS of random acts on the money core, never over any limit
	@$(BIN)/python -m tests.campaigns.stateful --runs $(RUNS) --seed $(SEED) $(ARGS)

tamper: $(READY)                ## COUNT flips, deletions, swaps and truncations of an audit log, each found with its place
	@$(BIN)/python -m tests.campaigns.tamper --count $(COUNT) --seed $(SEED) $(ARGS)

storage: $(READY)               ## a failing disk, lost writes and power cuts at every storage call of a purchase
	@$(BIN)/python -m tests.campaigns.storage $(ARGS)

FRAMES ?= 1000000
MESSAGES ?= 100000

fuzz: $(READY)                  ## MESSAGES of OPC-UA against asyncua's decoder, FRAMES of Modbus against the truth
	@$(BIN)/python -m tests.campaigns.fuzz.opcua --count $(MESSAGES) --seed $(SEED)
	@$(BIN)/python -m tests.campaigns.fuzz.modbus --count $(FRAMES) --seed $(SEED)

coverage: $(READY)              ## branch coverage of authority, ordering, audit and money by their unit tests
	@$(BIN)/coverage run -m pytest -q tests/unit/marketplace
	@$(BIN)/coverage report

mutants: $(READY)               ## mutation testing of the same; some hours, kept by module and added up over runs
	@$(BIN)/python -m tests.campaigns.mutants $(ARGS)

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock:                           ## resolve again: for development, and for the image; hashes, and no index address
	$(COMPILE) --all-extras pyproject.toml -o requirements.lock
	$(COMPILE) --constraint requirements.lock pyproject.toml -o requirements.runtime.lock
	$(COMPILE) --constraint requirements.lock docker/build.in -o docker/build.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
