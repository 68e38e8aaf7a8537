# Zəng. Two commands matter: `make demo` and `make test`. Each line below is a command you could type.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock
# What PyPI has of torch for Linux brings gigabytes of CUDA along; its builds for processors are on an index of their own.
CPU_TORCH = $(PIP) --no-deps --retries 0 --timeout 30 --index-url https://download.pytorch.org/whl/cpu \
  $$(grep '^torch==' requirements.lock) || echo "torch for processors is not to be had; taking PyPI's"
RUN := $(BIN)/python -m
# Calls in real time on a machine that others load: what failed is named, runs once more, and must pass then.
BENCH_LIMIT_S ?= 300
AGAIN = $(RUN) pytest --last-failed --last-failed-no-failures none tests/integration tests/e2e

# Minutes of arithmetic that keep no time: `make test` runs them beside the unit tests.
APART = tests/integration/finetune $(wildcard tests/integration/tts_engine/test_vllm_*.py) \
  tests/integration/tts_engine/test_depth_kernels.py tests/integration/tts_engine/test_model_torch.py

# Threads of numpy and torch would wait for each other by spinning, on cores that the other job and the services want.
test covered apart unit integration e2e: export OMP_NUM_THREADS ?= 1

.PHONY: demo test covered apart check lint format types imports unit vllm-env triton-env integration e2e bench load lock clean docker-lint

demo: $(VENV)/.demo ## Set up what is missing and serve the bot on this machine; VOICE=espeak: by espeak-ng
	$(BIN)/zeng demo $(if $(VOICE),--voice $(VOICE))

test: $(VENV)/bin/python ## Set up what is missing and pass the tests
	PYTHON=$(BIN)/python sh tests/system_packages.sh # before what is built with their compiler
	$(MAKE) --no-print-directory $(VENV)/.test
	$(MAKE) --no-print-directory --jobs 2 covered apart
	$(RUN) pytest tests/integration tests/e2e $(APART:%=--ignore=%) || $(AGAIN)

covered: $(VENV)/.test ## The unit tests, and whether they go through every branch of the cores
	$(RUN) pytest tests/unit --cov --cov-report=
	$(RUN) tests.core_coverage

apart: check vllm-env triton-env ## What computes and measures no time, beside the unit tests on the second core
	$(RUN) pytest $(APART)

check: lint types imports ## Style, types and the direction of imports

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.test
	$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(VENV)/.test
	$(BIN)/lint-imports

unit: $(VENV)/.test
	$(RUN) pytest tests/unit

vllm-env: $(VENV)/bin/python ## vLLM's CPU build in an environment of its own, once a machine
	PYTHON=$(BIN)/python tests/vllm_env.sh

triton-env: $(VENV)/bin/python ## Triton, whose interpreter runs the kernels here, apart from the environment, once a machine
	PYTHON=$(BIN)/python tests/triton_env.sh

integration: $(VENV)/.test vllm-env triton-env
	sh tests/system_packages.sh
	$(RUN) pytest tests/integration

e2e: $(VENV)/.test
	sh tests/system_packages.sh
	$(RUN) pytest tests/e2e

bench: $(VENV)/.test ## Print every CPU bench, each for five minutes at most (BENCH_LIMIT_S), 90 in all; results stand in docs/benchmarks.md
	@for bench in tests/bench/bench_*.py; do \
	  echo "== $$bench"; began=$$(date +%s); \
	  OMP_NUM_THREADS=1 timeout -s INT -k 30 $(BENCH_LIMIT_S) $(BIN)/python $$bench; code=$$?; \
	  echo "== $$(($$(date +%s) - began)) s"; \
	  case $$code in 0) ;; 124) echo "== cut off at BENCH_LIMIT_S=$(BENCH_LIMIT_S)" ;; *) failed="$$failed $$bench" ;; esac; \
	done; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

load: $(VENV)/.test ## How many calls this machine holds: docs/loadtest.md; about 20 minutes, nothing else running
	$(BIN)/python tests/bench/bench_load.py keys sip knee
	$(BIN)/python tests/bench/bench_load.py voice sip knee --to 32

lock: ## Resolve all extras anew into requirements.lock
	sh tests/make_lock.sh

docker-lint: $(VENV)/.test
	$(RUN) pytest tests/unit/test_docker.py

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage htmlcov

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml requirements.lock
	@echo "Installing the bot (2 GB on disk, a few minutes the first time) ..."
	$(CPU_TORCH)
	$(PIP) --editable '.[bot,tts,espeak,torch]'
	touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml requirements.lock
	$(CPU_TORCH)
	$(PIP) --editable '.[bot,tts,espeak,finetune,quality,dev]'
	$(PIP) --no-deps resemblyzer==0.1.4 # for its weights: what the package itself needs is not used
	@$(PIP) pesq 2>/dev/null || echo "PESQ is not built (it needs a C compiler): load tests go without a signal score"
	touch $@ $(VENV)/.demo

$(VENV)/.extras: $(VENV)/bin/python pyproject.toml requirements.lock ## Only what EXTRAS names (images)
	$(PIP) --editable '.[$(EXTRAS)]'
	touch $@
