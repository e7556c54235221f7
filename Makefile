# Needs make and Python 3.10 to 3.13 with venv; everything else is installed into .venv.
#   make PYTHON=/path/to/python3.12 ...   chooses the interpreter.

VENV := .venv
BIN := $(VENV)/bin
PYAIRBYTE := .venv-pyairbyte
VITESS := 23 22 21
RUN := $(BIN)/python -m

.DEFAULT_GOAL := help
.PHONY: help setup pyairbyte test demo local bench soak lint format unit integration cluster older vitess proto \
	wheel audit sbom lock docs qa clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- set-up: each step leaves a stamp, so a second run starts at once -----------------------
# --no-deps: the requirements files are complete, so pip has nothing to resolve.

$(VENV)/.created:
	@python=$$(tools/find_python.sh) && echo "Creating $(VENV) with $$python" \
		&& tools/make_venv.sh "$$python" $(VENV)
	@touch $@

$(VENV)/.requirements: requirements-dev.txt $(VENV)/.created
	@echo "Installing the locked requirements (about a minute the first time)"
	@$(RUN) pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

# --no-build-isolation: the build backend is one of the locked requirements.
$(VENV)/.project: pyproject.toml $(VENV)/.requirements
	@$(RUN) pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# PyAirbyte pins versions that the connector does not share, so it has an environment of its own.
# Where it cannot be had (Python 3.13, a platform without wheels), its tests are skipped.
$(PYAIRBYTE)/.requirements: tools/pyairbyte/requirements.txt $(VENV)/.created
	@tools/make_pyairbyte.sh $(BIN)/python $(PYAIRBYTE) $<

pyairbyte: $(PYAIRBYTE)/.requirements ## Create .venv-pyairbyte, for reading into DuckDB

setup: $(VENV)/.project ## Create .venv with everything the other commands need

# --- the two commands of a newcomer ----------------------------------------------------------

test: setup pyairbyte ## Run every check and test; REQUIRE_VITESS=1 makes a missing Vitess a failure
	@$(BIN)/python tools/run_checks.py

demo: setup ## Show a whole replication on an embedded sharded database, in a minute
	@$(RUN) demo

# --- parts -----------------------------------------------------------------------------------

lint: setup ## Run the static checks
	@$(BIN)/python tools/run_checks.py --lint

format: setup ## Rewrite the sources in the project's format
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

unit: setup ## Run the unit tests
	@$(BIN)/python tools/run_checks.py "unit tests"

integration: setup pyairbyte ## Run the integration tests, those of the embedded database first
	@$(BIN)/python tools/run_checks.py "embedded database" "integration tests"

cluster: setup ## Run the tests of reshards and failovers on a real cluster of many processes (minutes)
	@REQUIRE_VITESS=1 $(BIN)/python tools/run_checks.py "cluster tests"

older: setup ## Run the contract and the main tests on older releases of Vitess, all or VITESS=22
	@for version in $(VITESS); do \
		VITESS_VERSION=$$version REQUIRE_VITESS=1 $(BIN)/python tools/run_checks.py "older Vitess" || exit 1; \
	done

local: setup ## Run the embedded database with sample data until Ctrl-C, for acceptance/config.json
	@$(RUN) embedded_database --sample --mysql-port 15306 --grpc-port 15991 $(LOCAL_ARGS)

vitess: setup ## Run a real Vitess until Ctrl-C (needs Go; built once)
	@$(RUN) integration_tests.vitess up --sample

bench: setup ## Measure speed and memory side by side
	@$(RUN) bench

soak: setup ## Compare replica and source under random faults or DDL, for as long as SOAK_ARGS say
	@$(RUN) integration_tests.replica.soak $(SOAK_ARGS)

# --- maintenance -----------------------------------------------------------------------------

proto: setup ## Regenerate the wire messages from their .proto
	@$(RUN) grpc_tools.protoc -I . --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy \
		--python_out=. --mypy_out=. source_planetscale/vstream/wire/vstream.proto \
		source_planetscale/records/wire/airbyte.proto

wheel: setup ## Build the wheel into dist/
	@$(RUN) pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

audit: ## Compare the locked requirements with known advisories (asks the network)
	@tools/supply_chain.sh audit

sbom: wheel ## Write dist/sbom.cdx.json, the software bill of materials
	@tools/supply_chain.sh sbom

lock: ## Resolve the dependencies anew: poetry.lock and the requirements files
	@tools/lock.sh

docs: setup ## Bring the generated sections of the pages up to date
	@$(RUN) tools.pages

qa: setup ## Run Airbyte's QA checks on the connector (installs them into a venv of their own)
	@$(BIN)/python tools/run_airbyte_qa.py
	@$(RUN) tools.pages

clean: ## Remove what the commands above made
	rm -rf $(VENV) $(PYAIRBYTE) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
