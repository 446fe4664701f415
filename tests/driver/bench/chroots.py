"""Debian trees made by mmdebstrap: one to build in per kernel, one to boot per suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.driver.bench import source
from tests.driver.bench.architectures import AMD64
from tests.driver.bench.cache import Cache, digest
from tests.driver.bench.debian import source_line
from tests.driver.bench.kernels import KernelPackage
from tests.driver.bench.progress import step
from tests.driver.bench.run import run

RECIPE = "1"  # raise it when a tree built by an older version of this file will not do
BUILD_TOOLS = ("gcc", "make", "libc6-dev", "sparse", "kmod", "libelf1")
# And the compiler; Perl is for W=1 (kernel-doc), Python for userland.unconfigured_image().
CROSS_TOOLS = ("make", "perl", "kmod", "libelf1", "python3")


def _unchecked() -> list[str]:
    """Of apt's checks of dates those that this host's is told not to make, as where its mirror is that of a day gone by."""
    lines = run(["apt-config", "dump"]).stdout.splitlines()
    return [name for name in ("Acquire::Check-Valid-Until", "Acquire::Check-Date") if f'{name} "false";' in lines]


def debootstrap(
    target: Path,
    suite: str,
    releases: Sequence[str],
    packages: Sequence[str],
    pin: str = "",
    *,
    architectures: str = "amd64",
    unpack_only: bool = False,
    further: Sequence[str] = (),
) -> None:
    """Make a Debian tree; apt checks every signature.

    ``unpack_only``: no program of a package is run, so that the architecture may be one that nothing here can run.
    ``further`` packages are unpacked into the tree, whatever they depend on.
    """
    hooks = ["--include=?essential"] if unpack_only else []
    if pin:
        # Backports never replace a package by themselves: linux-base must, for 7.x kernels.
        text = rf"Package: linux-*\nPin: release n={pin}\nPin-Priority: 700\n"
        hooks.append(f'--setup-hook=printf "{text}" > "$1/etc/apt/preferences.d/kernel"')
    if further:
        get = f'cd "$1/var/tmp" && APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -q download {" ".join(further)}'
        hooks.append(f'--customize-hook={get} && for p in *.deb; do dpkg-deb -x "$p" "$1" && rm "$p" || exit 1; done')
    run(
        [
            "mmdebstrap",
            "--mode=root",
            f"--variant={'extract' if unpack_only else 'minbase'}",
            f"--architectures={architectures}",
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
    own, architectures = kernel.architecture.name, AMD64.name
    further: tuple[str, ...] = ()
    if kernel.architecture is not AMD64:
        # These depend on a compiler that runs there; the rest of them is for any architecture, or has programs for this one.
        further = (f"linux-headers-{found.release}:{own}",)
        base = found.release.partition("-")[0]
        ours = (*CROSS_TOOLS, kernel.compiler, f"linux-headers-{base}-common", f"linux-kbuild-{base}")
        packages, recipe = (*ours, f"{found.package}:{own}", f"busybox-static:{own}"), further
        architectures = f"{AMD64.name},{own}"
    elif kernel.source:
        packages = (*BUILD_TOOLS, *source.BUILD_TOOLS, kernel.source)
        recipe = (source.RECIPE, source.CONFIG.read_text(encoding="utf-8"))
    else:
        packages, recipe = (*BUILD_TOOLS, found.package, f"linux-headers-{found.release}"), ()
    key = digest(RECIPE, kernel.suite, *kernel.releases, kernel.pin, found.version, *packages, *recipe)

    def build(path: Path) -> None:
        with step(f"{kernel.name}: build chroot with {kernel.source or found.package} {found.version}"):
            tree = path / "root"
            debootstrap(
                tree, kernel.suite, kernel.releases, packages, kernel.pin, architectures=architectures, further=further
            )
        if kernel.source:
            source.compile_kernel(tree, kernel.source, found.release)

    return cache.entry("chroot", kernel.name, key, build) / "root"
