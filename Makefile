# Every target sets up what it needs, on a fresh Debian 12 or 13; what it builds is kept in
# ${HOTCOPY_CACHE:-${XDG_CACHE_HOME:-~/.cache}/hotcopy}.

KERNEL ?= 6.12
PREPARE = python=$$(tests/setup/prepare) || exit 1; export PYTHONDONTWRITEBYTECODE=1;

.DEFAULT_GOAL := help
.PHONY: test test-quick test-thorough test-install test-packages test-vagrant lint demo bench matrix debug-kernel arm64 proof mutants soak guest install pyz clean-cache help

test: ## every test, in every kernel
	@$(PREPARE) "$$python" -m tests.driver.bench prepare && "$$python" -m pytest -v

test-quick: ## lint, unit tests, and the quick tests in one kernel (KERNEL=6.12)
	@$(PREPARE) "$$python" -m tests.driver.bench prepare $(KERNEL) && \
	"$$python" -m pytest -v --kernels=$(KERNEL) -m "not guest or quick"

test-thorough: ## as make test, with the driver's core on every kernel instead of on two of them
	@$(PREPARE) "$$python" -m tests.driver.bench prepare && "$$python" -m pytest -v --thorough

test-install: ## hotcopy-install on fresh machines: Debian 11, 12 and 13 in guests, about half an hour each
	@$(PREPARE) "$$python" -m tests.driver.bench prepare 5.10 6.1 6.12 && \
	"$$python" -m pytest -v --installs tests/driver/test_install.py

test-packages: ## packages through the real apt, dnf and DKMS on Debian 11, 12 and 13, booted then: an hour and more
	@$(PREPARE) "$$python" -m tests.driver.bench prepare && \
	"$$python" -m pytest -v --installs tests/packages tests/driver/test_packages.py \
	tests/distro/test_quarter.py::test_from_packages_to_their_removal

lint: ## ruff, mypy, shellcheck, and the driver with W=1 and sparse
	@$(PREPARE) "$$python" -m pytest -v tests/lint

demo: ## a hot copy of a busy file system, in a booted kernel
	@$(PREPARE) "$$python" -m tests.demo

bench: ## Hot Copy beside LVM, into docs/benchmarks.md; QUICK=1 is shorter, ONLY=none,hcp1 WORKS=sparse,dense a part
	@$(PREPARE) "$$python" -m tests.benchmark --kernel $(KERNEL) $(if $(QUICK),--quick) \
	$(if $(ONLY),--only $(ONLY)) $(if $(WORKS),--works $(WORKS))

debug-kernel: ## the driver's tests on a kernel with KASAN, lockdep, kmemleak, compiled from Debian's source (10 minutes), the model and more: K=expression
	@$(PREPARE) "$$python" -m tests.driver.bench prepare debug && "$$python" -m tests.proof.debug $(if $(K),-k "$(K)")

arm64: ## the driver's core tests on Debian 13's arm64 kernel, cross-built and emulated: K=expression for others
	@$(PREPARE) "$$python" -m tests.driver.bench prepare arm64 && \
	"$$python" -m pytest -v --kernels=arm64 tests/driver/test_module_code.py && \
	"$$python" -m tests.driver.bench test arm64 $(if $(K),-k "$(K)",--core)

proof: ## thousands of random programs against a model, in every kernel: PROGRAMS=3000 SEED=n; failures are made small
	@$(PREPARE) "$$python" -m tests.driver.bench prepare && "$$python" -m tests.proof --programs $(or $(PROGRAMS),3000) \
	$(if $(SEED),--seed $(SEED))

mutants: ## drivers with a fault on purpose: which test finds it, into docs/mutants.md; ONLY=1,2 a part
	@$(PREPARE) "$$python" -m tests.proof.mutants --kernel $(KERNEL) $(if $(ONLY),--only $(ONLY))

soak: ## an hour of mixed load in a guest of 512 MiB, hot copies coming and going: MINUTES=60
	@$(PREPARE) "$$python" -m tests.proof.soak --kernel $(KERNEL) --minutes $(or $(MINUTES),60)

guest: ## guest tests by hand: make guest KERNEL=6.12 K=expression
	@$(PREPARE) "$$python" -m tests.driver.bench test $(KERNEL) $(if $(K),-k "$(K)")

matrix: ## the distribution matrix, into docs/matrix.md and dist/matrix: make matrix ARGS="--row debian-12/6.1 --stage build"
	@$(PREPARE) "$$python" -m tests.distro $(ARGS)

test-vagrant: ## a Vagrant box built here, vagrant up with libvirt (emulated), the tests of an installed guest over its ssh
	@$(PREPARE) tests/setup/vagrant && "$$python" -m tests.distro --provider vagrant --row debian-12 --local-box 6.1

install: ## Hot Copy onto this machine: make install ARGS="--yes"; make install ARGS=uninstall
	@python=$$(packaging/installer-python) || exit 1; "$$python" -m installer $(ARGS)

pyz: ## dist/hotcopy-install.pyz, the installer with all it needs in one file
	@python=$$(packaging/installer-python pip) || exit 1; "$$python" -m installer.pyz dist/hotcopy-install.pyz && ls -l dist

clean-cache: ## remove everything built and kept outside the tree
	rm -rf "$${HOTCOPY_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/hotcopy}"

help: ## this list
	@sed -n 's/^\([a-z-]*\): ## /  make \1\t/p' Makefile | expand -t 22
