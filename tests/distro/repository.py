"""hotcopy-install build and publish: every package there is, in a signed repository that a guest finds at /run/repo."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from installer import cli
from tests.distro.results import source_key
from tests.driver.bench.bench import Bench
from tests.driver.bench.cache import Cache, digest
from tests.driver.bench.progress import step
from tests.driver.bench.run import CommandError
from tests.packages.keys import Keyring
from tests.packages.prebuilt import build_modules, make_certificate
from tests.packages.rpmhost import build_host

TREE = Path(__file__).resolve().parents[2]
# What packages are made of, and with.
SOURCES = (
    *("hotcopy", "installer", "kmod", "packaging", "docs/man", "matrix.yaml", "pyproject.toml", "LICENSE"),
    *("tests/distro/repository.py", "tests/packages/prebuilt.py", "tests/packages/rpmhost.py"),
)
URL = "file:///run/repo"
SIGNER = "Hot Copy test"  # of compiled drivers, as make_certificate() names it
_environment = threading.Lock()  # gpg's home, and the PATH of build_modules(), are this process's own


def _install(*words: str | Path) -> None:
    status = cli.main([str(word) for word in words])
    if status != 0:
        raise CommandError(f"hotcopy-install {words[0]}: exit status {status}")


def packages(cache: Cache) -> Path:
    """deb/*.deb and rpm/TARGET/*.rpm of this tree as it stands; built once."""

    def build(path: Path) -> None:
        with step("packages: .deb, and .rpm for every target"):
            _install("build", path)

    return cache.entry("built", "packages", source_key(TREE, SOURCES), build)


def repository(bench: Bench, modules_for: str = "") -> Path:
    """A signed repository of the .deb and of the .rpm for EL 9.

    ``modules_for`` is a kernel of the bench for which there is a compiled and signed driver, too. Beside them is host.rpm,
    which says to rpm what Debian brings.
    """
    made = packages(bench.cache)
    release = bench.prepare(modules_for).found.release if modules_for else ""

    def build(path: Path) -> None:
        some = path / "some"
        shutil.copytree(made / "deb", some / "deb")
        shutil.copytree(made / "rpm/el9", some / "rpm/el9")
        (path / "gpg").mkdir()
        with _environment:
            if modules_for:
                with step(f"{modules_for}: compiled driver as a package"):
                    key, certificate = make_certificate(path)
                    signed = ("--sign-key", key, "--sign-cert", certificate)
                    build_modules(bench, modules_for, some, path / "scratch", *signed)
            keyring = Keyring.make(path / "gpg")
            try:
                with keyring.used():
                    _install("publish", path / "repo", "--from", some, "--key", keyring.ours, "--url", URL)
            finally:
                keyring.close()
        build_host(path / "repo/host.rpm")
        for scratch in ("some", "gpg", "scratch"):
            shutil.rmtree(path / scratch, ignore_errors=True)

    name = f"for-{modules_for}" if modules_for else "all"
    return bench.cache.entry("repository", name, digest("1", made.name, release), build) / "repo"
