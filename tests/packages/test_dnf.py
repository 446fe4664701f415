# SPDX-License-Identifier: GPL-2.0-or-later
"""The real dnf and a published repository: what it takes, and what it refuses. hotcopy-release depends on nothing."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from hotcopy import __version__
from installer.exitcodes import ExitCode
from installer.families import packager
from installer.matrix.model import Family
from tests.driver.bench.run import CommandError, run
from tests.packages.building import hotcopy_install
from tests.packages.conftest import rpmlint
from tests.packages.keys import Keyring
from tests.packages.web import Web

PACKAGE = "hotcopy-release"


class Client:
    """dnf with a root of its own, which knows this repository only."""

    def __init__(self, root: Path, repository: Path, url: str, key: Path | None = None) -> None:
        self.root = root
        (root / "repos").mkdir(parents=True)
        text = (repository / "yum/el9/hotcopy.repo").read_text(encoding="utf-8")
        assert "\ngpgcheck=1\nrepo_gpgcheck=1\n" in text
        text = text.replace("http://here.invalid", url)
        text = re.sub(r"(?m)^gpgkey=.*", f"gpgkey=file://{key or repository / 'hotcopy.asc'}", text)
        (root / "repos/hotcopy.repo").write_text(text, encoding="utf-8")
        (root / "dnf.conf").write_text("[main]\nplugins=0\nretries=1\ntimeout=5\n", encoding="utf-8")

    def install(self, package: str = PACKAGE) -> tuple[int, str]:
        """Installs it; exit status and all that dnf said."""
        argv = [
            *("dnf", "-y", f"--config={self.root / 'dnf.conf'}", f"--installroot={self.root / 'root'}"),
            *(f"--setopt=reposdir={self.root / 'repos'}", f"--setopt=cachedir={self.root / 'cache'}"),
            *(f"--setopt=logdir={self.root}", "--releasever=9", "install", package),
        ]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, cwd=self.root)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def client(repository: Path, web: Web, tmp_path: Path) -> Client:
    return Client(tmp_path / "client", repository, web.url)


def explained(said: str, code: ExitCode, cause: str) -> None:
    """What hotcopy-install makes of dnf's words."""
    error = packager(Family.REDHAT).explain(said, (PACKAGE,))
    assert error.code is code and cause in error.cause and error.remedy, f"{error}: {said}"


def refused(client: Client, pattern: str, cause: str = "not signed by the key") -> None:
    """dnf refuses, with these words, nothing is installed, and hotcopy-install knows why."""
    status, said = client.install()
    assert status != 0 and re.search(pattern, said), said
    explained(said, ExitCode.FAILED, cause)
    assert not (client.root / "root/etc/yum.repos.d/hotcopy.repo").exists()


def spoil(path: Path) -> None:
    """Changes a bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def sign_again(repository: Path, keyring: Keyring) -> None:
    """What an owner of the key would do after a change by hand."""
    place = repository / "yum/el9"
    run(["createrepo_c", "--quiet", "--checksum=sha256", "--general-compress-type=gz", "--no-database", place])
    metadata = place / "repodata/repomd.xml"
    keyring.gpg("--armor", "--local-user", keyring.ours, "--output", f"{metadata}.asc", "--detach-sign", metadata)


def test_a_signed_repository_is_taken(client: Client, repository: Path) -> None:
    status, said = client.install()
    assert status == 0, said
    root = client.root / "root"
    repo = (root / "etc/yum.repos.d/hotcopy.repo").read_bytes()
    assert repo == (repository / "yum/el9/hotcopy.repo").read_bytes()
    assert (root / "etc/pki/rpm-gpg/RPM-GPG-KEY-hotcopy").read_bytes() == (repository / "hotcopy.asc").read_bytes()


def test_another_key_is_refused(repository: Path, web: Web, keyring: Keyring, tmp_path: Path) -> None:
    keyring.gpg("--armor", "--output", tmp_path / "other.asc", "--export", keyring.other)
    refused(Client(tmp_path / "client", repository, web.url, tmp_path / "other.asc"), "Bad|bad|GPG|signature")


def test_unsigned_metadata_is_refused(client: Client, repository: Path) -> None:
    (repository / "yum/el9/repodata/repomd.xml.asc").unlink()
    refused(client, "repomd.xml.asc|GPG")


def test_tampered_metadata_is_refused(client: Client, repository: Path) -> None:
    path = repository / "yum/el9/repodata/repomd.xml"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"<revision>\d+", "<revision>1", text), encoding="utf-8")
    refused(client, "Bad|bad|GPG|signature")


def test_a_tampered_list_of_packages_is_refused(client: Client, repository: Path) -> None:
    spoil(next((repository / "yum/el9/repodata").glob("*-primary.xml.gz")))
    refused(client, "[Cc]hecksum|No more mirrors|repomd", "not what the repository's signed lists say")


def test_an_unsigned_package_is_refused(client: Client, repository: Path, keyring: Keyring) -> None:
    package = next((repository / "yum/el9/packages").glob(f"{PACKAGE}-*.rpm"))
    run(["rpmsign", "--delsign", package])
    sign_again(repository, keyring)
    refused(client, "is not signed")


def test_a_package_signed_by_another_key_is_refused(client: Client, repository: Path, keyring: Keyring) -> None:
    package = next((repository / "yum/el9/packages").glob(f"{PACKAGE}-*.rpm"))
    run(
        [
            *("rpmsign", "--addsign", "--define", f"_gpg_name {keyring.other}", "--define", "__gpg /usr/bin/gpg"),
            *("--define", f"_gpg_path {keyring.home}", package),
        ]
    )
    sign_again(repository, keyring)
    refused(client, "not correct|GPG check FAILED|Public key")


def test_a_tampered_package_is_refused(client: Client, repository: Path) -> None:
    spoil(next((repository / "yum/el9/packages").glob(f"{PACKAGE}-*.rpm")))
    refused(client, "[Cc]hecksum|No more mirrors", "not what the repository's signed lists say")


def test_what_is_in_the_way_is_named(client: Client, web: Web) -> None:
    """dnf's own words for it, and what hotcopy-install makes of them."""
    said = client.install("kernel-devel-5.14.0-570.12.1.el9_6.x86_64")[1]
    explained(said, ExitCode.NO_HEADERS, "headers of the running kernel")
    web.stop()
    said = client.install()[1]
    explained(said, ExitCode.NO_NETWORK, "the package mirror cannot be reached")


def publish_again(repository: Path, built: Path, keyring: Keyring, scratch: Path) -> None:
    """All packages for EL 9, as they were built."""
    some = scratch / "some/rpm"
    some.mkdir(parents=True)
    (some / "el9").symlink_to(built / "rpm/el9")
    with keyring.used():
        hotcopy_install(
            "publish", repository, "--from", some.parent, "--key", keyring.ours, "--url", "http://here.invalid"
        )


def test_publishing_again_changes_no_package(
    repository: Path, built: Path, keyring: Keyring, client: Client, tmp_path: Path
) -> None:
    packages = {path: path.read_bytes() for path in (repository / "yum/el9/packages").iterdir()}
    assert len(packages) == 4
    publish_again(repository, built, keyring, tmp_path)
    assert packages == {path: path.read_bytes() for path in (repository / "yum/el9/packages").iterdir()}
    assert client.install()[0] == 0


def test_lists_are_kept_from_the_day_that_others_take_their_place(
    repository: Path, built: Path, keyring: Keyring, tmp_path: Path
) -> None:
    """However old they are: a client that has read repomd.xml a moment ago asks for them."""
    place = repository / "yum/el9"
    next((place / "packages").glob("hotcopy-installer-*.rpm")).unlink()
    sign_again(repository, keyring)
    lists = set((place / "repodata").glob("*.gz"))
    for path in lists:
        os.utime(path, (0, 0))
    publish_again(repository, built, keyring, tmp_path)
    assert len(lists) == 3 and lists < set((place / "repodata").glob("*.gz"))


def test_nothing_is_replaced_before_its_signature_is_made(
    repository: Path, built: Path, keyring: Keyring, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """publish fails where it signs the new repomd.xml: clients have the one before, with its signature."""
    place = repository / "yum/el9"
    next((place / "packages").glob("hotcopy-installer-*.rpm")).unlink()
    sign_again(repository, keyring)
    before = {path: path.read_bytes() for path in (place / "repodata").iterdir()}
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "gpg").write_text('#!/bin/sh\ncase "$*" in *repomd.xml*) exit 1 ;; esac\nexec /usr/bin/gpg "$@"\n')
    (programs / "gpg").chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        with pytest.raises(CommandError):
            publish_again(repository, built, keyring, tmp_path)
    assert len(list((place / "packages").glob("hotcopy-installer-*.rpm"))) == 1  # that far it came
    assert before == {path: path.read_bytes() for path in (place / "repodata").iterdir()}
    assert client.install()[0] == 0
    publish_again(repository, built, keyring, tmp_path / "again")
    assert before[place / "repodata/repomd.xml"] != (place / "repodata/repomd.xml").read_bytes()


def test_every_signature_is_rpms_own(repository: Path, tmp_path: Path) -> None:
    database = tmp_path / "db"
    run(["rpm", "--dbpath", database, "--import", repository / "hotcopy.asc"])
    packages = sorted((repository / "yum/el9/packages").iterdir())
    said = run(["rpmkeys", "--dbpath", database, "--checksig", "--verbose", *packages]).stdout
    assert len(re.findall(r"Header V4 RSA/SHA256 Signature, key ID \w+: OK", said)) == len(packages), said
    assert __version__ in said


def test_rpmlint_finds_nothing_in_what_publish_builds(repository: Path) -> None:
    (package,) = (repository / "yum/el9/packages").glob(f"{PACKAGE}-*.rpm")
    run(["rpmsign", "--delsign", package])  # rpmlint knows none of our keys
    rpmlint(package)
