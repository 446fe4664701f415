# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages built once for all tests here, a key that signs, and repositories to try things on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.driver.bench.bench import Bench
from tests.driver.bench.run import run
from tests.packages.building import TREE, hotcopy_install, packages
from tests.packages.keys import Keyring
from tests.packages.web import Web, serve

WORDS = ("--rpm", "--deb", "--target", "el9", "--target", "suse")  # the other targets: test_build.py


def rpmlint(*packages: Path) -> str:
    """Finds nothing in these packages, or in those in these directories; how many there were, in its own words."""
    done = run(["rpmlint", "-c", TREE / "packaging/rpm/rpmlint.toml", *packages], check=False)
    summary = done.stdout.strip().splitlines()[-1]
    assert done.returncode == 0 and " 0 errors, 0 warnings," in summary, done.stdout
    return summary


@pytest.fixture(scope="session")
def built(bench: Bench) -> Path:
    """What hotcopy-install build makes: .deb and every target's .rpm."""
    return packages(bench.cache)


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyring]:
    """Two keys: one that signs the repository, one that has nothing to do with it."""
    made = Keyring.make(tmp_path_factory.mktemp("gpg"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def published(built: Path, keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Repositories of deb and el9, for http://HERE (the tests replace it)."""
    place = tmp_path_factory.mktemp("published")
    some = tmp_path_factory.mktemp("some")
    shutil.copytree(built / "deb", some / "deb")
    shutil.copytree(built / "rpm/el9", some / "rpm/el9")
    with keyring.used():
        hotcopy_install("publish", place, "--from", some, "--key", keyring.ours, "--url", "http://here.invalid")
    return place


@pytest.fixture
def repository(published: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(published, tmp_path / "repository"))


@pytest.fixture
def web(repository: Path) -> Iterator[Web]:
    """The copy, served over HTTP."""
    served = serve(repository)
    yield served
    served.stop()
