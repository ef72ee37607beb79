# Two commands for newcomers: `make train` and `make test`. Each builds .venv from nothing and does its job.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# FAISS for the GPU where there is one, for the CPU elsewhere.
FAISS := $(if $(shell command -v nvidia-smi 2>/dev/null && nvidia-smi -L 2>/dev/null),gpu,cpu)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
SETTINGS := pyproject.toml setup.py constraints.txt

# The folder in which this tree is called `lukasa`, for programs that read it without installing it.
NAMES := $(VENV)/names

.PHONY: train test test-all lint format docs constraints clean

train: $(VENV)/users
	$(BIN)/lukasa train rl repeat_previous_medium_ntm

# Two files of tests at a time, or up to four; each process of tests has a Ray of its own.
test: $(VENV)/developers
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.compile_kernels  # once, so that no test waits for it
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n auto --maxprocesses 4 --dist loadfile

test-all: $(VENV)/developers
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest

lint: $(VENV)/developers $(NAMES)/lukasa
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(VENV)/developers
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The site: all pages, the references of packages and commands, and every link of it checked.
docs: $(VENV)/writers
	OMP_NUM_THREADS=1 $(BIN)/python -m docs.building build/docs

# Today's newest versions that fit together, in an environment of their own, for every later install.
constraints:
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[cpu,envs,dev,docs,wandb,mlflow]'
	{ head -n 1 constraints.txt; \
	  build/constraints/bin/python -m pip freeze --disable-pip-version-check --exclude lukasa; \
	  build/constraints/bin/python -m pip freeze --disable-pip-version-check | sed -n 's/^faiss-cpu/faiss-gpu/p'; \
	} > build/constraints.txt
	mv build/constraints.txt constraints.txt
	rm -rf build/constraints

$(NAMES)/lukasa:
	mkdir -p $(NAMES)
	ln -sfn ../.. $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "lukasa needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/users: $(VENV)/bin/python $(SETTINGS)
	$(PIP) --editable '.[$(FAISS),envs]'
	@touch $@

$(VENV)/developers: $(VENV)/bin/python $(SETTINGS)
	$(PIP) --editable '.[$(FAISS),envs,dev]'
	@touch $@ $(VENV)/users

$(VENV)/writers: $(VENV)/bin/python $(SETTINGS)
	$(PIP) --editable '.[$(FAISS),envs,docs]'
	@touch $@ $(VENV)/users

clean:
	rm -rf $(VENV) build *.egg-info
