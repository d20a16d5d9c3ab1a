# Every target installs what it needs: .pipenv holds the package manager, .venv the packages of Pipfile.lock.
# macOS has make 3.81 of 2006: each line of a recipe has a shell of its own, sh, and the tools' options are those of BSD.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

PIPENV_VERSION := 2026.10.3
KUBE_SCORE_VERSION := v1.20.0
PIPENV := .pipenv/bin/pipenv
export PIPENV_VENV_IN_PROJECT := 1
export PIPENV_IGNORE_VIRTUALENVS := 1
export PIPENV_VERBOSITY := -1
export PIPENV_NOSPIN := 1
# PYTHON=... names the interpreter; without it scripts/find-python searches for one
ifdef PYTHON
export PYTHON
endif

# HOST and PORT in the environment are meant for other programs, so these are set on the command line only: make run PORT=8080
MODEL :=
HOST :=
PORT :=
GRPC_PORT :=
REST_PORT :=
# make images, make e2e-images: which container images to build (IMAGES), with which tool (BUILDER: docker, podman or buildah;
# BUILD_OPTIONS), under which names (REGISTRY: a prefix that ends in /), and with which model (MODEL_FOLDER: the folder of its
# version folders)
IMAGES := gateway model-server model-server-portable client
TAG := $(shell sed -n 's/^VERSION = "\(.*\)"$$/\1/p' gateway/__init__.py)
REGISTRY :=
BUILDER :=
BUILD_OPTIONS :=
# make deploy
OVERLAY := kind
# make canary: the container image of the next model, and in percent how many requests it answers, and how many others for
# comparison; make promote: a file like kube-config/components/canary/bounds.toml
IMAGE :=
SHARE :=
SHADOW :=
BOUNDS :=
canary_of = python=$$(scripts/find-python) && exec "$$python" -m scripts.canary --overlay "kube-config/overlays/$(OVERLAY)"
MODEL_FOLDER := model-server/models/brain-tumor
# make experiment: the data (kaggle/1, kaggle/2, phantom or a folder), the folder of the results, and further options of
# python -m training.experiment. make bench-peers: options of python -m benchmarks.peers
DATA :=
OUT := runs/experiment
OPTIONS :=
# make test: which tests, and pytest's options
TESTS := tests
PYTEST_OPTIONS := --durations=10
# The tiers, their tests and benchmarks talk to each other on this machine, and never through a proxy.
comma := ,
export no_proxy := $(if $(no_proxy),$(no_proxy)$(comma))127.0.0.1,localhost

# What is installed: a category of the Pipfile each, and the folders of sources that are not at the checkout's root.
SERVING := .venv/.gateway .venv/.model-server .venv/.sources
ALL := $(SERVING) $(addprefix .venv/.,converter keras-2 training client test test-manifests serving-api dev-packages)
# What the tests of each folder of tests/ need beside the category test. Other paths, and all of tests/, need everything.
TESTS_OF_brain_tumor := gateway
TESTS_OF_serving_api := gateway serving-api
TESTS_OF_tracing := gateway model-server sources
TESTS_OF_gateway := gateway
TESTS_OF_model_server := model-server sources converter
TESTS_OF_converter := model-server sources converter keras-2
TESTS_OF_client := gateway model-server sources client
TESTS_OF_training := gateway model-server sources converter training
TESTS_OF_integration := gateway model-server sources converter keras-2 training
TESTS_OF_kube_config := gateway model-server sources client test-manifests
TESTS_OF_scripts := gateway
TESTS_OF_benchmarks := gateway training
TESTS_OF_e2e := gateway model-server sources converter training test-manifests
packages_of = .venv/.test $(or $(addprefix .venv/.,$(TESTS_OF_$(word 2,$(subst /, ,$(1))))),$(ALL))
CODE := brain_tumor serving_api tracing training converter gateway model-server/portable_model_server client/brain_tumor_client scripts

.PHONY: help install keras-2 run experiment test check format lock bench bench-peers images tag tools kind-up deploy canary canary-report promote rollback kind-down e2e-images e2e clean

help: ## Show this help
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed "s/:.*## /$$(printf '\t')/" | expand -t 12

run: $(SERVING) $(if $(MODEL),.venv/.converter) ## Serve on this machine; MODEL=path converts and serves your own
	@exec .venv/bin/python -m scripts.serve $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT)) \
	  $(if $(GRPC_PORT),--grpc-port $(GRPC_PORT)) $(if $(REST_PORT),--rest-port $(REST_PORT)) \
	  $(if $(MODEL),--keras-model "$(MODEL)")

experiment: .venv/.training .venv/.converter .venv/.model-server .venv/.sources ## From images to a served model: DATA=kaggle/1, kaggle/2, phantom or a folder
	@if [ -z "$(DATA)" ]; then \
	  echo "make experiment needs DATA: kaggle/1, kaggle/2, phantom, or a folder of images" >&2; \
	  exit 2; \
	fi
	@exec .venv/bin/python -m training.experiment "$(DATA)" "$(OUT)" $(OPTIONS)

keras-2: .venv/.converter .venv/.keras-2 ## Install what reads models that Keras 2 wrote (TensorFlow 2.15 and earlier)

install: $(ALL) ## Install every part's packages into .venv

test: $(foreach path,$(TESTS),$(call packages_of,$(path))) ## Run all tests, or those of TESTS=path, and install only what they need
	.venv/bin/python -m pytest $(PYTEST_OPTIONS) $(TESTS)

check: $(ALL) ## Lint, types, import arrows, and the lock file
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy $(CODE)
	.venv/bin/mypy --platform darwin --cache-dir .mypy_cache/darwin $(CODE) # what only Linux has
	.venv/bin/lint-imports
	$(PIPENV) verify

format: .venv/.dev-packages ## Format the code
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

lock: $(PIPENV) ## Write Pipfile.lock from the Pipfile
	PIPENV=$(PIPENV) scripts/lock

bench: $(ALL) ## Run the benchmarks
	.venv/bin/python -m benchmarks.first_response
	.venv/bin/python -m benchmarks.input_pipeline

bench-peers: $(ALL) ## Compare with other servers on this machine, which takes an hour the first time; OPTIONS="--only bentoml"
	.venv/bin/python -m benchmarks.peers $(OPTIONS)

images: ## Build the container images; IMAGES, TAG, REGISTRY and BUILDER say which and how
	@TAG=$(TAG) REGISTRY=$(REGISTRY) BUILDER=$(BUILDER) BUILD_OPTIONS="$(BUILD_OPTIONS)" MODEL="$(MODEL_FOLDER)" \
	  scripts/images $(IMAGES)

tag: ## Print the tag of the container images
	@echo $(TAG)

tools: .tools/kube-score ## Install the linter that the manifests' tests use (needs Go)

kind-up: ## Make a kind cluster with the container images and metrics-server (needs Docker or Podman, kind and kubectl)
	@TAG=$(TAG) BUILDER=$(BUILDER) BUILD_OPTIONS="$(BUILD_OPTIONS)" MODEL="$(MODEL_FOLDER)" scripts/kind-cluster up

deploy: ## Apply kube-config to the cluster that KUBECONFIG names, and wait: OVERLAY=kind, eks or your own
	@scripts/deploy "$(OVERLAY)"

canary: ## Try the model of IMAGE=name:tag beside the one that serves, or change SHARE and SHADOW; OVERLAY as for deploy
	@$(canary_of) begin --image "$(IMAGE)" $(if $(SHARE),--share "$(SHARE)") $(if $(SHADOW),--shadow "$(SHADOW)")

canary-report: ## Print how the canary does beside the model that serves
	@$(canary_of) report

promote: ## Let the canary answer all requests, if it keeps the bounds of BOUNDS=file
	@$(canary_of) promote $(if $(BOUNDS),--bounds "$(BOUNDS)")

rollback: ## End the canary, or undo the last promotion
	@$(canary_of) rollback

kind-down: ## Remove the kind cluster
	@BUILDER=$(BUILDER) scripts/kind-cluster down

e2e-images: ## Build the container images that make e2e tests, those of its load generator and its next model (needs Go)
	@CGO_ENABLED=0 go build -C tests/e2e/image -o vegeta github.com/tsenart/vegeta/v12
	@TAG=$(TAG) REGISTRY=$(REGISTRY) BUILDER=$(BUILDER) BUILD_OPTIONS="$(BUILD_OPTIONS)" \
	  scripts/images gateway model-server-portable client e2e e2e-next

e2e: $(call packages_of,tests/e2e) ## Test on the cluster that KUBECONFIG names, in its own namespaces; TESTS=path narrows
	E2E=1 REGISTRY=$(REGISTRY) .venv/bin/python -m pytest $(PYTEST_OPTIONS) $(if $(filter tests,$(TESTS)),tests/e2e,$(TESTS))

clean: ## Remove the installed packages and caches
	rm -rf .venv .pipenv .tools .pytest_cache .mypy_cache .ruff_cache

.tools/kube-score: Makefile
	@echo "Installing kube-score $(KUBE_SCORE_VERSION) into .tools"
	@GOBIN="$(CURDIR)/.tools" go install github.com/zegl/kube-score/cmd/kube-score@$(KUBE_SCORE_VERSION)
	@touch $@

$(PIPENV): Makefile
	@echo "Installing pipenv $(PIPENV_VERSION) into .pipenv"
	@python=$$(scripts/find-python) && "$$python" -m venv --clear .pipenv
	@.pipenv/bin/python -m pip install --quiet --disable-pip-version-check pipenv==$(PIPENV_VERSION)
	@touch $@

# Like an editable install: with it "python -m portable_model_server" runs from the checkout's root.
.venv/.sources: .venv/.model-server
	@packages=$$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
	  printf '%s\n' "$(CURDIR)/model-server" "$(CURDIR)/client" > "$$packages/brain-tumor.pth"
	@touch $@

.venv/.%: Pipfile.lock $(PIPENV)
	@echo "Installing the packages of $*"
	@rm -f $@
	@{ COLUMNS=500 $(PIPENV) sync --verbose --categories $* 2>&1 && touch $@; } | \
	  grep --line-buffered -E '^(Downloading|Successfully|ERROR|Error)|rror:'; test -f $@
