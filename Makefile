# What is slow has a target of its own; `make ci` is what every change must pass.
BIN := .venv/bin

.PHONY: ci format lint types imports test coverage fuzz simulate bench plots bench-baseline fuzz-guided itu load load-kill load-too-many load-restart load-pods load-profile misbehave bad-bots soak soak-short soak-hour lock image sbom packaging-tools chart-tools chart-readme chart-schema

ci: lint types imports test coverage

.venv/installed-dev: pyproject.toml
	python3 -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

format: .venv/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/installed-dev
	$(BIN)/mypy

imports: .venv/installed-dev
	$(BIN)/lint-imports

fuzz: .venv/installed-dev
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -q tests/unit/sip/test_agent_fuzz.py tests/unit/sip/test_parser.py tests/fuzz

FUZZ_SECONDS := 60
fuzz-guided: .venv/installed-dev  # for FUZZ_SECONDS each; what it finds stays here as crash-HASH
	$(BIN)/python -m pip install --quiet --editable '.[fuzz]'
	for target in parser description framer digest agent; do \
	  $(BIN)/python -m tests.fuzz.guided $$target -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

simulate: .venv/installed-dev
	SIP_SEEDS=1000 $(BIN)/python -m pytest -q tests/simulation

bench: .venv/installed-dev  # the table of docs/performance.md; on a machine that does nothing else
	for calls in 1 10 100 300 500; do $(BIN)/sidecar bench --calls $$calls --seconds 20 --json; done
	for calls in 300 500; do $(BIN)/sidecar bench --calls $$calls --seconds 20 --mix stereo --json; done
	for calls in 300 500; do $(BIN)/sidecar bench --calls $$calls --seconds 20 --workers 2 --json; done
	for option in "--ptime 10" "--ptime 40" "--rtp-mode ports" --tls --deflate; do $(BIN)/sidecar bench --calls 200 --seconds 20 $$option --json; done

plots: .venv/installed-dev  # of docs/performance.md: what `make -s bench` has printed goes into docs/performance.jsonl
	$(BIN)/python -m bench.plots docs/performance.svg docs/performance.jsonl

bench-baseline: .venv/installed-dev  # beside the bridge that most Python code would be; four minutes, on a machine that does nothing else
	$(BIN)/python -m bench.baseline --calls 50 100 150 200 300 500 --rounds 2

itu: .venv/installed-dev  # G.711 and G.722 on the ITU-T's own sequences; ITU_STL says where its Software Tool Library lies
	test -d '$(ITU_STL)'
	ITU_STL='$(ITU_STL)' $(BIN)/python -m pytest -q tests/conformance/test_itu_sequences.py

load: .venv/installed-dev  # 200 calls a second for a minute; on a machine that does nothing else
	$(BIN)/python -m tests.load.sip_calls
	$(BIN)/python -m tests.load.sip_calls --answer immediate

load-kill: .venv/installed-dev  # one of three media workers, with 100 of 300 calls; alone
	$(BIN)/python -m tests.load.worker_dies --calls 300

load-too-many: .venv/installed-dev  # ten times what it takes, for a minute; alone
	$(BIN)/python -m tests.load.too_many

load-restart: .venv/installed-dev  # sidecars replaced behind a Kamailio while 200 calls are up; a minute
	$(BIN)/python -m tests.load.rolling_restart

load-pods: .venv/installed-dev  # sidecars in namespaces that drain, die and are cut off, and so is Redis; needs root; three minutes, alone
	$(BIN)/python -m tests.load.pods

misbehave: .venv/installed-dev  # 10,000 calls whose bots misbehave at random; about ten minutes
	MISBEHAVING_CALLS=10000 LONGEST_TEST_SECONDS=1800 $(BIN)/python -m pytest -q -s tests/integration/test_bots_at_random.py -k batched

bad-bots: .venv/installed-dev  # what a bot that misbehaves costs the others, and in memory; three minutes, alone
	for kind in quiet stalled flooding reconnecting; do \
	  $(BIN)/python -m tests.load.bad_bots $$kind --good 99 --bad 1 || exit 1; \
	  $(BIN)/python -m tests.load.bad_bots $$kind --good 10 --bad 20 || exit 1; \
	done

soak: .venv/installed-dev  # 300 calls for 20 minutes; fails if memory grows
	$(BIN)/python -m tests.load.soak --calls 300 --seconds 1200

soak-short: .venv/installed-dev
	$(BIN)/python -m tests.load.soak --calls 50 --seconds 60

soak-hour: .venv/installed-dev  # 200 good calls and 100 rough ones for an hour; fails if anything of them is left
	$(BIN)/python -m tests.load.soak_hour

load-profile: .venv/installed-dev  # where the time of a call goes; needs the right to look into processes
	$(BIN)/python -m pip install --quiet --editable '.[profile]'
	$(BIN)/python -m tests.load.sip_calls --seconds 20 --rate 100 --profile profile.txt

packaging-tools: .venv/installed-dev
	$(BIN)/python -m pip install --quiet --editable '.[packaging]'

COMPILE = CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --generate-hashes --strip-extras \
  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options
lock: packaging-tools  # what the image installs, to the byte: the newest of all that pyproject.toml allows
	$(COMPILE) --upgrade --extra otel --extra redis --output-file requirements.lock pyproject.toml
	$(COMPILE) --upgrade --only-build-deps --build-deps-for wheel --output-file requirements-build.lock pyproject.toml

IMAGE := audio-stream-sidecar
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' sidecar/__init__.py)
image:  # with its version and commit in its labels; IMAGE says where it will be pushed to
	docker build --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) \
	  --tag $(IMAGE):$(VERSION) --tag $(IMAGE) .

sbom: packaging-tools  # what is in the image, for those who must know: dist/sbom.cdx.json, CycloneDX
	python3 -m venv --clear --without-pip build/image
	$(BIN)/python -m pip --python build/image/bin/python install --quiet --no-deps --only-binary :all: \
	  --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip --python build/image/bin/python install --quiet --no-deps .
	mkdir -p dist
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-file dist/sbom.cdx.json build/image/bin/python

chart-tools: .venv/installed-dev  # Helm 3 and 4, for the tests of the chart
	$(BIN)/python -m tests.packaging.bring_helm

chart-readme: .venv/installed-dev  # after a change of values.yaml
	$(BIN)/python helm/make_readme.py

chart-schema: .venv/installed-dev  # after a change of settings
	$(BIN)/python helm/make_schema.py

test: .venv/installed-dev
	$(BIN)/python -m pytest --cov --cov-report=

coverage:  # of the last test run: the cores are covered whole, branch by branch
	$(BIN)/coverage report --include='sip/*,rtp/*,sidecar/core/*' --fail-under=100 --show-missing --skip-covered
