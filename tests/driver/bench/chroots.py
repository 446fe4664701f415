"""Debian trees made by mmdebstrap: one to build in per kernel, one to boot per suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.driver.bench import source
from tests.driver.bench.cache import Cache, digest
from tests.driver.bench.debian import source_line
from tests.driver.bench.kernels import KernelPackage
from tests.driver.bench.progress import step
from tests.driver.bench.run import run

RECIPE = "1"  # raise it when a tree built by an older version of this file will not do
BUILD_TOOLS = ("gcc", "make", "libc6-dev", "sparse", "kmod", "libelf1")


def _unchecked() -> list[str]:
    """Of apt's checks of dates those that this host's is told not to make, as where its mirror is that of a day gone by."""
    lines = run(["apt-config", "dump"]).stdout.splitlines()
    return [name for name in ("Acquire::Check-Valid-Until", "Acquire::Check-Date") if f'{name} "false";' in lines]


def debootstrap(target: Path, suite: str, releases: Sequence[str], packages: Sequence[str], pin: str = "") -> None:
    """Make a Debian tree; apt checks every signature."""
    hooks = []
    if pin:
        # Backports never replace a package by themselves: linux-base must, for 7.x kernels.
        text = rf"Package: linux-*\nPin: release n={pin}\nPin-Priority: 700\n"
        hooks.append(f'--setup-hook=printf "{text}" > "$1/etc/apt/preferences.d/kernel"')
    run(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            "--architectures=amd64",
            f"--include={','.join(packages)}",
            "--dpkgopt=force-unsafe-io",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            "--aptopt=Acquire::Retries \"3\"",
            "--aptopt=APT::Install-Recommends \"false\"",
            *(f'--aptopt={name} "false"' for name in _unchecked()),
            *hooks,
            suite,
            target,
            *map(source_line, releases),
        ],
        # The kernel's hook would build an initramfs that nobody boots.
        env={"INITRD": "No", "TMPDIR": str(target.parent)},
        timeout=900,
    )  # fmt: skip


def build_chroot(cache: Cache, found: KernelPackage) -> Path:
    """The tree that holds this kernel, its headers and its suite's compiler; a kernel from source is compiled there."""
    kernel = found.kernel
    packages: tuple[str, ...]
    recipe: tuple[str, ...]
    if kernel.source:
        packages = (*BUILD_TOOLS, *source.BUILD_TOOLS, kernel.source)
        recipe = (source.RECIPE, source.CONFIG.read_text(encoding="utf-8"))
    else:
        packages, recipe = (*BUILD_TOOLS, found.package, f"linux-headers-{found.release}"), ()
    key = digest(RECIPE, kernel.suite, *kernel.releases, kernel.pin, found.version, *packages, *recipe)

    def build(path: Path) -> None:
        with step(f"{kernel.name}: build chroot with {kernel.source or found.package} {found.version}"):
            debootstrap(path / "root", kernel.suite, kernel.releases, packages, kernel.pin)
        if kernel.source:
            source.compile_kernel(path / "root", kernel.source, found.release)

    return cache.entry("chroot", kernel.name, key, build) / "root"
