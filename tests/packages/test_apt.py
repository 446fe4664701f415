# SPDX-License-Identifier: GPL-2.0-or-later
"""The real apt and a published repository: what it takes, and what it refuses."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from hotcopy import __version__
from installer.build.targets import TARGETS
from installer.exitcodes import ExitCode
from installer.families import packager
from installer.matrix.model import Family
from installer.publish import key as keys
from tests.driver.bench.run import CommandError
from tests.packages.building import hotcopy_install
from tests.packages.keys import Keyring
from tests.packages.web import Web, refusing_proxy


class Client:
    """apt with a root of its own, which knows this repository only."""

    def __init__(self, root: Path, repository: Path, url: str, key: Path | None = None) -> None:
        self.root = root
        for directory in ("etc/apt/preferences.d", "state/lists/partial", "cache/archives/partial"):
            (root / directory).mkdir(parents=True)
        (root / "status").touch()
        keyring = key or repository / "hotcopy-archive-keyring.gpg"
        text = (repository / "apt/hotcopy.sources").read_text(encoding="utf-8")
        text = text.replace("http://here.invalid", url)
        text = text.replace("/usr/share/keyrings/hotcopy-archive-keyring.gpg", str(keyring))
        (root / "hotcopy.sources").write_text(text, encoding="utf-8")

    def run(self, *words: str) -> tuple[int, str]:
        """Exit status and all that apt-get said."""
        pairs = {
            "Dir::State": "state",
            "Dir::State::status": "status",
            "Dir::Cache": "cache",
            "Dir::Etc": "etc/apt",
            "Dir::Etc::sourcelist": "hotcopy.sources",
            "Dir::Etc::sourceparts": "none",
        }
        options = [f"-o{name}={self.root / value}" for name, value in pairs.items()]
        options += [
            "-oAPT::Sandbox::User=root",
            "-oAcquire::Languages=none",
            "-oAPT::Architecture=amd64",
            "-oAcquire::Retries=0",
            "-oAcquire::Check-Valid-Until=true",
            "-oAcquire::Check-Date=true",  # a mirror of one day may have switched both off for this host
        ]
        argv = ["apt-get", "-q", *options, *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, cwd=self.root)
        return done.returncode, done.stdout + done.stderr

    def update(self) -> tuple[int, str]:
        """apt-get update; a warning is a failure."""
        return self.run("update", "--error-on=any")

    def download(self, package: str) -> tuple[int, str]:
        """Fetches a package and checks it."""
        return self.run("download", package)


@pytest.fixture
def client(repository: Path, web: Web, tmp_path: Path) -> Client:
    return Client(tmp_path / "client", repository, web.url)


def explained(said: str, code: ExitCode, cause: str) -> None:
    """What hotcopy-install makes of apt's words."""
    error = packager(Family.DEBIAN).explain(said, ("hotcopy",))
    assert error.code is code and cause in error.cause and error.remedy, f"{error}: {said}"


def refused(client: Client, pattern: str, cause: str) -> None:
    """apt-get update refuses, with these words, nothing can be downloaded, and hotcopy-install knows why."""
    status, said = client.update()
    assert status != 0 and re.search(pattern, said), said
    explained(said, ExitCode.FAILED, cause)
    status, said = client.download("hotcopy")
    assert status != 0 and not list(client.root.glob("*.deb")), said


def test_a_signed_repository_is_taken(client: Client, web: Web) -> None:
    status, said = client.update()
    assert status == 0, said
    assert any(path.startswith("/apt/./by-hash/SHA256/") for path in web.asked), web.asked
    assert not [path for path in web.asked if "Packages" in path], web.asked
    for package in ("hotcopy", "hotcopy-dkms", "hotcopy-installer", "hotcopy-archive-keyring"):
        status, said = client.download(package)
        assert status == 0 and list(client.root.glob(f"{package}_{__version__}-1_all.deb")), said


def test_the_keyring_package_is_what_the_page_says(client: Client, repository: Path) -> None:
    assert client.update()[0] == 0 and client.download("hotcopy-archive-keyring")[0] == 0
    package = next(client.root.glob("*.deb"))
    subprocess.run(["dpkg-deb", "--extract", package, client.root / "x"], check=True, timeout=60)
    keyring = client.root / "x/usr/share/keyrings/hotcopy-archive-keyring.gpg"
    assert keyring.read_bytes() == (repository / "hotcopy-archive-keyring.gpg").read_bytes()
    source = client.root / "x/etc/apt/sources.list.d/hotcopy.sources"
    assert source.read_bytes() == (repository / "apt/hotcopy.sources").read_bytes()
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", package], check=False, timeout=120)
    assert done.returncode == 0


def test_another_key_is_refused(repository: Path, web: Web, keyring: Keyring, tmp_path: Path) -> None:
    other = keyring.export(keyring.other, tmp_path / "other.gpg")
    refused(Client(tmp_path / "client", repository, web.url, other), "NO_PUBKEY", "does not fit its key")


def test_an_unsigned_repository_is_refused(client: Client, repository: Path) -> None:
    (repository / "apt/InRelease").unlink()
    (repository / "apt/Release.gpg").unlink()
    refused(client, "is not signed", "does not fit its key")


def test_tampered_metadata_is_refused(client: Client, repository: Path) -> None:
    """The index, where it is found by its hash and where it is found by its name."""
    for path in [*(repository / "apt").glob("Packages*"), *(repository / "apt/by-hash/SHA256").iterdir()]:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    refused(client, "Hash Sum mismatch|unexpected size", "not what the repository's signed lists say")


def test_a_tampered_release_is_refused(client: Client, repository: Path) -> None:
    path = repository / "apt/InRelease"
    path.write_text(path.read_text(encoding="utf-8").replace("Suite: stable", "Suite: unstable"), encoding="utf-8")
    refused(client, "BADSIG|invalid", "does not fit its key")


def test_an_expired_release_is_refused(client: Client, repository: Path, keyring: Keyring) -> None:
    release = repository / "apt/Release"
    text = re.sub(
        r"(?m)^(Date|Valid-Until): .*", r"\1: Sat, 01 Jan 2022 00:00:00 +0000", release.read_text(encoding="utf-8")
    )
    release.write_text(text, encoding="utf-8")
    for how, name in (("--clear-sign", "InRelease"), ("--detach-sign", "Release.gpg")):
        keyring.gpg("--armor", "--local-user", keyring.ours, "--output", repository / "apt" / name, how, release)
    refused(client, "expired", "out of date")


def test_a_tampered_package_is_refused(client: Client, repository: Path) -> None:
    assert client.update()[0] == 0
    for path in (repository / "apt/pool").glob("hotcopy_*.deb"):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    status, said = client.download("hotcopy")
    assert status != 0 and "Hash Sum mismatch" in said and not list(client.root.glob("*.deb")), said
    explained(said, ExitCode.FAILED, "not what the repository's signed lists say")


def test_what_is_in_the_way_is_named(client: Client, web: Web) -> None:
    """apt's own words for it, and what hotcopy-install makes of them."""
    assert client.update()[0] == 0
    said = client.run("-s", "install", "linux-headers-6.1.0-9-amd64")[1]
    explained(said, ExitCode.NO_HEADERS, "headers of the running kernel")
    said = client.run("-s", "install", "nonsense")[1]
    explained(said, ExitCode.FAILED, "no repository has the package nonsense")
    proxy = refusing_proxy()
    said = client.run(f"-oAcquire::http::Proxy={proxy.url}", "update", "--error-on=any")[1]
    proxy.stop()
    explained(said, ExitCode.NO_NETWORK, "the proxy does not let")
    web.stop()
    explained(client.update()[1], ExitCode.NO_NETWORK, "the package mirror cannot be reached")


def test_publishing_again_adds_and_keeps(
    repository: Path, client: Client, keyring: Keyring, built: Path, tmp_path: Path
) -> None:
    """A client that has read the older Release still finds its index; a package that changed is refused."""
    indexes = set((repository / "apt/by-hash/SHA256").iterdir())
    for path in indexes:
        os.utime(path, (0, 0))  # published long ago, and named by the Release until now
    newer = tmp_path / "newer"
    (newer / "deb").mkdir(parents=True)
    subprocess.run(
        ["dpkg-deb", "--raw-extract", next((built / "deb").glob("hotcopy_*.deb")), tmp_path / "raw"], check=True
    )
    control = tmp_path / "raw/DEBIAN/control"
    control.write_text(
        control.read_text(encoding="utf-8").replace(f"Version: {__version__}-1", f"Version: {__version__}-2")
    )
    package = newer / f"deb/hotcopy_{__version__}-2_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tmp_path / "raw", package], check=True, timeout=60)
    publish = ("publish", repository, "--from", newer, "--key", keyring.ours, "--url", "http://here.invalid")
    with keyring.used():
        hotcopy_install(*publish)
        assert indexes < set((repository / "apt/by-hash/SHA256").iterdir())
        assert client.update()[0] == 0
        said = client.run("-s", "install", "hotcopy")[1]
        assert client.download(f"hotcopy={__version__}-2")[0] == 0, said
        assert client.download(f"hotcopy={__version__}-1")[0] == 0

        package.write_bytes(package.read_bytes() + b"\n")
        with pytest.raises(CommandError):
            hotcopy_install(*publish)


def test_the_page_leads_to_what_is_there(published: Path, keyring: Keyring) -> None:
    """Each address in the commands to copy is a file of the repository, the headers are of the running kernel, and the key is named."""
    page = (published / "index.html").read_text(encoding="utf-8")
    named = set(re.findall(r"http://here[.]invalid/(\S+)", page))
    assert {"hotcopy-archive-keyring.gpg", "apt/hotcopy.sources", "hotcopy.asc"} < named
    assert {f"yum/{target.key}/hotcopy.repo" for target in TARGETS} < named
    assert [name for name in named if not (published / name).is_file()] == []
    assert "dnf install kernel-devel-$(uname -r) hotcopy " in page  # the newest may be of a later boot
    with keyring.used():
        assert keys.find(keyring.ours).fingerprint in page.replace(" ", "")
