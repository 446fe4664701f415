"""hotcopy-install publish: every package there is, in a signed repository that a guest finds at /run/repo."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from tests.driver.bench.bench import Bench
from tests.driver.bench.cache import digest
from tests.driver.bench.progress import step
from tests.driver.bench.tracked import tree_key
from tests.packages.building import TREE, hotcopy_install, packages
from tests.packages.keys import Keyring
from tests.packages.prebuilt import build_modules, make_certificate
from tests.packages.rpmhost import build_host

# What a repository is made with; its packages have a key of their own.
MADE_WITH = (
    "installer/publish",
    "tests/distro/repository.py",
    "tests/packages/prebuilt.py",
    "tests/packages/rpmhost.py",
)
URL = "file:///run/repo"
_environment = threading.Lock()  # gpg's home, and the PATH of build_modules(), are this process's own


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
                    hotcopy_install("publish", path / "repo", "--from", some, "--key", keyring.ours, "--url", URL)
            finally:
                keyring.close()
        build_host(path / "repo/host.rpm")
        for scratch in ("some", "gpg", "scratch"):
            shutil.rmtree(path / scratch, ignore_errors=True)

    name = f"for-{modules_for}" if modules_for else "all"
    key = digest("1", made.name, release, tree_key(TREE, MADE_WITH))
    return bench.cache.entry("repository", name, key, build) / "repo"
