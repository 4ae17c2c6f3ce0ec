# The two commands of the README, and what they stand on.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
RUN = shapes-compressibility
TEST_WORKERS ?= 2
DEEPSPEED = deepspeed einops hjson msgpack ninja py-cpuinfo

.PHONY: install install-test demo test lint

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

install-test: $(VENV)/.installed-test

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
# apart, since accelerate imports it wherever it is installed; the tests that need it look here
	rm -rf $(VENV)/deepspeed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --target $(VENV)/deepspeed --no-deps $(DEEPSPEED)
	touch $@

# Fine-tunes the embedded shapes model with DDPO; a second call continues or shows the first.
demo: install
	$(BIN)/ddpo train configs/ddpo_shapes_compressibility.yaml $$(test -d runs/$(RUN) && echo --resume)
	@echo "open runs/$(RUN)/gallery/index.html"

# A file's tests stay together: they share what they trained. Slow files are early in the order.
test: install-test
	rm -f .coverage .coverage.*
	$(BIN)/python -m pytest --numprocesses $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report=term

lint: install-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
